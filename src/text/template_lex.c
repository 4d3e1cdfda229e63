/* template_lex.c: cuts a template's source into tokens, with jinja2's rules for white space around tags.
 *
 * As transformers sets it up: trim_blocks (one line break behind a block or comment goes), lstrip_blocks (blanks
 * between the start of a line and a block or comment go), one line break at the end of the file goes. A minus in a tag
 * takes all white space on its side, a plus keeps it. */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/template_private.h"

#define MAX_BRACKETS TEMPLATE_MAX_NESTING

struct lexer {
    struct template *t;
    const char *s;
    size_t n, at;
    uint32_t line;
    bool line_starting; /* the last token ended a line */
    struct tokens *out;
    char closers[MAX_BRACKETS]; /* of the open brackets */
    int n_open;
    struct cria_error *err;
};

static cria_status fail(struct lexer *l, const char *what) {
    return ERROR_SET(l->err, CRIA_FORMAT, "template line %u: %s", l->line, what);
}

static cria_status no_memory(struct lexer *l) { return ERROR_NOMEM(l->err, l->n, "a template"); }

static cria_status add(struct lexer *l, enum token_kind kind, size_t from, size_t n, struct token **ret) {
    struct tokens *o = l->out;
    if (o->n == o->capacity) {
        const size_t capacity = o->capacity ? o->capacity * 2 : 256;
        struct token *items = alloc_resize(o->items, capacity, sizeof *items);
        if (!items) return no_memory(l);
        o->items = items;
        o->capacity = capacity;
    }
    struct token *token = &o->items[o->n++];
    *token = (struct token){.kind = (uint8_t)kind, .line = l->line, .bytes = l->s + from, .n = n};
    if (ret) *ret = token;
    return CRIA_OK;
}

static struct text *new_text(struct lexer *l, const char *bytes, size_t n) {
    struct text *text = template_take(&l->t->arena, 1, sizeof *text);
    if (!text) return NULL;
    *text = (struct text){.bytes = bytes, .n = n, .n_chars = TEXT_UNCOUNTED, .trusted = true};
    template_text_chars(text); /* counted now: many threads may ask later */
    return text;
}

/* Moves to byte offset `to`, counting lines. */
static void advance(struct lexer *l, size_t to) {
    for (; l->at < to; l->at++) l->line += l->s[l->at] == '\n';
    if (to) l->line_starting = l->s[to - 1] == '\n';
}

static bool starts(const struct lexer *l, size_t at, const char *word) {
    const size_t n = strlen(word);
    return l->n - at >= n && memcmp(l->s + at, word, n) == 0;
}

/* The offset behind the white space at `at`. */
static size_t skip_space(const struct lexer *l, size_t at) {
    uint32_t code;
    int n;
    while (at < l->n && (n = utf8_decode(l->s + at, l->n - at, &code)) && template_unicode_is_space(code))
        at += (size_t)n;
    return at;
}

/* The end of [from, to) without white space at its end. */
static size_t strip_right(const struct lexer *l, size_t from, size_t to) {
    while (to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)l->s[at] & 0xC0) == 0x80) at--;
        uint32_t code;
        if (!utf8_decode(l->s + at, to - at, &code) || !template_unicode_is_space(code)) break;
        to = at;
    }
    return to;
}

/* Template data [l->at, to) in front of a tag whose sign is `sign`. */
static cria_status add_data(struct lexer *l, size_t to, char sign, bool is_variable) {
    size_t end = to;
    if (sign == '-') {
        end = strip_right(l, l->at, to);
    } else if (sign != '+' && !is_variable) {
        size_t line = to;
        while (line > l->at && l->s[line - 1] != '\n') line--;
        if ((line > l->at || l->line_starting) && strip_right(l, line, to) == line) end = line;
    }
    if (end == l->at) return CRIA_OK;
    struct token *token;
    CHECK(add(l, TOKEN_DATA, l->at, end - l->at, &token));
    struct text *text = new_text(l, l->s + l->at, end - l->at);
    if (!text) return no_memory(l);
    token->value = template_string(text);
    return CRIA_OK;
}

/* Behind the end of a block or comment: `word` is its closing bracket; SIZE_MAX where it does not stand at `at`. */
static size_t match_end(const struct lexer *l, size_t at, const char *word, bool trims) {
    const char sign = at < l->n ? l->s[at] : '\0';
    const size_t from = at + (sign == '-' || (sign == '+' && trims));
    if (!starts(l, from, word)) return SIZE_MAX;
    const size_t end = from + 2;
    if (sign == '-') return skip_space(l, end);
    return trims && sign != '+' && end < l->n && l->s[end] == '\n' ? end + 1 : end;
}

static char sign_at(const struct lexer *l, size_t at) {
    return at < l->n && (l->s[at] == '-' || l->s[at] == '+') ? l->s[at] : '\0';
}

/* Where a `raw` tag begins at `at`: the offset behind it, else 0. */
static size_t match_raw(const struct lexer *l, size_t at) {
    size_t i = at + 2;
    if (sign_at(l, i)) i++;
    i = skip_space(l, i);
    if (!starts(l, i, "raw")) return 0;
    i = skip_space(l, i + 3);
    const size_t end = match_end(l, i, "%}", false);
    return end == SIZE_MAX ? 0 : end;
}

static cria_status lex_raw(struct lexer *l) {
    for (size_t at = l->at; at + 2 <= l->n; at++) {
        if (!starts(l, at, "{%")) continue;
        size_t i = at + 2;
        const char sign = sign_at(l, i);
        i = skip_space(l, i + (sign != '\0'));
        if (!starts(l, i, "endraw")) continue;
        const size_t end = match_end(l, skip_space(l, i + 6), "%}", true);
        if (end == SIZE_MAX) continue;
        CHECK(add_data(l, at, sign, false));
        advance(l, end);
        return CRIA_OK;
    }
    return fail(l, "a raw block is not closed by endraw");
}

static cria_status lex_comment(struct lexer *l) {
    for (size_t at = l->at; at < l->n; at++) {
        const size_t end = match_end(l, at, "#}", true);
        if (end == SIZE_MAX) continue;
        advance(l, end);
        return CRIA_OK;
    }
    return fail(l, "a comment is not closed by #}");
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The escape behind a backslash at s[*at]: writes its UTF-8 to out, moves *at behind it; the bytes written, or -1. */
static int unescape(const char *s, size_t n, size_t *at, char *out) {
    static const char plain[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    const char c = s[*at];
    const char *found = c ? strchr(plain, c) : NULL;
    if (found) {
        (*at)++;
        out[0] = meant[found - plain];
        return 1;
    }
    if (c == '\n') {
        (*at)++;
        return 0;
    }
    uint32_t code = 0;
    if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3 && *at < n && s[*at] >= '0' && s[*at] <= '7'; i++)
            code = code * 8 + (uint32_t)(s[(*at)++] - '0');
        return utf8_encode(code, out);
    }
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits) { /* Python keeps a backslash that means nothing */
        out[0] = '\\';
        return 1;
    }
    (*at)++;
    for (int i = 0; i < digits; i++, (*at)++) {
        const int digit = *at < n ? hex_digit(s[*at]) : -1;
        if (digit < 0) return -1;
        code = code << 4 | (uint32_t)digit;
    }
    const int bytes = utf8_encode(code, out);
    return bytes ? bytes : -1;
}

static cria_status lex_string(struct lexer *l) {
    const char quote = l->s[l->at];
    size_t end = l->at + 1;
    while (end < l->n && l->s[end] != quote) end += l->s[end] == '\\' ? 2 : 1;
    if (end >= l->n) return fail(l, "a string is not closed");
    struct token *token;
    CHECK(add(l, TOKEN_STRING, l->at, end + 1 - l->at, &token));
    const char *s = l->s + l->at + 1;
    const size_t n = end - l->at - 1;
    char *bytes = template_take(&l->t->arena, n + 1, 1);
    struct text *text = new_text(l, bytes, 0);
    if (!bytes || !text) return no_memory(l);
    for (size_t i = 0; i < n;) {
        if (s[i] != '\\') {
            bytes[text->n++] = s[i++];
            continue;
        }
        i++;
        char encoded[4];
        const int n_encoded = unescape(s, n, &i, encoded);
        if (n_encoded < 0) return fail(l, "an escape in a string is no character");
        memcpy(bytes + text->n, encoded, (size_t)n_encoded);
        text->n += (size_t)n_encoded;
    }
    text->n_chars = TEXT_UNCOUNTED;
    template_text_chars(text);
    token->value = template_string(text);
    advance(l, end + 1);
    return CRIA_OK;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Behind the run of digits at `at`, in which single underscores may stand between digits. */
static size_t digits_end(const struct lexer *l, size_t at, int base) {
    size_t i = at;
    while (i < l->n) {
        const int digit = hex_digit(l->s[i]);
        const bool joins =
            l->s[i] == '_' && i > at && i + 1 < l->n && hex_digit(l->s[i + 1]) >= 0 && hex_digit(l->s[i + 1]) < base;
        if (!joins && (digit < 0 || digit >= base)) break;
        i++;
    }
    return i;
}

/* The end of a fraction and exponent behind the digits that end at `at`; `at` itself where it is an integer. */
static size_t float_end(const struct lexer *l, size_t at) {
    size_t i = at;
    if (i + 1 < l->n && l->s[i] == '.' && is_digit(l->s[i + 1])) i = digits_end(l, i + 1, 10);
    if (i < l->n && (l->s[i] == 'e' || l->s[i] == 'E')) {
        const size_t digits = i + 1 + (i + 1 < l->n && (l->s[i + 1] == '+' || l->s[i + 1] == '-'));
        if (digits < l->n && is_digit(l->s[digits])) i = digits_end(l, digits, 10);
    }
    return i;
}

static cria_status lex_number(struct lexer *l) {
    size_t end = digits_end(l, l->at, 10);
    const bool behind_dot = l->at > 0 && l->s[l->at - 1] == '.';
    const size_t end_of_float = behind_dot ? end : float_end(l, end);
    const bool is_float = end_of_float > end;
    const char kind = l->at + 1 < l->n ? (char)(l->s[l->at + 1] | 0x20) : '\0';
    const int base = l->s[l->at] != '0' ? 10 : kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
    if (base != 10) {
        end = digits_end(l, l->at + 2, base);
        if (end == l->at + 2) return fail(l, "a number has no digits");
    } else if (is_float) {
        end = end_of_float;
    } else if (l->s[l->at] == '0') {
        end = l->at + 1; /* a zero in front ends a decimal number, but for more zeros */
        while (end < l->n && (l->s[end] == '0' || (l->s[end] == '_' && end + 1 < l->n && l->s[end + 1] == '0'))) end++;
    }
    CHECK(add(l, is_float ? TOKEN_FLOAT : TOKEN_INTEGER, l->at, end - l->at, NULL));
    advance(l, end);
    return CRIA_OK;
}

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || ((unsigned char)c & 0x80);
}

static cria_status lex_operator(struct lexer *l) {
    static const char *const pairs[] = {"//", "**", "==", "!=", ">=", "<="};
    const char c = l->s[l->at];
    uint16_t op = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (starts(l, l->at, pairs[i])) op = OP2(pairs[i][0], pairs[i][1]);
    if (!op && c && strchr("+-/*%~[](){}><=.:|,;", c)) op = (uint16_t)c;
    if (!op) return ERROR_SET(l->err, CRIA_FORMAT, "template line %u: unexpected character '%c'", l->line, c);
    if (c == '(' || c == '[' || c == '{') {
        if (l->n_open == MAX_BRACKETS) return fail(l, "brackets are nested too deeply");
        l->closers[l->n_open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (l->n_open == 0 || l->closers[--l->n_open] != c)
            return ERROR_SET(l->err, CRIA_FORMAT, "template line %u: unexpected '%c'", l->line, c);
    }
    struct token *token;
    const size_t n = op > 0xFF ? 2 : 1;
    CHECK(add(l, TOKEN_OPERATOR, l->at, n, &token));
    token->op = op;
    advance(l, l->at + n);
    return CRIA_OK;
}

/* The inside of a tag up to its end. */
static cria_status lex_inside(struct lexer *l, bool is_block) {
    const char *const closer = is_block ? "%}" : "}}";
    l->n_open = 0;
    for (;;) {
        advance(l, skip_space(l, l->at));
        if (l->at >= l->n) return CRIA_OK; /* the parser says what is missing */
        const size_t end = l->n_open ? SIZE_MAX : match_end(l, l->at, closer, is_block);
        if (end != SIZE_MAX) {
            CHECK(add(l, is_block ? TOKEN_BLOCK_END : TOKEN_VARIABLE_END, l->at, end - l->at, NULL));
            advance(l, end);
            return CRIA_OK;
        }
        const char c = l->s[l->at];
        if (is_digit(c)) {
            CHECK(lex_number(l));
        } else if (is_name_byte(c)) {
            size_t i = l->at;
            while (i < l->n && is_name_byte(l->s[i])) i++;
            CHECK(add(l, TOKEN_NAME, l->at, i - l->at, NULL));
            advance(l, i);
        } else if (c == '\'' || c == '"') {
            CHECK(lex_string(l));
        } else {
            CHECK(lex_operator(l));
        }
    }
}

/* Data up to the next tag, and that tag. */
static cria_status lex_root(struct lexer *l) {
    size_t at = l->at;
    while (at < l->n && !(l->s[at] == '{' && at + 1 < l->n && strchr("{%#", l->s[at + 1]) && l->s[at + 1])) at++;
    if (at >= l->n) {
        CHECK(add_data(l, l->n, '+', false));
        advance(l, l->n);
        return CRIA_OK;
    }
    const char kind = l->s[at + 1];
    const char sign = sign_at(l, at + 2);
    CHECK(add_data(l, at, sign, kind == '{'));
    const size_t raw = kind == '%' ? match_raw(l, at) : 0;
    advance(l, raw ? raw : at + 2 + (sign != '\0'));
    if (raw) return lex_raw(l);
    if (kind == '#') return lex_comment(l);
    CHECK(add(l, kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_VARIABLE_BEGIN, at, 2, NULL));
    return lex_inside(l, kind == '%');
}

cria_status template_lex(struct template *t, struct tokens *ret, struct cria_error *err) {
    struct lexer l = {
        .t = t, .s = t->source, .n = t->n_source, .line = 1, .line_starting = true, .out = ret, .err = err};
    while (l.at < l.n) CHECK(lex_root(&l));
    CHECK(add(&l, TOKEN_END, l.n, 0, NULL));
    return add(&l, TOKEN_END, l.n, 0, NULL); /* a parser that looks one token ahead stays inside */
}

const char *template_token_text(const struct token *t, char *room, size_t n) {
    static const char *const names[TOKEN_KIND_COUNT] = {
        [TOKEN_END] = "the end of the template",
        [TOKEN_DATA] = "text",
        [TOKEN_VARIABLE_BEGIN] = "{{",
        [TOKEN_VARIABLE_END] = "}}",
        [TOKEN_BLOCK_BEGIN] = "{%",
        [TOKEN_BLOCK_END] = "%}",
    };
    if (names[t->kind]) return names[t->kind];
    const size_t length = t->n < n - 1 ? t->n : n - 1;
    memcpy(room, t->bytes, length);
    room[length] = '\0';
    return room;
}
