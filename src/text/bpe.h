/* bpe.h: the merging step shared by all tokenizers: symbols of one piece of text -> token ids.
 *
 * Of all adjacent pairs that may merge, the one with the lowest rank merges first, the leftmost where ranks are equal,
 * until none is left. What differs is a few fields: where ranks come from (a list of merges, or the joined bytes being
 * a token) and what the first symbols are (bytes or characters). Time is linear in the piece but for a sort of what
 * arrives out of order; nothing is allocated for pieces of up to BPE_SHORT symbols. A struct bpe is read-only once
 * built, save bpe.whole. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stdatomic.h>

#include "text/token_table.h"

#define BPE_SHORT 32
#define BPE_NO_RANK UINT32_MAX

struct bpe_pair {
    uint32_t left, right; /* ids */
    uint32_t rank, id;    /* id is the joined token; rank BPE_NO_RANK: a free slot */
};

struct bpe {
    struct token_table table; /* owned */
    /* Merges by pairs of ids; NULL: a pair merges where its joined bytes are an indexed token. */
    struct bpe_pair *pairs; /* owned */
    uint32_t pair_mask;
    /* Where pairs is NULL: the rank of each id; NULL: the id itself. */
    uint32_t *ranks;       /* owned */
    uint32_t n_ranks;      /* all ranks are below it */
    bool characters;       /* the first symbols are characters; else bytes */
    bool whole_first;      /* a piece that is a token is that token, whatever merging would give */
    int32_t byte_ids[256]; /* of a byte on its own, -1: none. With characters: byte fallback */
    int32_t unknown_id;    /* for a symbol that nothing can say; -1: it is dropped before merging and counted */
    bool fuse_unknown;     /* a run of unknown symbols gives one unknown_id */
    /* A bit for each pair of bytes: whether some token has them side by side. Where none has, no merge crosses, and a
     * long piece is cut there. NULL: never cut. */
    uint8_t *joins; /* owned */
    /* For each id: merging its bytes was seen to give (1), or not to give (2), just this id. Filled while encoding. */
    _Atomic uint8_t *whole; /* owned; NULL where whole_first or where pieces are never looked up */
};

/* Working memory of one encode call; zero-initialise, free with bpe_scratch_deinit(). */
struct bpe_scratch {
    struct bpe_node *nodes; /* owned */
    uint32_t *symbols;      /* owned; as many */
    size_t node_capacity;
    struct bpe_queue *queue; /* owned */
    size_t n_dropped;
};

void bpe_deinit(struct bpe *b);
/* Room for n merges. */
CRIA_MUST_CHECK cria_status bpe_pairs_init(struct bpe *b, size_t n, struct cria_error *err);
/* Enters a merge; where the pair was entered before, the later one counts. */
void bpe_pairs_add(struct bpe *b, struct bpe_pair pair);
/* Fills joins once all else is there; does nothing where cutting could change what is fused. */
CRIA_MUST_CHECK cria_status bpe_learn_joins(struct bpe *b, struct cria_error *err);
void bpe_scratch_deinit(struct bpe_scratch *s);
/* Appends the ids of one piece, n > 0. */
CRIA_MUST_CHECK cria_status bpe_encode_piece(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                                             struct token_list *list, struct cria_error *err);

#endif
