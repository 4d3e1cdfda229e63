/* rows_lines.c: rows from a file of lines {"ids": [...]}: one phase in file order (see data_rows.h). The ids are held
 * in memory; the file is not needed after opening. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "data/rows_private.h"

#define MAX_FILE_BYTES ((size_t)16 << 30)

/* What is being filled. */
struct lines {
    int32_t *ids;
    uint64_t *ends;
    size_t n_ids, ids_capacity, n_lines, lines_capacity;
    int n_vocab, max_length, longest;
};

static cria_status add_id(struct lines *l, int64_t id, struct cria_error *err) {
    if (l->n_ids == l->ids_capacity) {
        const size_t wider = l->ids_capacity ? 2 * l->ids_capacity : 4096;
        int32_t *grown = alloc_resize(l->ids, wider, sizeof *grown);
        if (!grown) return ERROR_NOMEM(err, wider * sizeof *grown, "rows");
        l->ids = grown;
        l->ids_capacity = wider;
    }
    l->ids[l->n_ids++] = (int32_t)id;
    return CRIA_OK;
}

static cria_status add_line(struct lines *l, struct cria_error *err) {
    if (l->n_lines == l->lines_capacity) {
        const size_t wider = l->lines_capacity ? 2 * l->lines_capacity : 256;
        uint64_t *grown = alloc_resize(l->ends, wider, sizeof *grown);
        if (!grown) return ERROR_NOMEM(err, wider * sizeof *grown, "rows");
        l->ends = grown;
        l->lines_capacity = wider;
    }
    l->ends[l->n_lines++] = l->n_ids;
    return CRIA_OK;
}

static cria_status read_ids(json_reader *r, struct lines *l, struct cria_error *err) {
    cria_status status = CRIA_OK;
    bool more;
    int64_t id;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(json_read_i64(r, 0, (int64_t)l->n_vocab - 1, &id, err));
        TRY(add_id(l, id, err));
    }
out:
    return status;
}

static cria_status read_line(struct lines *l, const char *text, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    json_reader r;
    struct json_text key;
    bool more, has_ids = false;
    const size_t before = l->n_ids;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        has_ids |= json_text_is(key, "ids") != 0;
        if (json_text_is(key, "ids")) TRY(read_ids(&r, l, err));
        else TRY(json_skip(&r, err));
    }
    TRY(json_end(&r, err));
    const size_t n_ids = l->n_ids - before;
    if (!has_ids || n_ids < 2) {
        status = ERROR_SET(err, CRIA_FORMAT, "expected \"ids\" with at least two ids, found %s",
                           !has_ids     ? "no such key"
                           : n_ids == 1 ? "one"
                                        : "none");
    } else if (n_ids > (size_t)l->max_length) {
        status = ERROR_SET(err, CRIA_LIMIT, "%zu ids; at most %d (--seq-len)", n_ids, l->max_length);
    } else {
        if (n_ids > (size_t)l->longest) l->longest = (int)n_ids;
        status = add_line(l, err);
    }
out:
    json_reader_deinit(&r);
    return status;
}

static cria_status read_lines(struct lines *l, const char *path, const char *text, size_t n, struct cria_error *err) {
    size_t number = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t n_line = end ? (size_t)(end - (text + at)) : n - at;
        number++;
        if (strspn(text + at, " \t\r") < n_line) {
            const cria_status status = read_line(l, text + at, n_line, err);
            if (status != CRIA_OK) {
                error_prefix(err, "%s line %zu", path, number);
                return status;
            }
        }
        at += n_line + 1;
    }
    if (l->n_lines == 0) return ERROR_SET(err, CRIA_FORMAT, "%s: holds no rows", path);
    return CRIA_OK;
}

static cria_status set_up(rows *r, const char *text, size_t n, const uint16_t *token_bytes, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t sum[DIGEST_BYTES];
    digest *d = NULL;
    TRY(digest_create(&d, err));
    digest_add(d, text, n);
    TRY(digest_result(d, sum, err));
    digest_hex(sum, r->digest);
    r->plans = ALLOC_NEW(struct rows_plan);
    r->n_plans = r->plans ? 1 : 0; /* rows_close() frees what they hold */
    if (r->plans) r->plans->name = alloc_text("1", 1);
    if (token_bytes) r->token_bytes = alloc_array((size_t)r->n_vocab, sizeof *token_bytes);
    if (!r->plans || !r->plans->name || (token_bytes && !r->token_bytes)) {
        status = ERROR_NOMEM(err, (size_t)r->n_vocab * sizeof *token_bytes, "rows");
        goto out;
    }
    if (token_bytes) memcpy(r->token_bytes, token_bytes, (size_t)r->n_vocab * sizeof *token_bytes);
out:
    digest_destroy(&d);
    return status;
}

cria_status rows_open_lines(rows **ret, const char *path, int n_vocab, int max_length, const uint16_t *token_bytes,
                            struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct lines l = {.n_vocab = n_vocab, .max_length = max_length};
    char *text = NULL;
    size_t n;
    rows *r = ALLOC_NEW(rows);
    if (!r) return ERROR_NOMEM(err, sizeof *r, path);
    r->n_vocab = n_vocab;
    r->is_lines = true;
    TRY(file_read(path, MAX_FILE_BYTES, &text, &n, err));
    TRY(read_lines(&l, path, text, n, err));
    TRY(set_up(r, text, n, token_bytes, err));
    r->max_length = l.longest;
    r->plans->face = (struct rows_phase){r->plans->name, l.longest, 0, l.n_lines, l.n_ids};
    r->ids = l.ids;
    r->line_ends = l.ends;
    l = (struct lines){0};
    *ret = r;
    r = NULL;
out:
    alloc_free(text);
    alloc_free(l.ids);
    alloc_free(l.ends);
    rows_close(&r);
    return status;
}
