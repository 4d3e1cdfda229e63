/* proof.c: looking a document up among the leaves of a data folder; see proof.h. */
#include "data/proof.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

/* The number of leaves below the digest. */
static uint64_t find_place(const uint8_t (*leaves)[DIGEST_BYTES], uint64_t n, const uint8_t wanted[DIGEST_BYTES]) {
    uint64_t low = 0, high = n;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (memcmp(leaves[middle], wanted, DIGEST_BYTES) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static cria_status hash_cleaned(const struct data_manifest *m, const char *text, size_t n, uint8_t out[DIGEST_BYTES],
                                struct cria_error *err) {
    cria_status status = CRIA_OK;
    bool is_changed;
    digest *d = NULL;
    char *copy = alloc_text(text, n);
    if (!copy) return ERROR_NOMEM(err, n, "a document");
    for (int i = 0; i < CLEAN_COUNT; i++)
        if (m->clean[i]) n = clean_rules[i].run(copy, n, &is_changed);
    TRY(digest_create(&d, err));
    digest_add(d, copy, n);
    TRY(digest_result(d, out, err));
out:
    digest_destroy(&d);
    alloc_free(copy);
    return status;
}

static cria_status read_root(const char *hex, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_BYTES; i++) {
        const char *high = strchr(digits, hex[2 * i]), *low = strchr(digits, hex[2 * i + 1]);
        if (!high || !low) return ERROR_SET(err, CRIA_FORMAT, "expected hexadecimal, found '%s'", hex);
        out[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return CRIA_OK;
}

/* The leaf at a place with its path, held to the root. */
static cria_status prove(const uint8_t (*leaves)[DIGEST_BYTES], uint64_t n, uint64_t at,
                         const uint8_t root[DIGEST_BYTES], struct proof_leaf *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    bool holds;
    memcpy(ret->digest, leaves[at], DIGEST_BYTES);
    TRY(merkle_prove(leaves, n, at, &ret->path, err));
    TRY(merkle_verify(&ret->path, ret->digest, root, &holds, err));
    if (!holds)
        status =
            ERROR_SET(err, CRIA_FORMAT, "%s does not have the Merkle root that %s says; `cria data check` tells more",
                      DATA_LEAVES_NAME, DATA_MANIFEST_NAME);
out:
    return status;
}

static cria_status find(const struct file_map *map, struct proof *p, struct cria_error *err) {
    const uint8_t(*leaves)[DIGEST_BYTES] = (const uint8_t(*)[DIGEST_BYTES])map->data;
    const uint64_t n = map->n_bytes / DIGEST_BYTES, place = find_place(leaves, n, p->digest);
    uint8_t root[DIGEST_BYTES];
    cria_status status = CRIA_OK;
    TRY(read_root(p->root, root, err));
    p->is_in = place < n && memcmp(leaves[place], p->digest, DIGEST_BYTES) == 0;
    if (p->is_in) return prove(leaves, n, place, root, &p->leaf, err);
    p->has_before = place > 0;
    p->has_after = place < n;
    if (p->has_before) TRY(prove(leaves, n, place - 1, root, &p->before, err));
    if (p->has_after) TRY(prove(leaves, n, place, root, &p->after, err));
out:
    return status;
}

cria_status proof_find(const char *folder, const char *text, size_t n, struct proof *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct data_manifest m = {0};
    struct proof p = {0};
    struct file_map *map = NULL;
    char *path = file_join(folder, DATA_LEAVES_NAME);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    TRY(data_manifest_read(&m, folder, err));
    TRY(file_map_open(&map, path, err));
    if (map->n_bytes != m.n_documents * DIGEST_BYTES) {
        status = ERROR_SET(err, CRIA_FORMAT, "%s: expected %llu bytes as in %s, found %zu", path,
                           (unsigned long long)(m.n_documents * DIGEST_BYTES), DATA_MANIFEST_NAME, map->n_bytes);
        goto out;
    }
    memcpy(p.root, m.root, sizeof p.root);
    TRY(hash_cleaned(&m, text, n, p.digest, err));
    file_watch_begin(map);
    const cria_status found = find(map, &p, err);
    TRY(file_watch_end(map, err)); /* a file that was cut explains whatever was found in it */
    TRY(found);
    *ret = p;
out:
    file_map_close(&map);
    data_manifest_free(&m);
    alloc_free(path);
    return status;
}
