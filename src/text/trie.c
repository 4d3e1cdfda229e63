/* trie.c: a trie as one open-addressing table of edges, at most half full. */
#include "text/trie.h"

#include <string.h>

#include "base/alloc.h"

void trie_deinit(struct trie *t) {
    alloc_free(t->edges);
    alloc_free(t->values);
    *t = (struct trie){0};
}

static uint32_t edge_slot(const uint64_t *edges, uint32_t mask, uint32_t key) {
    uint32_t i = (uint32_t)((key * (uint64_t)0x9E3779B97F4A7C15u) >> 32) & mask;
    while (edges[i] && edges[i] >> 32 != key) i = (i + 1) & mask;
    return i;
}

uint32_t trie_step(const struct trie *t, uint32_t node, uint8_t byte) {
    if (!t->edges) return 0;
    return (uint32_t)t->edges[edge_slot(t->edges, t->mask, node << 8 | byte)];
}

static cria_status grow_edges(struct trie *t, struct cria_error *err) {
    size_t slots = t->edges ? ((size_t)t->mask + 1) * 2 : 256;
    uint64_t *edges = alloc_zeroed(slots, sizeof *edges);
    if (!edges) return ERROR_NOMEM(err, slots * sizeof *edges, "the added tokens");
    for (size_t i = 0; t->edges && i <= t->mask; i++) {
        if (t->edges[i]) edges[edge_slot(edges, (uint32_t)slots - 1, (uint32_t)(t->edges[i] >> 32))] = t->edges[i];
    }
    alloc_free(t->edges);
    t->edges = edges;
    t->mask = (uint32_t)slots - 1;
    return CRIA_OK;
}

static cria_status add_node(struct trie *t, uint32_t *ret, struct cria_error *err) {
    if (t->n_nodes == t->node_capacity) {
        if (t->n_nodes >= TRIE_MAX_NODES)
            return ERROR_SET(err, CRIA_LIMIT, "the added tokens are too many or too long");
        uint32_t capacity = t->node_capacity ? 2 * t->node_capacity : 256;
        uint32_t *values = alloc_resize(t->values, capacity, sizeof *values);
        if (!values) return ERROR_NOMEM(err, capacity * sizeof *values, "the added tokens");
        t->values = values;
        t->node_capacity = capacity;
    }
    t->values[t->n_nodes] = 0;
    *ret = t->n_nodes++;
    return CRIA_OK;
}

static cria_status step_or_add(struct trie *t, uint32_t node, uint8_t byte, uint32_t *ret, struct cria_error *err) {
    cria_status status;
    *ret = trie_step(t, node, byte);
    if (*ret) return CRIA_OK;
    if (!t->edges || 2 * (t->n_edges + 1) > t->mask) TRY(grow_edges(t, err));
    TRY(add_node(t, ret, err));
    t->edges[edge_slot(t->edges, t->mask, node << 8 | byte)] = (uint64_t)(node << 8 | byte) << 32 | *ret;
    t->n_edges++;
out:
    return status;
}

cria_status trie_add(struct trie *t, const char *bytes, size_t n, uint32_t value, bool *ret_is_new,
                     struct cria_error *err) {
    cria_status status;
    uint32_t node = 0;
    if (t->n_nodes == 0) TRY(add_node(t, &node, err));
    for (size_t i = 0; i < n; i++) TRY(step_or_add(t, node, (uint8_t)bytes[i], &node, err));
    *ret_is_new = t->values[node] == 0;
    if (*ret_is_new) t->values[node] = value + 1;
    t->first[(uint8_t)bytes[0]] = true;
    return CRIA_OK;
out:
    return status;
}
