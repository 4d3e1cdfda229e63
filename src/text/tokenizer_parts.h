/* tokenizer_parts.h: what a tokenizer is made of; only tokenizer_*.c include this.
 *
 * Text passes: added tokens that are matched as they stand -> normaliser -> added tokens matched in normalised text ->
 * splitter -> bpe. A reader of some file format fills the parts, then calls tokenizer_finish(), which checks them. */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#include "base/buffer.h"
#include "text/bpe.h"
#include "text/normalise.h"
#include "text/split_chain.h"
#include "text/trie.h"

#define TOKENIZER_MAX_TEXT ((size_t)1 << 30) /* bytes of one encode call */
#define TOKENIZER_MAX_NOTES 8
#define TOKENIZER_MAX_STOPS 16

enum token_kind {
    TOKEN_UNUSED,
    TOKEN_NORMAL,
    TOKEN_BYTE,    /* SentencePiece's <0xNN> */
    TOKEN_SPECIAL, /* control: only where the caller allows it */
    TOKEN_ADDED,   /* matched in any text */
    TOKEN_LITERAL, /* has a text that is never found in text: the unknown token, what the byte alphabet cannot say */
};

struct added_token {
    uint32_t id;
    bool special, left_strip, right_strip, single_word;
    bool normalised;     /* matched in normalised text */
    bool in_normal_form; /* its text is written as it is there; else it is normalised itself */
};

struct tokenizer {
    struct bpe bpe; /* with the table of all tokens */
    uint8_t *kinds; /* owned; enum token_kind by id */
    struct normaliser normaliser;
    struct normaliser marks; /* Metaspace: of each stretch, behind the added tokens */
    struct split_chain splits;
    struct added_token *added; /* owned */
    size_t n_added, added_capacity;
    struct trie raw, normalised; /* values: indices into added */
    bool any_always;             /* some added token is matched in any text */
    /* What ids decode to: the table's bytes, or for SentencePiece the text that pieces stand for. */
    const char *out_bytes;                /* borrowed from out_pool or the table */
    const struct token_place *out_places; /* the same */
    char *out_pool;                       /* owned or NULL */
    struct token_place *out_pool_places;  /* owned or NULL */
    bool strips_space;                    /* decoding drops one space at the start */
    bool metaspace;                       /* pieces write a space as U+2581 */
    int64_t bos_id, eos_id;
    bool adds_bos;
    int32_t stops[TOKENIZER_MAX_STOPS];
    int n_stops;
    char kind[96];
    char *notes[TOKENIZER_MAX_NOTES]; /* owned */
};

/* A tokenizer for ids 0 .. n_tokens - 1 with nothing set. */
CRIA_MUST_CHECK cria_status tokenizer_create(tokenizer **ret, size_t n_tokens, struct cria_error *err);
/* Gives id its text and kind; NORMAL ones are found in text. FORMAT where it has one already or another id has the
 * same. */
CRIA_MUST_CHECK cria_status tokenizer_set_token(tokenizer *t, uint32_t id, const char *bytes, size_t n,
                                                enum token_kind kind, struct cria_error *err);
/* Enters a token that is matched as a whole; its id has its text already. */
CRIA_MUST_CHECK cria_status tokenizer_add_added(tokenizer *t, struct added_token added, struct cria_error *err);
/* Enters merge number `rank` of two tokens that are written as the file writes them; FORMAT where one of them, or both
 * joined, is no token. */
CRIA_MUST_CHECK cria_status tokenizer_add_merge(tokenizer *t, uint32_t rank, struct text_span left,
                                                struct text_span right, struct cria_error *err);
/* For a vocabulary without merges: FORMAT where it has tokens that only a merge could make. */
CRIA_MUST_CHECK cria_status tokenizer_check_no_merges(const tokenizer *t, struct cria_error *err);
/* Learns the 256 ids of single bytes from the table (byte-level vocabularies). */
void tokenizer_find_bytes(tokenizer *t);
/* The same from tokens of kind TOKEN_BYTE, whose text is exactly "<0x" two hexadecimal digits ">"; FORMAT for another
 * text. */
CRIA_MUST_CHECK cria_status tokenizer_find_byte_tokens(tokenizer *t, struct cria_error *err);
/* Adds id to those that end an answer; ignores -1 and what is there already. */
void tokenizer_add_stop(tokenizer *t, int64_t id);
/* Adds the special tokens whose names say that they end an answer. */
void tokenizer_add_named_stops(tokenizer *t);
/* FORMAT naming the key where id is neither -1 nor of the vocabulary. */
CRIA_MUST_CHECK cria_status tokenizer_check_id(const tokenizer *t, const char *key, int64_t id, struct cria_error *err);
CRIA_MUST_CHECK cria_status tokenizer_add_note(tokenizer *t, struct cria_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Builds what follows from the parts. */
CRIA_MUST_CHECK cria_status tokenizer_finish(tokenizer *t, struct cria_error *err);

#endif
