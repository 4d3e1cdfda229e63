/* trainer_words.h: how often each piece of text was seen: a hash table from bytes to counts.
 *
 * A word of up to 15 bytes lies in its slot; a longer one in the pool. The table grows without a limit of its own; who
 * fills it bounds it with trainer_words_prune(). Which words it holds and their counts depend on what was added alone;
 * the order of the slots depends on more, and nobody may use it. */
#ifndef TEXT_TRAINER_WORDS_H
#define TEXT_TRAINER_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/tokenizer.h"

#define TRAINER_WORDS_PAD 16              /* bytes behind a word that may be read, whatever they are */
#define TRAINER_WORDS_MAX_BYTES (1 << 30) /* of one word */

struct trainer_word {
    uint64_t low, high; /* up to 15 bytes and their number in the top byte; or place in the pool, and 0xFF and a hash */
    uint64_t count;     /* 0: a free slot */
};

/* All zero: empty. */
struct trainer_words {
    struct trainer_word *slots; /* owned; n_slots, a power of two or 0 */
    size_t n_slots, n_words;
    char *pool; /* owned: for each long word a uint32_t length and its bytes */
    size_t pool_bytes, pool_capacity;
};

/* What pruning took away. */
struct trainer_pruned {
    uint64_t words, occurrences;
    uint64_t count; /* the highest count of a word that went */
};

void trainer_words_deinit(struct trainer_words *w);
/* Adds count to the word's own; n is from 1 to TRAINER_WORDS_MAX_BYTES, and TRAINER_WORDS_PAD bytes behind the word can
 * be read. NOMEM. */
CRIA_MUST_CHECK cria_status trainer_words_add(struct trainer_words *w, const char *bytes, size_t n, uint64_t count,
                                              struct cria_error *err);
/* Adds all words of src. NOMEM. */
CRIA_MUST_CHECK cria_status trainer_words_merge(struct trainer_words *w, const struct trainer_words *src,
                                                struct cria_error *err);
/* Empties the table and keeps its memory. */
void trainer_words_clear(struct trainer_words *w);
/* Where there are more than max_words: drops every word whose count is at most c, for the least c that leaves at most
 * half of max_words (of counts above 4,096, c is taken in coarser steps). Adds to *pruned. */
CRIA_MUST_CHECK cria_status trainer_words_prune(struct trainer_words *w, size_t max_words,
                                                struct trainer_pruned *pruned, struct cria_error *err);
/* The bytes of a used slot; `room` has 16 bytes, where a short word is written. */
struct text_span trainer_words_bytes(const struct trainer_words *w, const struct trainer_word *word, char room[16]);

#endif
