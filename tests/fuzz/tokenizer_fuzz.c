/* tokenizer_fuzz.c: tokenizer files and texts of any bytes.
 *
 *   byte 0 of the input   how many bytes at its end are the text
 *   byte 1                'f': the rest is a file; else the rest is a GGUF vocabulary, a line for each token or merge:
 *                         its type as a letter ('b' is 1, ... ; 'a' a merge), then its bytes
 *
 * What loads has to encode the text to ids of the vocabulary, decode them, and stream them as well-formed UTF-8.
 * Without permission no id is special. Every byte of the text comes back from a byte-level vocabulary that has all of
 * them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

#define MAX_LINES 512

static void require(int holds) {
    if (!holds) abort();
}

static cria_status load_lines(tokenizer **ret, uint8_t mode, const char *bytes, size_t n) {
    struct text_span tokens[MAX_LINES], merges[MAX_LINES];
    float scores[MAX_LINES];
    int32_t types[MAX_LINES];
    size_t n_tokens = 0, n_merges = 0;
    const char *end = bytes + n;
    while (bytes < end && n_tokens < MAX_LINES && n_merges < MAX_LINES) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        const char *behind = newline ? newline : end;
        if (behind > bytes && *bytes == 'a') {
            merges[n_merges++] = (struct text_span){bytes + 1, (size_t)(behind - bytes - 1)};
        } else if (behind > bytes) {
            tokens[n_tokens] = (struct text_span){bytes + 1, (size_t)(behind - bytes - 1)};
            scores[n_tokens] = -(float)(n_tokens % 7);
            types[n_tokens++] = *bytes - 'a';
        }
        bytes = behind + (newline != NULL);
    }
    static const char *const pres[] = {"gpt-2", "llama3", "llama4", "smollm"};
    const struct tokenizer_vocab v = {
        .model = mode & 8 ? "llama" : "gpt2",
        .pre = pres[mode & 3],
        .tokens = tokens,
        .n_tokens = n_tokens,
        .scores = scores,
        .types = types,
        .merges = merges,
        .n_merges = n_merges,
        .bos_id = -1,
        .eos_id = -1,
        .eot_id = -1,
        .eom_id = -1,
        .unknown_id = -1,
        .pad_id = -1,
        .add_bos = -1,
        .add_space_prefix = (mode >> 4) % 3 - 1,
    };
    return tokenizer_from_vocab(ret, &v, NULL);
}

static void check_ids(const tokenizer *t, const struct token_list *list, int may_be_special) {
    struct buffer whole = buffer_make(1 << 24), shown = buffer_make(1 << 25);
    struct tokenizer_stream s = {0};
    for (size_t i = 0; i < list->n; i++) {
        require(list->ids[i] >= 0 && list->ids[i] < tokenizer_size(t));
        require(may_be_special || !tokenizer_is_special(t, list->ids[i]));
        require(tokenizer_stream_add(t, &s, list->ids[i], true, &shown, NULL) == CRIA_OK);
    }
    tokenizer_stream_end(&s, &shown);
    require(utf8_is_valid(buffer_text(&shown), shown.n_bytes));
    require(tokenizer_decode(t, list->ids, list->n, true, &whole, NULL) == CRIA_OK);
    if (utf8_is_valid(buffer_text(&whole), whole.n_bytes)) {
        require(whole.n_bytes == shown.n_bytes && !memcmp(buffer_text(&whole), buffer_text(&shown), whole.n_bytes));
    }
    buffer_free(&whole);
    buffer_free(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    if (n_bytes < 2) return 0;
    const size_t n_text = data[0] < n_bytes - 2 ? data[0] : n_bytes - 2;
    const char *file = (const char *)data + 2, *text = (const char *)data + n_bytes - n_text;
    const size_t n_file = n_bytes - 2 - n_text;
    uint8_t trusted[256];
    struct cria_error err;
    tokenizer *t = NULL;
    const cria_status loaded =
        data[1] == 'f' ? tokenizer_from_bytes(&t, file, n_file, &err) : load_lines(&t, data[1], file, n_file);
    require((loaded == CRIA_OK) == (t != NULL));
    if (!t) return 0;
    for (size_t i = 0; i < n_text; i++) trusted[i] = text[i] & 1;
    const struct tokenizer_options options[] = {{0}, {.special = true, .with_bos = true}, {.trusted = trusted}};
    for (int i = 0; i < 3; i++) {
        struct token_list list = {0};
        const cria_status status = tokenizer_encode(t, text, n_text, &options[i], &list, NULL, &err);
        require(status == CRIA_OK || status == CRIA_LIMIT);
        check_ids(t, &list, i > 0);
        token_list_free(&list);
    }
    tokenizer_destroy(&t);
    return 0;
}
