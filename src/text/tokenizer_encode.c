/* tokenizer_encode.c: text -> ids.
 *
 * Added tokens are found first, leftmost and then longest; what lies between two of them is one stretch, normalised,
 * split and merged on its own. A special token counts only where the caller allows it; elsewhere its text is text like
 * any other. */
#include "base/utf8.h"
#include "text/tokenizer_parallel.h"
#include "text/tokenizer_parts.h"
#include "text/unicode_classes.h"

struct encoder {
    const tokenizer *t;
    bool special;
    struct token_list *list;
    struct bpe_scratch scratch;
    struct buffer normal, marked, spare;
};

static cria_status encode_piece(void *arg, const char *piece, size_t n, struct cria_error *err) {
    struct encoder *e = arg;
    return bpe_encode_piece(&e->t->bpe, &e->scratch, piece, n, e->list, err);
}

/* One stretch, normalised already; at_start: it begins the whole text. */
static cria_status encode_stretch(struct encoder *e, const char *text, size_t n, bool at_start,
                                  struct cria_error *err) {
    const struct split_chain *c = &e->t->splits;
    if (e->t->marks.n_steps) {
        cria_status status = normalise(&e->t->marks, text, n, at_start, &e->marked, &e->spare, err);
        if (status != CRIA_OK) return status;
        text = e->marked.data;
        n = e->marked.n_bytes;
    }
    if (c->n_steps != 1 || c->steps[0].kind != SPLIT_FUNCTION) return split_chain_run(c, text, n, encode_piece, e, err);
    split_fn *next = c->steps[0].function;
    for (size_t at = 0, end; at < n; at = end) {
        end = next(text, n, at);
        cria_status status = bpe_encode_piece(&e->t->bpe, &e->scratch, text + at, end - at, e->list, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

/* A text in which added tokens are looked for. */
struct field {
    const char *text;
    size_t n;
    const uint8_t *trusted; /* or NULL */
    bool at_start;          /* it begins the whole text */
    bool normalised;
};

/* The longest allowed added token that begins at `at`: its bytes (0: none) and its index. */
static size_t match_added(const struct encoder *e, const struct trie *trie, const struct field *f, size_t at,
                          uint32_t *ret_index) {
    size_t best = 0;
    bool trusted = true;
    uint32_t node = 0;
    for (size_t i = at; i < f->n; i++) {
        node = trie_step(trie, node, (uint8_t)f->text[i]);
        if (!node) break;
        trusted = trusted && f->trusted && f->trusted[i];
        uint32_t index = trie->values[node];
        if (index && (!e->t->added[index - 1].special || e->special || trusted)) {
            best = i + 1 - at;
            *ret_index = index - 1;
        }
    }
    return best;
}

/* The code point that ends before `at` > 0. */
static uint32_t code_before(const char *text, size_t at) {
    size_t start = at - 1;
    while (start > 0 && at - start < 4 && ((uint8_t)text[start] & 0xC0) == 0x80) start--;
    uint32_t code = 0xFFFD;
    if ((size_t)utf8_decode(text + start, at - start, &code) != at - start) return 0xFFFD;
    return code;
}

static uint32_t code_at(const char *text, size_t n) {
    uint32_t code = 0xFFFD;
    return utf8_decode(text, n, &code) ? code : 0xFFFD;
}

/* \w of the reference: Alphabetic, marks, decimal numbers, connecting punctuation, joiners. */
static bool is_word(uint32_t code) {
    enum unicode_category c = unicode_category(code);
    if (unicode_is_letter(c) || unicode_is_mark(c) || c == UNICODE_ND || c == UNICODE_NL || c == UNICODE_PC)
        return true;
    if (code == 0x200C || code == 0x200D || (code >= 0x24B6 && code <= 0x24E9)) return true;
    return (code >= 0x1F130 && code <= 0x1F149) || (code >= 0x1F150 && code <= 0x1F169) ||
           (code >= 0x1F170 && code <= 0x1F189);
}

static bool stands_alone(const struct field *f, size_t start, size_t end) {
    if (start > 0 && is_word(code_before(f->text, start))) return false;
    return end == f->n || !is_word(code_at(f->text + end, f->n - end));
}

static size_t strip_left(const struct field *f, size_t start, size_t limit) {
    while (start > limit) {
        uint32_t code = code_before(f->text, start);
        char bytes[4];
        if (!unicode_is_space(unicode_category(code))) break;
        size_t n = (size_t)utf8_encode(code, bytes);
        if (n > start - limit) break;
        start -= n;
    }
    return start;
}

static size_t strip_right(const struct field *f, size_t end) {
    while (end < f->n) {
        uint32_t code = 0;
        int bytes = utf8_decode(f->text + end, f->n - end, &code);
        if (!bytes || !unicode_is_space(unicode_category(code))) break;
        end += (size_t)bytes;
    }
    return end;
}

static cria_status encode_field(struct encoder *e, const struct field *f, struct cria_error *err);

/* What lies between added tokens: on to the normaliser and the tokens behind it, or to the splitter. */
static cria_status encode_between(struct encoder *e, const struct field *f, size_t start, size_t end,
                                  struct cria_error *err) {
    if (start == end) return CRIA_OK;
    if (f->normalised) return encode_stretch(e, f->text + start, end - start, f->at_start && start == 0, err);
    struct field next = {f->text + start, end - start, f->trusted ? f->trusted + start : NULL,
                         f->at_start && start == 0, true};
    if (e->t->normaliser.n_steps) {
        cria_status status = normalise(&e->t->normaliser, next.text, next.n, next.at_start, &e->normal, &e->spare, err);
        if (status != CRIA_OK) return status;
        next.text = e->normal.data;
        next.n = e->normal.n_bytes;
        next.trusted = NULL; /* its bytes are not those of the text any more */
    }
    return encode_field(e, &next, err);
}

static cria_status encode_field(struct encoder *e, const struct field *f, struct cria_error *err) {
    const struct trie *trie = f->normalised ? &e->t->normalised : &e->t->raw;
    if (!trie->n_nodes || !(e->t->any_always || e->special || f->trusted)) return encode_between(e, f, 0, f->n, err);
    cria_status status;
    size_t done = 0, at = 0;
    while (at < f->n) {
        uint32_t index = 0;
        size_t bytes = trie->first[(uint8_t)f->text[at]] ? match_added(e, trie, f, at, &index) : 0;
        if (!bytes) {
            at++;
            continue;
        }
        const struct added_token *added = &e->t->added[index];
        size_t start = at, end = at + bytes;
        at = end;
        if (added->single_word && !stands_alone(f, start, end)) continue;
        if (added->left_strip) start = strip_left(f, start, done);
        if (added->right_strip) at = end = strip_right(f, end);
        TRY(encode_between(e, f, done, start, err));
        TRY(token_list_add(e->list, (int32_t)added->id, err));
        done = end;
    }
    TRY(encode_between(e, f, done, f->n, err));
out:
    return status;
}

cria_status tokenizer_encode(const tokenizer *t, const char *text, size_t n, const struct tokenizer_options *options,
                             struct token_list *list, size_t *ret_dropped, struct cria_error *err) {
    if (n > TOKENIZER_MAX_TEXT) {
        return ERROR_SET(err, CRIA_LIMIT, "a text of %zu bytes; the tokenizer takes at most %zu at once", n,
                         TOKENIZER_MAX_TEXT);
    }
    const int n_parts = tokenizer_parallel_parts(t, n, options);
    if (n_parts > 1) return tokenizer_parallel_encode(t, text, n, options, n_parts, list, ret_dropped, err);
    cria_status status = CRIA_OK;
    size_t before = list->n;
    struct encoder e = {.t = t, .special = options && options->special, .list = list};
    e.normal = buffer_make(16 * TOKENIZER_MAX_TEXT);
    e.marked = buffer_make(16 * TOKENIZER_MAX_TEXT);
    e.spare = buffer_make(16 * TOKENIZER_MAX_TEXT);
    struct field f = {text, n, options ? options->trusted : NULL, true, false};
    if (options && options->with_bos && t->bos_id >= 0) TRY(token_list_add(list, (int32_t)t->bos_id, err));
    TRY(encode_field(&e, &f, err));
    if (ret_dropped) *ret_dropped = e.scratch.n_dropped;
out:
    if (status != CRIA_OK) list->n = before;
    bpe_scratch_deinit(&e.scratch);
    buffer_free(&e.normal);
    buffer_free(&e.marked);
    buffer_free(&e.spare);
    return status;
}
