/* template_arena.c: memory that is taken piece by piece and given back at once, within a stated number of bytes.
 *
 * What counts against the limit is what was asked of the heap, so a render's footprint never passes its budget. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "text/template_private.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t padding; /* the data behind the chunk stays aligned to 16 bytes */
};

#define FIRST_CHUNK_BYTES ((size_t)16 << 10)
#define LARGEST_CHUNK_BYTES ((size_t)256 << 10)

/* Adds a chunk with room for at least n bytes; zero without memory or over the limit. */
static int add_chunk(struct template_arena *a, size_t n) {
    size_t capacity = a->capacity ? a->capacity * 2 : FIRST_CHUNK_BYTES;
    if (capacity > LARGEST_CHUNK_BYTES) capacity = LARGEST_CHUNK_BYTES;
    if (capacity < n) capacity = n;
    size_t bytes, total;
    if (checked_add_size(capacity, sizeof(struct arena_chunk), &bytes)) return 0;
    if (checked_add_size(a->total_bytes, bytes, &total) || total > a->max_bytes) return 0;
    struct arena_chunk *chunk = alloc_zeroed(1, bytes);
    if (!chunk) {
        a->out_of_memory = true;
        return 0;
    }
    a->total_bytes = total;
    /* A chunk for one large piece goes behind the newest, which may still have room. */
    if (a->chunks && n > LARGEST_CHUNK_BYTES / 2) {
        chunk->next = a->chunks->next;
        a->chunks->next = chunk;
        return 1;
    }
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->used = 0;
    a->capacity = capacity;
    return 1;
}

void *template_take(struct template_arena *a, size_t n, size_t size) {
    size_t bytes;
    if (checked_mul_size(n, size, &bytes) || checked_round_up(bytes ? bytes : 1, 16, &bytes)) return NULL;
    if (a->capacity - a->used < bytes) {
        if (!add_chunk(a, bytes)) return NULL;
        if (a->capacity - a->used < bytes) return a->chunks->next + 1;
    }
    void *p = (char *)(a->chunks + 1) + a->used;
    a->used += bytes;
    return p;
}

void template_arena_deinit(struct template_arena *a) {
    while (a->chunks) {
        struct arena_chunk *next = a->chunks->next;
        alloc_free(a->chunks);
        a->chunks = next;
    }
    a->used = a->capacity = 0;
}
