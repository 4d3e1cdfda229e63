/* trie.h: finding which of some strings begin at a place of a text; used for added tokens.
 *
 * Nodes are numbers, the root is 0. A step costs one look into a hash table. Read-only after it is built. */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct trie {
    uint64_t *edges; /* owned; (node << 8 | byte) << 32 | next node; 0: free, as no edge leads to the root */
    uint32_t mask, n_edges;
    uint32_t *values; /* owned; by node: value + 1; 0: no string ends here */
    uint32_t n_nodes, node_capacity;
    bool first[256]; /* whether a string begins with the byte */
};

#define TRIE_MAX_NODES (1u << 20)

void trie_deinit(struct trie *t);
/* Enters a string of n > 0 bytes; where it was entered before *ret_is_new is false and the earlier value stays.
 * Zero-initialise *t before the first. */
CRIA_MUST_CHECK cria_status trie_add(struct trie *t, const char *bytes, size_t n, uint32_t value, bool *ret_is_new,
                                     struct cria_error *err);
/* The node behind `node` by `byte`, 0 where there is none. */
uint32_t trie_step(const struct trie *t, uint32_t node, uint8_t byte);

#endif
