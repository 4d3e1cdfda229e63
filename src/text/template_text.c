/* template_text.c: strings whose bytes know whether they are trusted, and the blocks in which they are written.
 *
 * A string is a view: slices share the bytes. A block has a mask with one byte for each of its bytes. A string that
 * ends where its block ends grows in place when something is joined to it, so that a template which builds its output
 * with `+` costs linear time; earlier views still see their own part only. */
#include <string.h>

#include "base/utf8.h"
#include "text/template_private.h"

cria_status template_text_borrow(struct run *r, const char *bytes, size_t n, bool trusted, struct value *ret) {
    struct text *t;
    CHECK(template_new(r, 1, sizeof *t, &t));
    *t = (struct text){.bytes = bytes, .n = n, .n_chars = TEXT_UNCOUNTED, .trusted = trusted};
    *ret = template_string(t);
    return CRIA_OK;
}

cria_status template_text_slice(struct run *r, const struct text *t, size_t from, size_t n, struct value *ret) {
    CRIA_DASSERT(from <= t->n && n <= t->n - from);
    struct text *s;
    CHECK(template_new(r, 1, sizeof *s, &s));
    *s = *t;
    s->bytes += from;
    if (s->mask) s->mask += from;
    s->n = n;
    s->n_chars = t->n_chars == t->n ? n : TEXT_UNCOUNTED;
    *ret = template_string(s);
    return CRIA_OK;
}

size_t template_text_chars(const struct text *t) {
    if (t->n_chars != TEXT_UNCOUNTED) return t->n_chars;
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += ((unsigned char)t->bytes[i] & 0xC0) != 0x80;
    ((struct text *)t)->n_chars =
        n; /* strings of a render belong to one thread; those of a template are counted when compiled */
    return n;
}

size_t template_text_offset(const struct text *t, size_t i) {
    if (template_text_chars(t) == t->n) return i;
    size_t at = 0;
    for (; at < t->n; at++) {
        if (((unsigned char)t->bytes[at] & 0xC0) == 0x80) continue;
        if (i-- == 0) break;
    }
    return at;
}

int template_text_step(const struct text *t, size_t i, uint32_t *ret_code) {
    const int n = utf8_decode(t->bytes + i, t->n - i, ret_code);
    if (n) return n;
    *ret_code = 0xFFFD;
    return 1;
}

bool template_text_equal(const struct text *a, const struct text *b) {
    return a->n == b->n && (a->bytes == b->bytes || memcmp(a->bytes, b->bytes, a->n) == 0);
}

int template_text_compare(const struct text *a, const struct text *b) {
    /* The order of UTF-8 bytes is the order of code points. */
    const int order = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);
    return order ? (order < 0 ? -1 : 1) : a->n < b->n ? -1 : a->n > b->n;
}

bool template_text_is(const struct text *t, const char *word) {
    const size_t n = strlen(word);
    return t->n == n && memcmp(t->bytes, word, n) == 0;
}

size_t template_text_find(const struct text *t, const struct text *needle, size_t from) {
    if (from > t->n || needle->n > t->n - from) return SIZE_MAX;
    if (needle->n == 0) return from;
    const char *found = memmem(t->bytes + from, t->n - from, needle->bytes, needle->n);
    return found ? (size_t)(found - t->bytes) : SIZE_MAX;
}

/* ---- writing ---- */

cria_status template_block_new(struct run *r, size_t capacity, struct text_block **ret) {
    struct text_block *b;
    CHECK(template_new(r, 1, sizeof *b, &b));
    if (capacity) {
        CHECK(template_new(r, capacity, 1, &b->bytes));
        CHECK(template_new(r, capacity, 1, &b->mask));
    }
    b->capacity = capacity;
    *ret = b;
    return CRIA_OK;
}

/* Room for n more bytes. The old bytes stay where strings look at them. */
static cria_status reserve(struct run *r, struct text_block *b, size_t n) {
    if (b->capacity - b->used >= n) return CRIA_OK;
    if (n > r->arena.max_bytes)
        return template_fail(r, CRIA_LIMIT, "the text grows over %zu bytes", r->arena.max_bytes);
    const size_t capacity = b->used + n + (b->used + n) / 2 + 32;
    char *bytes;
    uint8_t *mask;
    CHECK(template_new(r, capacity, 1, &bytes));
    CHECK(template_new(r, capacity, 1, &mask));
    if (b->used) {
        memcpy(bytes, b->bytes, b->used);
        memcpy(mask, b->mask, b->used);
    }
    b->bytes = bytes;
    b->mask = mask;
    b->capacity = capacity;
    return CRIA_OK;
}

cria_status template_block_add(struct run *r, struct text_block *b, const char *bytes, size_t n, bool trusted) {
    if (n == 0) return CRIA_OK;
    CHECK(template_step(r, n / 32));
    CHECK(reserve(r, b, n));
    memcpy(b->bytes + b->used, bytes, n);
    memset(b->mask + b->used, trusted, n);
    b->used += n;
    if (trusted) b->any_trusted = true;
    else b->any_untrusted = true;
    return CRIA_OK;
}

cria_status template_block_word(struct run *r, struct text_block *b, const char *word, bool trusted) {
    return template_block_add(r, b, word, strlen(word), trusted);
}

cria_status template_block_code(struct run *r, struct text_block *b, uint32_t code, bool trusted) {
    char bytes[4];
    const int n = utf8_encode(code, bytes);
    return template_block_add(r, b, bytes, (size_t)n, trusted);
}

cria_status template_block_slice(struct run *r, struct text_block *b, const struct text *t, size_t from, size_t n) {
    CRIA_DASSERT(from <= t->n && n <= t->n - from);
    if (!t->mask) return template_block_add(r, b, t->bytes + from, n, t->trusted);
    if (n == 0) return CRIA_OK;
    CHECK(template_step(r, n / 16));
    CHECK(reserve(r, b, n));
    memcpy(b->bytes + b->used, t->bytes + from, n);
    memcpy(b->mask + b->used, t->mask + from, n);
    b->used += n;
    b->any_trusted = b->any_untrusted = true;
    return CRIA_OK;
}

cria_status template_block_text(struct run *r, struct text_block *b, const struct text *t) {
    return template_block_slice(r, b, t, 0, t->n);
}

/* The last n bytes of the block as a string. */
static cria_status tail(struct run *r, struct text_block *b, size_t n, struct value *ret) {
    struct text *t;
    CHECK(template_new(r, 1, sizeof *t, &t));
    const size_t from = b->used - n;
    const bool mixed = b->any_trusted && b->any_untrusted;
    *t = (struct text){.bytes = n ? b->bytes + from : "",
                       .mask = mixed ? b->mask + from : NULL,
                       .block = n ? b : NULL,
                       .n = n,
                       .n_chars = TEXT_UNCOUNTED,
                       .trusted = b->any_trusted || n == 0};
    *ret = template_string(t);
    return CRIA_OK;
}

cria_status template_block_value(struct run *r, struct text_block *b, struct value *ret) {
    return tail(r, b, b->used, ret);
}

cria_status template_text_concat(struct run *r, const struct text *a, const struct text *b, struct value *ret) {
    CHECK(template_step_bytes(r, b->n));
    if (a->markup || b->markup) {
        struct value left = template_string((struct text *)a), right = template_string((struct text *)b);
        if (!a->markup) CHECK(template_text_escape(r, a, &left));
        if (!b->markup) CHECK(template_text_escape(r, b, &right));
        struct text plain_left = *left.text, plain_right = *right.text;
        plain_left.markup = plain_right.markup = false;
        CHECK(template_text_concat(r, &plain_left, &plain_right, ret));
        ret->text->markup = true;
        return CRIA_OK;
    }
    struct text_block *block = a->block;
    const bool grows = block && a->bytes + a->n == block->bytes + block->used && block->capacity - block->used >= b->n;
    if (!grows) {
        CHECK(template_step(r, a->n / 32));
        const size_t n = a->n + b->n;
        CHECK(template_block_new(r, n + n / 2 + 16, &block));
        CHECK(template_block_text(r, block, a));
    }
    CHECK(template_block_text(r, block, b));
    return tail(r, block, a->n + b->n, ret);
}

cria_status template_text_escape(struct run *r, const struct text *t, struct value *ret) {
    static const char special[] = "&<>'\"";
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct text_block *b;
    CHECK(template_step_bytes(r, t->n));
    CHECK(template_block_new(r, t->n + 8, &b));
    size_t from = 0;
    for (size_t i = 0; i < t->n; i++) {
        const char *found = t->bytes[i] ? strchr(special, t->bytes[i]) : NULL;
        if (!found) continue;
        CHECK(template_block_slice(r, b, t, from, i - from));
        CHECK(template_block_word(r, b, entities[found - special], template_text_trusts(t, i)));
        from = i + 1;
    }
    CHECK(template_block_slice(r, b, t, from, t->n - from));
    CHECK(template_block_value(r, b, ret));
    ret->text->markup = true;
    return CRIA_OK;
}
