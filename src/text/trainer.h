/* trainer.h: learning a byte-level BPE vocabulary from text.
 *
 * Text is cut into words by a splitter, words are counted, and then the pair of neighbouring tokens that occurs most
 * often is merged into a new token, again and again. The result equals that of the reference trainer (the BpeTrainer
 * of the tokenizers library) on the same items: ids are the special tokens in their order, the 256 characters of the
 * byte alphabet by code point, then the merges in theirs; among pairs of equal count the one with the lower ids (left,
 * then right) comes first.
 *
 * Callers may believe: the result depends on the items in their order and on the options, never on the number of
 * threads; memory is bounded by max_words, whatever the size of the text. An item is what the splitter sees at once:
 * no word crosses from one to the next. One thread at a time for one trainer. */
#ifndef TEXT_TRAINER_H
#define TEXT_TRAINER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define TRAINER_MAX_VOCABULARY (1 << 20)
#define TRAINER_MAX_SPECIAL 1024
#define TRAINER_MAX_THREADS 64
#define TRAINER_MAX_WORDS 6000000                /* what max_words = 0 means */
#define TRAINER_MAX_ITEM_BYTES ((size_t)1 << 28) /* of one item; LIMIT beyond */
#define TRAINER_ROUND_BYTES ((uint64_t)64 << 20) /* what round_bytes = 0 means */

enum trainer_splitter { TRAINER_LLAMA3, TRAINER_GPT2, TRAINER_LLAMA4, TRAINER_SMOLLM, TRAINER_SPLITTER_COUNT };

struct trainer_options {
    enum trainer_splitter splitter;
    int64_t vocabulary;         /* ids to make, at least 256 and the special ones */
    int64_t min_count;          /* a pair that occurs less often is not merged; 0 is the same as 1 */
    const char *const *special; /* texts of special tokens, in the order of their ids; borrowed until the end */
    int n_special;
    const char *bos, *eos; /* of the special tokens: put in front of texts, and ends them; NULL: none; borrowed */
    int threads;           /* that count words; 1: the caller's own */
    /* Distinct words that are held; 0: TRAINER_MAX_WORDS. Where a round of text ends with more, the rarest are
     * forgotten until half as many are left; trainer_report() says how many. A word takes about 300 bytes in the end.
     */
    size_t max_words;
    uint64_t round_bytes; /* 0: TRAINER_ROUND_BYTES; a round is this much text, up to the end of a block */
};

struct trainer_report {
    uint64_t items, bytes, words, distinct_words;
    uint64_t forgotten_words, forgotten_occurrences, forgotten_count; /* the last: none seen more often was forgotten */
    int64_t tokens, merges;                                           /* fewer than asked where no pair is left */
    uint64_t last_count;                                              /* how often the last pair merged occurred */
};

typedef struct trainer trainer;

/* USAGE where an option is out of its range; where a special token is empty, comes twice or is one word of plain text;
 * where bos or eos is no special token. */
CRIA_MUST_CHECK cria_status trainer_create(trainer **ret, const struct trainer_options *options,
                                           struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void trainer_destroy(trainer **t);
/* Counts the words of one item; the bytes are copied. After a failure only trainer_destroy(). */
CRIA_MUST_CHECK cria_status trainer_add(trainer *t, const char *item, size_t n, struct cria_error *err);
/* Learns the merges; nothing can be added any more. FORMAT where there was no text at all. */
CRIA_MUST_CHECK cria_status trainer_learn(trainer *t, struct cria_error *err);
/* Counts of a trainer that has learned. */
struct trainer_report trainer_report(const trainer *t);
/* Appends what tokenizer.json and tokenizer_config.json are to hold, once it has learned. */
CRIA_MUST_CHECK cria_status trainer_write_json(const trainer *t, struct buffer *out, struct cria_error *err);
CRIA_MUST_CHECK cria_status trainer_write_config(const trainer *t, struct buffer *out, struct cria_error *err);

#endif
