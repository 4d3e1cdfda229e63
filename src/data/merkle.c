/* merkle.c: see merkle.h. */
#include "data/merkle.h"

#include <string.h>

static cria_status hash(uint8_t kind, const uint8_t *a, const uint8_t *b, uint8_t out[DIGEST_BYTES],
                        struct cria_error *err) {
    digest *d = NULL;
    uint8_t sum[DIGEST_BYTES];
    cria_status status = CRIA_OK;
    TRY(digest_create(&d, err));
    digest_add(d, &kind, 1);
    digest_add(d, a, DIGEST_BYTES);
    if (b) digest_add(d, b, DIGEST_BYTES);
    TRY(digest_result(d, sum, err));
    memcpy(out, sum, DIGEST_BYTES);
out:
    digest_destroy(&d);
    return status;
}

static cria_status hash_leaf(const uint8_t *leaf, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    return hash(0, leaf, NULL, out, err);
}

static cria_status hash_pair(const uint8_t *left, const uint8_t *right, uint8_t out[DIGEST_BYTES],
                             struct cria_error *err) {
    return hash(1, left, right, out, err);
}

/* n leaves leave a subtree for each bit of n, the largest first. */
cria_status merkle_add(struct merkle *m, const uint8_t leaf[DIGEST_BYTES], struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    int top = __builtin_popcountll(m->n_leaves);
    cria_status status = CRIA_OK;
    TRY(hash_leaf(leaf, sum, err));
    for (uint64_t n = m->n_leaves; n & 1; n >>= 1) TRY(hash_pair(m->stack[--top], sum, sum, err));
    memcpy(m->stack[top], sum, DIGEST_BYTES);
    m->n_leaves++;
out:
    return status;
}

cria_status merkle_root(const struct merkle *m, uint8_t ret[DIGEST_BYTES], struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    digest *d = NULL;
    int top = __builtin_popcountll(m->n_leaves);
    cria_status status = CRIA_OK;
    if (top == 0) {
        TRY(digest_create(&d, err));
        TRY(digest_result(d, sum, err));
    } else {
        memcpy(sum, m->stack[--top], DIGEST_BYTES);
        while (top > 0) TRY(hash_pair(m->stack[--top], sum, sum, err));
    }
    memcpy(ret, sum, DIGEST_BYTES);
out:
    digest_destroy(&d);
    return status;
}

static cria_status root_of(const uint8_t (*leaves)[DIGEST_BYTES], uint64_t n, uint8_t ret[DIGEST_BYTES],
                           struct cria_error *err) {
    struct merkle m = {.n_leaves = 0};
    for (uint64_t i = 0; i < n; i++) {
        const cria_status status = merkle_add(&m, leaves[i], err);
        if (status != CRIA_OK) return status;
    }
    return merkle_root(&m, ret, err);
}

/* The largest power of two below n, which is at least 2. */
static uint64_t left_part(uint64_t n) { return (uint64_t)1 << (63 - __builtin_clzll(n - 1)); }

cria_status merkle_prove(const uint8_t (*leaves)[DIGEST_BYTES], uint64_t n, uint64_t at, struct merkle_path *ret,
                         struct cria_error *err) {
    struct merkle_path path = {.at = at, .n_leaves = n};
    cria_status status = CRIA_OK;
    CRIA_ASSERT(at < n);
    /* From the root down: the half that the leaf is not in is its sibling at this height. */
    while (n > 1) {
        const uint64_t left = left_part(n);
        uint8_t *sibling = path.siblings[path.n++];
        if (at < left) {
            TRY(root_of(leaves + left, n - left, sibling, err));
            n = left;
        } else {
            TRY(root_of(leaves, left, sibling, err));
            leaves += left;
            at -= left;
            n -= left;
        }
    }
    for (int i = 0; i < path.n / 2; i++) {
        uint8_t kept[DIGEST_BYTES];
        memcpy(kept, path.siblings[i], DIGEST_BYTES);
        memcpy(path.siblings[i], path.siblings[path.n - 1 - i], DIGEST_BYTES);
        memcpy(path.siblings[path.n - 1 - i], kept, DIGEST_BYTES);
    }
    *ret = path;
out:
    return status;
}

cria_status merkle_verify(const struct merkle_path *path, const uint8_t leaf[DIGEST_BYTES],
                          const uint8_t root[DIGEST_BYTES], bool *ret_holds, struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    uint64_t at = path->at, n = path->n_leaves;
    bool is_left[MERKLE_MAX_PATH];
    int height = 0;
    cria_status status = CRIA_OK;
    if (at >= n) {
        *ret_holds = false;
        return CRIA_OK;
    }
    for (; n > 1 && height < MERKLE_MAX_PATH; height++) {
        const uint64_t left = left_part(n);
        is_left[height] = at < left;
        at -= at < left ? 0 : left;
        n = is_left[height] ? left : n - left;
    }
    if (height != path->n) {
        *ret_holds = false;
        return CRIA_OK;
    }
    TRY(hash_leaf(leaf, sum, err));
    for (int i = 0; i < path->n; i++) {
        if (is_left[height - 1 - i]) TRY(hash_pair(sum, path->siblings[i], sum, err));
        else TRY(hash_pair(path->siblings[i], sum, sum, err));
    }
    *ret_holds = memcmp(sum, root, DIGEST_BYTES) == 0;
out:
    return status;
}
