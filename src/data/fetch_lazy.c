/* fetch_lazy.c: the data of an R package without R: a lazy-load database.
 *
 * NAME.rdx, compressed, is a serialised list whose first element gives for each variable the place and length of its
 * chunk in NAME.rdb; a chunk is the unpacked length (4 bytes, big-endian) and zlib data; inside is the serialised
 * value. Serialisation is R's binary XDR form, versions 2 and 3 ("R Internals", section 1.8), everything big-endian: an
 * item is flags (type in the low byte, 0x200: attributes follow the value) and the value. Read are exactly the shapes
 * that such a database has: a list of pairs of integers with names, and vectors of strings; anything else is refused.
 */
#include <string.h>

#include "data/fetch_private.h"

enum { TYPE_SYMBOL = 1, TYPE_PAIRS = 2, TYPE_CHARS = 9, TYPE_INTS = 13, TYPE_STRINGS = 16, TYPE_LIST = 19 };
enum { MAX_VARIABLES = 1000, MAX_NAME = 64 };

/* Bytes being read; a read past the end fails once and for all. */
struct cursor {
    const uint8_t *bytes;
    size_t n, at;
    int is_bad;
};

static uint32_t take_u32(struct cursor *c) {
    if (c->is_bad || c->n - c->at < 4) {
        c->is_bad = 1;
        return 0;
    }
    const uint8_t *b = c->bytes + c->at;
    c->at += 4;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static const char *take_bytes(struct cursor *c, size_t n) {
    if (c->is_bad || c->n - c->at < n) {
        c->is_bad = 1;
        return "";
    }
    c->at += n;
    return (const char *)c->bytes + c->at - n;
}

static void expect_type(struct cursor *c, uint32_t type) {
    if ((take_u32(c) & 0xff) != type) c->is_bad = 1;
}

/* The header: "X\n", version, the writer's, the oldest reader's, and from version 3 on the encoding's name. */
static void take_header(struct cursor *c) {
    if (memcmp(take_bytes(c, 2), "X\n", c->is_bad ? 0 : 2) != 0) c->is_bad = 1;
    const uint32_t version = take_u32(c);
    take_u32(c);
    take_u32(c);
    if (version == 3) take_bytes(c, take_u32(c));
    else if (version != 2) c->is_bad = 1;
}

/* A string of a vector of strings; n = -1, R's missing string, counts as empty. */
static const char *take_string(struct cursor *c, size_t *ret_n) {
    expect_type(c, TYPE_CHARS);
    const uint32_t n = take_u32(c);
    *ret_n = n == UINT32_MAX ? 0 : n;
    return take_bytes(c, *ret_n);
}

struct variable {
    char name[MAX_NAME];
    uint32_t at, n;
};

/* Reads the list of variables; returns how many, or -1. */
static int read_index(struct cursor *c, struct variable variables[MAX_VARIABLES]) {
    take_header(c);
    expect_type(c, TYPE_LIST);
    take_u32(c);
    expect_type(c, TYPE_LIST);
    const uint32_t n = take_u32(c);
    if (c->is_bad || n > MAX_VARIABLES) return -1;
    for (uint32_t i = 0; i < n; i++) {
        expect_type(c, TYPE_INTS);
        if (take_u32(c) != 2) c->is_bad = 1;
        variables[i].at = take_u32(c);
        variables[i].n = take_u32(c);
    }
    /* The attributes of the list: a chain of pairs, the first one `names`. */
    expect_type(c, TYPE_PAIRS);
    expect_type(c, TYPE_SYMBOL);
    size_t n_text;
    const char *text = take_string(c, &n_text);
    if (n_text != 5 || memcmp(text, "names", 5) != 0) c->is_bad = 1;
    expect_type(c, TYPE_STRINGS);
    if (take_u32(c) != n) c->is_bad = 1;
    for (uint32_t i = 0; i < n && !c->is_bad; i++) {
        text = take_string(c, &n_text);
        if (n_text == 0 || n_text >= MAX_NAME - 4 || memchr(text, '/', n_text) || text[0] == '.') c->is_bad = 1;
        else memcpy(variables[i].name, text, n_text);
    }
    return c->is_bad ? -1 : (int)n;
}

/* The strings of one variable, a line each. */
static cria_status read_lines(const struct variable *v, const struct buffer *data, struct buffer *lines,
                              struct cria_error *err) {
    struct buffer value = buffer_make(FETCH_MAX_TEXT);
    cria_status status = CRIA_OK;
    if (v->n < 4 || v->at > data->n_bytes || v->n > data->n_bytes - v->at) {
        status = ERROR_SET(err, CRIA_FORMAT, "%s: its place lies outside the file", v->name);
        goto out;
    }
    TRY(fetch_package_inflate((const uint8_t *)data->data + v->at + 4, v->n - 4, v->name, &value, err));
    struct cursor c = {.bytes = (const uint8_t *)value.data, .n = value.n_bytes};
    take_header(&c);
    expect_type(&c, TYPE_STRINGS);
    const uint32_t n = take_u32(&c);
    for (uint32_t i = 0; i < n && !c.is_bad; i++) {
        size_t n_text;
        const char *text = take_string(&c, &n_text);
        buffer_append(lines, text, n_text);
        buffer_append_char(lines, '\n');
    }
    if (c.is_bad) status = ERROR_SET(err, CRIA_FORMAT, "%s: expected a vector of strings in R's form", v->name);
    else status = buffer_status(lines, v->name, err);
out:
    buffer_free(&value);
    return status;
}

cria_status fetch_lazy_unpack(const struct buffer *index, const struct buffer *data, const char *folder,
                              struct cria_error *err) {
    struct variable variables[MAX_VARIABLES];
    struct buffer plain = buffer_make(FETCH_MAX_TEXT), lines = buffer_make(FETCH_MAX_TEXT);
    cria_status status = CRIA_OK;
    memset(variables, 0, sizeof variables);
    TRY(fetch_package_inflate((const uint8_t *)buffer_text(index), index->n_bytes, "the index", &plain, err));
    struct cursor c = {.bytes = (const uint8_t *)plain.data, .n = plain.n_bytes};
    const int n = read_index(&c, variables);
    if (n < 0) {
        status = ERROR_SET(err, CRIA_FORMAT, "the index is no list of variables in R's form");
        goto out;
    }
    for (int i = 0; i < n; i++) {
        char name[MAX_NAME + 4];
        buffer_cut(&lines, 0);
        TRY(read_lines(&variables[i], data, &lines, err));
        const size_t n_name = strlen(variables[i].name);
        memcpy(name, variables[i].name, n_name);
        memcpy(name + n_name, ".txt", 5);
        TRY(fetch_write(folder, name, &lines, err));
    }
out:
    buffer_free(&plain);
    buffer_free(&lines);
    return status;
}
