/* checkpoint_manifest.c: see checkpoint_manifest.h. */
#include "train/checkpoint_manifest.h"

#include <string.h>

#include "base/alloc.h"

#define FORMAT_NAME "cria checkpoint 1"
enum { MAX_MARKS = 1 << 16 };

void checkpoint_manifest_free(struct checkpoint_manifest *m) {
    for (int i = 0; i < m->n_files; i++) alloc_free(m->files[i].marks);
    *m = (struct checkpoint_manifest){0};
}

static void write_sum(json_writer *w, const char *key, const uint8_t sum[DIGEST_BYTES]) {
    char hex[DIGEST_HEX_BYTES];
    digest_hex(sum, hex);
    json_write_key(w, key);
    json_write_text(w, hex);
}

static void write_file(json_writer *w, const struct checkpoint_file *f) {
    json_write_begin_object(w);
    json_write_key(w, "name");
    json_write_text(w, f->name);
    json_write_key(w, "bytes");
    json_write_u64(w, f->n_bytes);
    write_sum(w, "sha256", f->sum);
    json_write_key(w, "up_to");
    json_write_begin_array(w);
    for (int i = 0; i < f->n_marks; i++) {
        json_write_begin_object(w);
        json_write_key(w, "tensor");
        json_write_text(w, f->marks[i].name);
        json_write_key(w, "end");
        json_write_u64(w, f->marks[i].end);
        write_sum(w, "sha256", f->marks[i].sum);
        json_write_end_object(w);
    }
    json_write_end_array(w);
    json_write_end_object(w);
}

cria_status checkpoint_manifest_text(struct buffer *out, const struct checkpoint_manifest *m, struct cria_error *err) {
    json_writer w = json_writer_make(out);
    json_write_begin_object(&w);
    json_write_key(&w, "format");
    json_write_text(&w, FORMAT_NAME);
    json_write_key(&w, "step");
    json_write_i64(&w, m->step);
    json_write_key(&w, "arithmetic");
    json_write_i64(&w, m->arithmetic);
    write_sum(&w, "run", m->run_id);
    write_sum(&w, "weights", m->weights);
    write_sum(&w, "model", m->model_id);
    write_sum(&w, "tokenizer", m->tokenizer_id);
    json_write_key(&w, "files");
    json_write_begin_array(&w);
    for (int i = 0; i < m->n_files; i++) write_file(&w, &m->files[i]);
    json_write_end_array(&w);
    json_write_end_object(&w);
    buffer_append_char(out, '\n');
    return buffer_status(out, "manifest.json", err);
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool checkpoint_manifest_hex(struct json_text text, uint8_t out[DIGEST_BYTES]) {
    if (text.n != 2 * DIGEST_BYTES) return false;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        const int high = digit(text.bytes[2 * i]), low = digit(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static cria_status read_sum(json_reader *r, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    return checkpoint_manifest_hex(text, out) ? CRIA_OK : json_fail(r, err, "expected 64 hexadecimal digits");
}

/* A name without slashes that fits into n bytes. */
static cria_status read_name(json_reader *r, char *out, size_t n, struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    if (text.n == 0 || text.n >= n || memchr(text.bytes, '/', text.n) || memchr(text.bytes, 0, text.n) ||
        text.bytes[0] == '.')
        return json_fail(r, err, "expected a name of at most %zu bytes without a slash", n - 1);
    memcpy(out, text.bytes, text.n);
    out[text.n] = '\0';
    return CRIA_OK;
}

static cria_status read_mark(json_reader *r, struct checkpoint_mark *m, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "tensor")) TRY(read_name(r, m->name, sizeof m->name, err));
        else if (json_text_is(key, "end")) TRY(json_read_u64(r, INT64_MAX, &m->end, err));
        else if (json_text_is(key, "sha256")) TRY(read_sum(r, m->sum, err));
        else TRY(json_skip(r, err));
    }
out:
    return status;
}

static cria_status read_marks(json_reader *r, struct checkpoint_file *f, struct cria_error *err) {
    cria_status status;
    bool more = false;
    int capacity = 0;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        if (f->n_marks == MAX_MARKS) TRY(json_fail(r, err, "more than %d tensors", MAX_MARKS));
        if (f->n_marks == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            void *grown = alloc_resize(f->marks, (size_t)capacity, sizeof *f->marks);
            if (!grown) TRY(ERROR_NOMEM(err, (size_t)capacity * sizeof *f->marks, "a manifest"));
            f->marks = grown;
        }
        struct checkpoint_mark *m = &f->marks[f->n_marks++];
        *m = (struct checkpoint_mark){0};
        TRY(read_mark(r, m, err));
        if (m->end > f->n_bytes || (f->n_marks > 1 && m->end < m[-1].end))
            TRY(json_fail(r, err, "tensor \"%s\" ends outside its place", m->name));
    }
out:
    return status;
}

static cria_status read_file(json_reader *r, struct checkpoint_manifest *m, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key;
    if (m->n_files == CHECKPOINT_MAX_FILES) return json_fail(r, err, "more than %d files", CHECKPOINT_MAX_FILES);
    struct checkpoint_file *f = &m->files[m->n_files++];
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "name")) TRY(read_name(r, f->name, sizeof f->name, err));
        else if (json_text_is(key, "bytes")) TRY(json_read_u64(r, INT64_MAX, &f->n_bytes, err));
        else if (json_text_is(key, "sha256")) TRY(read_sum(r, f->sum, err));
        else if (json_text_is(key, "up_to")) TRY(read_marks(r, f, err));
        else TRY(json_skip(r, err));
    }
out:
    return status;
}

static cria_status read_files(json_reader *r, struct checkpoint_manifest *m, struct cria_error *err) {
    cria_status status;
    bool more = false;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_file(r, m, err));
    }
out:
    return status;
}

static cria_status read_format(json_reader *r, struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    return json_text_is(text, FORMAT_NAME) ? CRIA_OK : json_fail(r, err, "expected \"" FORMAT_NAME "\"");
}

static cria_status read_member(json_reader *r, struct json_text key, struct checkpoint_manifest *m,
                               struct cria_error *err) {
    const struct {
        const char *name;
        uint8_t *to;
    } sums[] = {{"run", m->run_id}, {"weights", m->weights}, {"model", m->model_id}, {"tokenizer", m->tokenizer_id}};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        if (json_text_is(key, sums[i].name)) return read_sum(r, sums[i].to, err);
    if (json_text_is(key, "format")) return read_format(r, err);
    if (json_text_is(key, "step")) return json_read_i64(r, 0, INT64_MAX, &m->step, err);
    if (json_text_is(key, "arithmetic")) return json_read_i64(r, 0, INT64_MAX, &m->arithmetic, err);
    if (json_text_is(key, "files")) return read_files(r, m, err);
    return json_skip(r, err);
}

cria_status checkpoint_manifest_parse(struct checkpoint_manifest *ret, const char *text, size_t n,
                                      struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_member(&r, key, ret, err));
    }
    TRY(json_end(&r, err));
out:
    json_reader_deinit(&r);
    return status;
}

const struct checkpoint_file *checkpoint_manifest_file(const struct checkpoint_manifest *m, const char *name) {
    for (int i = 0; i < m->n_files; i++)
        if (strcmp(m->files[i].name, name) == 0) return &m->files[i];
    return NULL;
}
