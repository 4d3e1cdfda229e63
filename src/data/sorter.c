/* sorter.c: see sorter.h. Runs are sorted in place, byte by byte from the first (American flag sort: McIlroy, Bostic
 * and McIlroy, 1993), and merged through a binary heap. */
#include "data/sorter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

enum { SMALL = 24 };

struct run {
    uint64_t at, end;     /* bytes of the file that were not read into the buffer yet */
    uint64_t first;       /* where it begins */
    uint8_t *buffer;      /* borrowed from the sorter's memory */
    size_t next, n_bytes; /* the record at hand, and what the buffer holds */
};

struct sorter {
    char *folder; /* owned */
    int fd;       /* owned, nameless; -1: nothing was written */
    size_t record_bytes, capacity;
    uint8_t *memory;  /* owned, [capacity * record_bytes] */
    size_t n_records; /* in memory while adding */
    struct run *runs; /* owned, [n_runs] */
    int n_runs;
    uint64_t n_written;
    int *heap; /* owned, [n_heap] of runs: the one with the smallest record first */
    int n_heap;
    bool is_adding, must_advance;
    size_t next; /* where nothing was written: the record at hand in memory */
};

cria_status sorter_create(sorter **ret, const char *folder, size_t record_bytes, size_t memory_bytes,
                          struct cria_error *err) {
    CRIA_ASSERT(record_bytes > 0 && record_bytes <= SORTER_MAX_RECORD);
    sorter *s = ALLOC_NEW(sorter);
    if (!s) return ERROR_NOMEM(err, sizeof *s, "sorting");
    s->fd = -1;
    s->is_adding = true;
    s->record_bytes = record_bytes;
    s->capacity = (memory_bytes < 1 << 20 ? 1 << 20 : memory_bytes) / record_bytes;
    s->folder = alloc_text(folder, strlen(folder));
    s->memory = alloc_array(s->capacity, record_bytes);
    s->runs = alloc_zeroed(SORTER_MAX_RUNS, sizeof *s->runs);
    s->heap = alloc_array(SORTER_MAX_RUNS, sizeof *s->heap);
    if (!s->folder || !s->memory || !s->runs || !s->heap) {
        sorter_destroy(&s);
        return ERROR_NOMEM(err, memory_bytes, "sorting");
    }
    *ret = s;
    return CRIA_OK;
}

void sorter_destroy(sorter **at) {
    sorter *s = *at;
    if (!s) return;
    *at = NULL;
    if (s->fd >= 0) close(s->fd);
    alloc_free(s->folder);
    alloc_free(s->memory);
    alloc_free(s->runs);
    alloc_free(s->heap);
    alloc_free(s);
}

static void swap(uint8_t *a, uint8_t *b, size_t n) {
    uint8_t kept[SORTER_MAX_RECORD];
    memcpy(kept, a, n);
    memcpy(a, b, n);
    memcpy(b, kept, n);
}

static void insertion_sort(uint8_t *records, size_t n, size_t size) {
    uint8_t kept[SORTER_MAX_RECORD];
    for (size_t i = 1; i < n; i++) {
        size_t to = i;
        memcpy(kept, records + i * size, size);
        for (; to > 0 && memcmp(records + (to - 1) * size, kept, size) > 0; to--)
            memcpy(records + to * size, records + (to - 1) * size, size);
        memcpy(records + to * size, kept, size);
    }
}

/* Sorts n records that agree in their first `byte` bytes. As deep as a record has bytes. */
static void sort(uint8_t *records, size_t n, size_t size, size_t byte) {
    if (n <= SMALL) {
        insertion_sort(records, n, size);
        return;
    }
    if (byte == size) return;
    size_t counts[256] = {0}, next[256], ends[256], at = 0;
    for (size_t i = 0; i < n; i++) counts[records[i * size + byte]]++;
    for (int b = 0; b < 256; b++) {
        next[b] = at;
        ends[b] = at += counts[b];
    }
    for (int b = 0; b < 256; b++)
        while (next[b] < ends[b]) {
            const uint8_t to = records[next[b] * size + byte];
            if (to == b) next[b]++;
            else swap(records + next[b] * size, records + next[to]++ * size, size);
        }
    for (int b = 0; b < 256; b++)
        if (counts[b] > 1) sort(records + (ends[b] - counts[b]) * size, counts[b], size, byte + 1);
}

/* A file that has no name any more: it goes with the process, however that ends. */
static cria_status open_temporary(sorter *s, struct cria_error *err) {
    static _Atomic unsigned next;
    char name[64];
    snprintf(name, sizeof name, ".sorting-%ld-%u", (long)getpid(), next++);
    char *path = file_join(s->folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(s->folder), "a path");
    cria_status status = CRIA_OK;
    s->fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0) status = ERROR_SET(err, CRIA_IO, "%s: cannot be created: %s", path, strerror(errno));
    else unlink(path);
    alloc_free(path);
    return status;
}

static cria_status write_run(sorter *s, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (s->n_runs == SORTER_MAX_RUNS)
        return ERROR_SET(err, CRIA_LIMIT, "too many records to sort: at most %d times %zu", SORTER_MAX_RUNS,
                         s->capacity);
    if (s->fd < 0) TRY(open_temporary(s, err));
    sort(s->memory, s->n_records, s->record_bytes, 0);
    const size_t n = s->n_records * s->record_bytes;
    for (size_t done = 0; done < n;) {
        const ssize_t put = write(s->fd, s->memory + done, n - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return ERROR_SET(err, CRIA_IO, "%s: a temporary file cannot be written: %s", s->folder, strerror(errno));
        done += (size_t)put;
    }
    s->runs[s->n_runs++] = (struct run){.first = s->n_written, .end = s->n_written + n};
    s->n_written += n;
    s->n_records = 0;
out:
    return status;
}

cria_status sorter_add(sorter *s, const void *record, struct cria_error *err) {
    CRIA_DASSERT(s->is_adding);
    if (s->n_records == s->capacity) {
        const cria_status status = write_run(s, err);
        if (status != CRIA_OK) return status;
    }
    memcpy(s->memory + s->n_records++ * s->record_bytes, record, s->record_bytes);
    return CRIA_OK;
}

/* Fills the run's buffer; n_bytes 0 at its end. */
static cria_status refill(sorter *s, struct run *run, size_t room, struct cria_error *err) {
    const uint64_t left = run->end - run->at;
    const size_t n = left < room ? (size_t)left : room;
    run->next = run->n_bytes = 0;
    while (run->n_bytes < n) {
        const ssize_t got = pread(s->fd, run->buffer + run->n_bytes, n - run->n_bytes, (off_t)run->at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return ERROR_SET(err, CRIA_IO, "%s: a temporary file cannot be read: %s", s->folder,
                             got ? strerror(errno) : "it is too short");
        run->n_bytes += (size_t)got;
        run->at += (uint64_t)got;
    }
    return CRIA_OK;
}

static bool is_less(const sorter *s, int a, int b) {
    const struct run *ra = &s->runs[a], *rb = &s->runs[b];
    return memcmp(ra->buffer + ra->next, rb->buffer + rb->next, s->record_bytes) < 0;
}

/* Lets the run at place i of the heap sink to where it belongs. */
static void sink(sorter *s, int i) {
    for (;;) {
        int least = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < s->n_heap; child++)
            if (is_less(s, s->heap[child], s->heap[least])) least = child;
        if (least == i) return;
        const int kept = s->heap[i];
        s->heap[i] = s->heap[least];
        s->heap[least] = kept;
        i = least;
    }
}

static size_t room_of_run(const sorter *s) { return s->capacity / (size_t)s->n_runs * s->record_bytes; }

cria_status sorter_rewind(sorter *s, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (s->is_adding) {
        if (s->n_runs && s->n_records) TRY(write_run(s, err));
        if (!s->n_runs) sort(s->memory, s->n_records, s->record_bytes, 0);
        s->is_adding = false;
    }
    s->next = 0;
    s->must_advance = false;
    s->n_heap = s->n_runs;
    for (int i = 0; i < s->n_runs; i++) {
        struct run *run = &s->runs[i];
        run->buffer = s->memory + (size_t)i * room_of_run(s);
        run->at = run->first;
        s->heap[i] = i;
        TRY(refill(s, run, room_of_run(s), err));
    }
    for (int i = s->n_heap / 2 - 1; i >= 0; i--) sink(s, i);
out:
    return status;
}

/* Leaves the smallest record, which was given. */
static cria_status advance(sorter *s, struct cria_error *err) {
    struct run *run = &s->runs[s->heap[0]];
    cria_status status = CRIA_OK;
    run->next += s->record_bytes;
    if (run->next == run->n_bytes) TRY(refill(s, run, room_of_run(s), err));
    if (run->n_bytes == 0) s->heap[0] = s->heap[--s->n_heap];
    sink(s, 0);
out:
    return status;
}

cria_status sorter_next(sorter *s, const uint8_t **ret, bool *ret_more, struct cria_error *err) {
    CRIA_DASSERT(!s->is_adding);
    if (s->n_runs == 0) {
        *ret_more = s->next < s->n_records;
        if (*ret_more) *ret = s->memory + s->next++ * s->record_bytes;
        return CRIA_OK;
    }
    if (s->must_advance) {
        const cria_status status = advance(s, err);
        if (status != CRIA_OK) return status;
    }
    *ret_more = s->must_advance = s->n_heap > 0;
    if (*ret_more) *ret = s->runs[s->heap[0]].buffer + s->runs[s->heap[0]].next;
    return CRIA_OK;
}
