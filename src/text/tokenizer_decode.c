/* tokenizer_decode.c: ids -> text, whole or as a stream that never cuts a character. */
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_parts.h"

/* What id adds to a text that *started says has begun; n = 0 for nothing. */
static cria_status token_bytes(const tokenizer *t, int32_t id, bool with_special, bool *started, struct text_span *ret,
                               struct cria_error *err) {
    if (id < 0 || id >= tokenizer_size(t)) {
        return ERROR_SET(err, CRIA_RANGE, "token id %d, expected 0 to %d", id, tokenizer_size(t) - 1);
    }
    struct text_span s = tokenizer_token(t, id);
    enum token_kind kind = t->kinds[id];
    if (kind == TOKEN_SPECIAL && !with_special) s.n = 0;
    bool first = !*started && kind != TOKEN_SPECIAL;
    if (s.n && kind != TOKEN_SPECIAL) *started = true;
    if (first && t->strips_space && kind != TOKEN_BYTE && s.n && s.bytes[0] == ' ') {
        s.bytes++;
        s.n--;
    }
    *ret = s;
    return CRIA_OK;
}

cria_status tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n, bool with_special, struct buffer *out,
                             struct cria_error *err) {
    size_t before = out->n_bytes;
    bool started = false;
    cria_status status = CRIA_OK;
    for (size_t i = 0; i < n; i++) {
        struct text_span s;
        TRY(token_bytes(t, ids[i], with_special, &started, &s, err));
        buffer_append(out, s.bytes, s.n);
    }
    TRY(buffer_status(out, "the decoded text", err));
out:
    if (status != CRIA_OK) buffer_cut(out, before);
    return status;
}

/* Bytes of the longest run at text that could still begin a character: at least 1; what U+FFFD stands for. */
static size_t malformed_bytes(const char *text, size_t n) {
    for (size_t i = n < 3 ? n : 3; i > 1; i--) {
        if (utf8_complete_bytes(text, i) == 0) return i; /* an incomplete sequence and nothing else */
    }
    return 1;
}

/* Appends text with malformed bytes replaced; what may still become a character stays in s->held. */
static void add_characters(struct tokenizer_stream *s, const char *text, size_t n, struct buffer *out) {
    size_t complete = utf8_complete_bytes(text, n), at = 0, start = 0;
    while (at < complete) {
        int bytes = utf8_sequence_bytes(text + at, complete - at);
        if (bytes) {
            at += (size_t)bytes;
            continue;
        }
        buffer_append(out, text + start, at - start);
        buffer_append_text(out, "\xEF\xBF\xBD");
        at += malformed_bytes(text + at, complete - at);
        start = at;
    }
    buffer_append(out, text + start, at - start);
    s->n_held = (int)(n - complete);
    memcpy(s->held, text + complete, n - complete);
}

cria_status tokenizer_stream_add(const tokenizer *t, struct tokenizer_stream *s, int32_t id, bool with_special,
                                 struct buffer *out, struct cria_error *err) {
    struct text_span span;
    cria_status status = token_bytes(t, id, with_special, &s->started, &span, err);
    if (status != CRIA_OK || span.n == 0) return status;
    if (s->n_held == 0) {
        add_characters(s, span.bytes, span.n, out);
        return buffer_status(out, "the decoded text", err);
    }
    /* The held bytes and the first few of the token decide what the held ones become. */
    char joined[sizeof s->held + TOKEN_MAX_BYTES];
    size_t held = (size_t)s->n_held;
    memcpy(joined, s->held, held);
    memcpy(joined + held, span.bytes, span.n);
    add_characters(s, joined, held + span.n, out);
    return buffer_status(out, "the decoded text", err);
}

void tokenizer_stream_end(struct tokenizer_stream *s, struct buffer *out) {
    if (s->n_held) buffer_append_text(out, "\xEF\xBF\xBD");
    s->n_held = 0;
}
