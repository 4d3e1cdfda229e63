/* tokenizer_tiktoken.c: tiktoken files: a line for each token, base64 of its bytes, a space, its rank, which is its id.
 *
 * How many lines there are says which family it is: 128,000 are Llama 3, 200,000 Llama 4. Ranks count up from 0. */
#include <stdio.h>
#include <string.h>

#include "text/tiktoken.h"
#include "text/tokenizer_parts.h"

struct family {
    uint32_t base, n_special;
    const char *name;
    split_fn *split;
    size_t (*special_name)(int i, char out[TIKTOKEN_MAX_NAME]);
    const char *bos, *eos;
    const char *stops[3];
};

static const struct family families[] = {
    {TIKTOKEN_LLAMA3_BASE,
     TIKTOKEN_LLAMA3_SPECIAL,
     "Llama 3",
     split_llama3,
     tiktoken_llama3_name,
     "<|begin_of_text|>",
     "<|end_of_text|>",
     {"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"}},
    {TIKTOKEN_LLAMA4_BASE,
     TIKTOKEN_LLAMA4_SPECIAL,
     "Llama 4",
     split_llama4,
     tiktoken_llama4_name,
     "<|begin_of_text|>",
     "<|end_of_text|>",
     {"<|end_of_text|>", "<|eom|>", "<|eot|>"}},
};

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes n characters of padded base64 to out; returns the bytes, or -1. */
static ptrdiff_t base64_read(const char *text, size_t n, char *out) {
    if (n == 0 || n % 4) return -1;
    size_t count = 0, padding = text[n - 1] != '=' ? 0 : text[n - 2] != '=' ? 1 : 2;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word = 0;
        size_t used = i + 4 == n ? 4 - padding : 4;
        for (size_t j = 0; j < 4; j++) {
            int value = j < used ? base64_value(text[i + j]) : 0;
            if (value < 0) return -1;
            word = word << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j + 1 < used; j++) out[count++] = (char)(word >> (16 - 8 * j));
    }
    return (ptrdiff_t)count;
}

/* One line without its newline. */
static cria_status read_line(tokenizer *t, uint32_t id, const char *line, size_t n, struct cria_error *err) {
    char bytes[TOKEN_MAX_BYTES + 4], rank[16];
    const char *space = memchr(line, ' ', n);
    size_t n_base64 = space ? (size_t)(space - line) : 0;
    if (n_base64 / 4 * 3 > TOKEN_MAX_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "line %u: a token of more than %d bytes", id + 1, TOKEN_MAX_BYTES);
    }
    ptrdiff_t n_bytes = space ? base64_read(line, n_base64, bytes) : -1;
    if (n_bytes < 0) return ERROR_SET(err, CRIA_FORMAT, "line %u: expected base64, a space and a rank", id + 1);
    size_t n_rank = (size_t)snprintf(rank, sizeof rank, "%u", id);
    if (n - n_base64 - 1 != n_rank || memcmp(space + 1, rank, n_rank) != 0) {
        return ERROR_SET(err, CRIA_FORMAT, "line %u: expected the rank %u, found '%.*s'", id + 1, id,
                         (int)(n - n_base64 - 1 < 20 ? n - n_base64 - 1 : 20), space + 1);
    }
    return tokenizer_set_token(t, id, bytes, (size_t)n_bytes, TOKEN_NORMAL, err);
}

static uint32_t count_lines(const char *bytes, size_t n) {
    uint32_t lines = 0;
    for (const char *p = bytes, *end = bytes + n; p < end && lines < UINT32_MAX; lines++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        p = newline ? newline + 1 : end;
    }
    return lines;
}

static cria_status read_lines(tokenizer *t, const char *bytes, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint32_t id = 0;
    for (const char *p = bytes, *end = bytes + n; p < end; id++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t length = (size_t)((newline ? newline : end) - p);
        TRY(read_line(t, id, p, length, err));
        p += length + 1;
        if (!newline) break;
    }
    tokenizer_find_bytes(t);
    for (int i = 0; i < 256; i++) {
        if (t->bpe.byte_ids[i] < 0)
            return ERROR_SET(err, CRIA_FORMAT, "the byte %02X is no token of the file", (unsigned)i);
    }
out:
    return status;
}

static cria_status add_specials(tokenizer *t, const struct family *f, struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (uint32_t i = 0; i < f->n_special; i++) {
        char name[TIKTOKEN_MAX_NAME];
        size_t n = f->special_name((int)i, name);
        TRY(tokenizer_set_token(t, f->base + i, name, n, TOKEN_SPECIAL, err));
        TRY(tokenizer_add_added(t, (struct added_token){.id = f->base + i, .special = true}, err));
    }
    t->bos_id = tokenizer_special_id(t, f->bos, strlen(f->bos));
    t->eos_id = tokenizer_special_id(t, f->eos, strlen(f->eos));
    for (int i = 0; i < 3; i++) tokenizer_add_stop(t, tokenizer_special_id(t, f->stops[i], strlen(f->stops[i])));
    t->adds_bos = true;
out:
    return status;
}

cria_status tokenizer_from_tiktoken(tokenizer **ret, const char *bytes, size_t n, struct cria_error *err) {
    uint32_t lines = count_lines(bytes, n);
    const struct family *f = NULL;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (families[i].base == lines) f = &families[i];
    }
    if (!f) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "a tiktoken file of %u lines; Cria knows Llama 3 (%d) and Llama 4 (%d)",
                         lines, TIKTOKEN_LLAMA3_BASE, TIKTOKEN_LLAMA4_BASE);
    }
    tokenizer *t = NULL;
    cria_status status;
    TRY(tokenizer_create(&t, f->base + f->n_special, err));
    t->bpe.whole_first = true;
    t->bpe.n_ranks = f->base;
    TRY(split_chain_add(&t->splits, (struct split_step){.kind = SPLIT_FUNCTION, .function = f->split}, err));
    TRY(read_lines(t, bytes, n, err));
    TRY(add_specials(t, f, err));
    snprintf(t->kind, sizeof t->kind, "tiktoken, %s", f->name);
    TRY(tokenizer_finish(t, err));
    *ret = t;
    return CRIA_OK;
out:
    tokenizer_destroy(&t);
    return status;
}
