/* tokenizer_fake.c: see tokenizer_fake.h. */
#include "infer/tokenizer_fake.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/utf8.h"

struct tokenizer {
    const char *const *pieces;
    int32_t n, stop_id;
};

tokenizer *tokenizer_fake_create(const char *const *pieces, int32_t n, int32_t stop_id) {
    tokenizer *t = ALLOC_NEW(tokenizer);
    *t = (tokenizer){pieces, n, stop_id};
    return t;
}

void tokenizer_destroy(tokenizer **t) {
    alloc_free(*t);
    *t = NULL;
}

int32_t tokenizer_size(const tokenizer *t) { return t->n; }

int tokenizer_stop_ids(const tokenizer *t, int32_t *out, int max) {
    if (t->stop_id < 0 || max < 1) return 0;
    out[0] = t->stop_id;
    return 1;
}

cria_status tokenizer_stream_add(const tokenizer *t, struct tokenizer_stream *s, int32_t id, bool with_special,
                                 struct buffer *out, struct cria_error *err) {
    if (id < 0 || id >= t->n || with_special) return ERROR_SET(err, CRIA_RANGE, "token %d", id);
    for (const char *c = t->pieces[id]; *c; c++) {
        s->held[s->n_held++] = *c;
        if (utf8_sequence_bytes(s->held, (size_t)s->n_held) == s->n_held) {
            buffer_append(out, s->held, (size_t)s->n_held);
            s->n_held = 0;
        } else if (s->n_held == 4) {
            tokenizer_stream_end(s, out);
        }
    }
    return CRIA_OK;
}

void tokenizer_stream_end(struct tokenizer_stream *s, struct buffer *out) {
    if (s->n_held > 0) buffer_append_text(out, "\xef\xbf\xbd");
    s->n_held = 0;
}
