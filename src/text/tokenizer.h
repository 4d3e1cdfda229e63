/* tokenizer.h: text <-> token ids, equal to the reference libraries, for byte-level BPE, tiktoken files and
 * SentencePiece.
 *
 * Callers may believe: encoding never fails on any bytes except where a limit says so; plain text never produces a
 * special token; decoding a byte-level vocabulary gives back the bytes. They must never know which algorithm runs.
 * A tokenizer is read-only after creation: any number of threads may encode and decode at once. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct tokenizer tokenizer;

/* A growing list of ids; zero-initialise it, free with token_list_free(). */
struct token_list {
    int32_t *ids; /* owned */
    size_t n, capacity;
};
void token_list_free(struct token_list *list);
/* Makes room for n more ids. */
CRIA_MUST_CHECK cria_status token_list_reserve(struct token_list *list, size_t n, struct cria_error *err);
CRIA_MUST_CHECK cria_status token_list_add(struct token_list *list, int32_t id, struct cria_error *err);

struct text_span {
    const char *bytes;
    size_t n;
}; /* borrowed */

/* What a GGUF file says about its tokenizer; borrowed during creation only. */
struct tokenizer_vocab {
    const char *model; /* tokenizer.ggml.model: "llama", "gpt2" */
    const char *pre;   /* tokenizer.ggml.pre or NULL */
    const struct text_span *tokens;
    size_t n_tokens;
    const float *scores;  /* n_tokens or NULL */
    const int32_t *types; /* n_tokens or NULL; 1 normal 2 unknown 3 control 4 user defined 5 unused 6 byte */
    const struct text_span *merges;
    size_t n_merges;
    int64_t bos_id, eos_id, eot_id, eom_id, unknown_id, pad_id; /* -1: none */
    int add_bos, add_space_prefix;                              /* -1: not said */
};

CRIA_MUST_CHECK cria_status tokenizer_from_vocab(tokenizer **ret, const struct tokenizer_vocab *v,
                                                 struct cria_error *err);
/* text: a whole tokenizer.json. */
CRIA_MUST_CHECK cria_status tokenizer_from_json(tokenizer **ret, const char *text, size_t n, struct cria_error *err);
/* bytes: a tiktoken file (Llama 3: 128,000 lines, Llama 4: 200,000); special tokens by rule (docs/FORMATS.md). */
CRIA_MUST_CHECK cria_status tokenizer_from_tiktoken(tokenizer **ret, const char *bytes, size_t n,
                                                    struct cria_error *err);
/* bytes: a SentencePiece model (protobuf, type BPE). */
CRIA_MUST_CHECK cria_status tokenizer_from_sentencepiece(tokenizer **ret, const char *bytes, size_t n,
                                                         struct cria_error *err);
/* A whole file of any of the three kinds, recognised by its content. */
CRIA_MUST_CHECK cria_status tokenizer_from_bytes(tokenizer **ret, const char *bytes, size_t n, struct cria_error *err);
/* The same from a file: tokenizer.json, tiktoken, SentencePiece. */
CRIA_MUST_CHECK cria_status tokenizer_open(tokenizer **ret, const char *path, struct cria_error *err);
void tokenizer_destroy(tokenizer **t);

/* What files beside a tokenizer's own say about it; borrowed. */
struct tokenizer_special {
    struct text_span bos, eos; /* the tokens' texts; bytes NULL: not said; n 0: there is none */
    int add_bos;               /* -1: not said */
};
/* Makes t follow them; before t is shared. A token that was only an added one becomes a special one. FORMAT where a
 * text is neither, or where bos is another token than the tokenizer puts in front. After a failure t is good for
 * nothing but tokenizer_destroy(). */
CRIA_MUST_CHECK cria_status tokenizer_set_special(tokenizer *t, const struct tokenizer_special *special,
                                                  struct cria_error *err);

struct tokenizer_options {
    bool with_bos; /* put the beginning-of-text id in front where the tokenizer has one */
    bool special;  /* the whole text may spell special tokens */
    const uint8_t
        *trusted; /* NULL, or a byte for each byte of the text: a special token counts where all of its bytes are 1 */
    int threads;  /* that may work on a long text; below 2: the caller's alone. Never changes an id. */
};

/* Appends ids to *list. dropped (may be NULL) counts the bytes that the vocabulary cannot say and the reference drops.
 */
CRIA_MUST_CHECK cria_status tokenizer_encode(const tokenizer *t, const char *text, size_t n,
                                             const struct tokenizer_options *options, struct token_list *list,
                                             size_t *ret_dropped, struct cria_error *err);

/* Streaming decode: zero-initialise, one for each output stream; free with tokenizer_stream_free(). */
struct tokenizer_stream {
    char held[4]; /* the bytes of a character that is not complete yet */
    int n_held;
    bool started; /* something was decoded: SentencePiece's leading space is dropped only at the start */
};
/* Appends to *out the bytes that id completes; whole characters only, malformed bytes become U+FFFD. Special tokens
 * give nothing unless with_special. RANGE for an id outside the vocabulary. */
struct buffer;
CRIA_MUST_CHECK cria_status tokenizer_stream_add(const tokenizer *t, struct tokenizer_stream *s, int32_t id,
                                                 bool with_special, struct buffer *out, struct cria_error *err);
/* What is still held, as U+FFFD. */
void tokenizer_stream_end(struct tokenizer_stream *s, struct buffer *out);
/* The exact bytes of all ids (no replacement of malformed ones). */
CRIA_MUST_CHECK cria_status tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n, bool with_special,
                                             struct buffer *out, struct cria_error *err);

int32_t tokenizer_size(const tokenizer *t);  /* ids are 0 .. size - 1; there may be unused ones */
int64_t tokenizer_bos(const tokenizer *t);   /* -1: none */
int64_t tokenizer_eos(const tokenizer *t);   /* -1: none */
bool tokenizer_adds_bos(const tokenizer *t); /* what the reference's encode() does by default */
bool tokenizer_is_special(const tokenizer *t, int32_t id);
/* Ids that end an answer, by rule or as the file says (eos, eot, eom); returns how many, at most max. */
int tokenizer_stop_ids(const tokenizer *t, int32_t *out, int max);
/* The id of a special token by its text, -1 where there is none. */
int32_t tokenizer_special_id(const tokenizer *t, const char *text, size_t n);
/* The exact bytes of one token (a special one: its name); borrowed from t; n = 0 for an unused id. */
struct text_span tokenizer_token(const tokenizer *t, int32_t id);
/* "byte-level BPE, pre-tokenizer llama3"; borrowed. */
const char *tokenizer_kind(const tokenizer *t);
/* The i-th note about what the file says and Cria ignores (truncation, padding), or NULL. */
const char *tokenizer_note(const tokenizer *t, int i);

#endif
