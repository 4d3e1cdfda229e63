/* team.c: see team.h.
 *
 * One word says everything about the current job: its number (high half), whether it is closed, and how many workers
 * are inside it.
 *
 *   published   caller: number + 1, open, 0 inside          (job fields were written before)
 *   joined      worker: inside + 1, only while open          (it may now read the job fields)
 *   left        worker: inside - 1; the last one out of a closed job wakes the caller
 *   closed      caller, when no piece is left; it waits until inside is 0, then may write the fields again */
#include "device/cpu/team.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

enum { SPINS = 2000, FLUSH_AND_ZERO = 0x8040 };
#define JOB_CLOSED (1ull << 31)
#define JOB_INSIDE (JOB_CLOSED - 1)

struct worker {
    team *t;
    int i_thread;
    pthread_t handle;
};

struct team {
    _Alignas(64) _Atomic uint64_t job;
    _Alignas(64) _Atomic int64_t next;  /* first item that nobody took */
    _Alignas(64) _Atomic uint32_t bell; /* rung with each job; what sleeping workers wait on */
    _Atomic uint32_t n_sleeping;
    _Atomic uint32_t done_bell; /* rung by the last worker out of a closed job */
    _Atomic int stopping;
    team_fn *fn;
    void *arg;
    int64_t n_items, grain;
    int n_threads, n_started;
    struct worker *workers; /* owned */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static void take_pieces(team *t, int i_thread) {
    for (;;) {
        const int64_t begin = atomic_fetch_add(&t->next, t->grain);
        if (begin >= t->n_items) return;
        const int64_t end = begin + t->grain < t->n_items ? begin + t->grain : t->n_items;
        t->fn(t->arg, begin, end, i_thread);
    }
}

/* Joins the current job unless it is closed or is the one numbered `last`; returns its number, or last. */
static uint64_t work_once(team *t, int i_thread, uint64_t last) {
    uint64_t job = atomic_load(&t->job);
    for (;;) {
        if (job >> 32 == last) return last;
        if (job & JOB_CLOSED) return job >> 32;
        if (atomic_compare_exchange_weak(&t->job, &job, job + 1)) break;
    }
    const uint64_t number = job >> 32;
    take_pieces(t, i_thread);
    job = atomic_fetch_sub(&t->job, 1);
    if (job & JOB_CLOSED && (job & JOB_INSIDE) == 1) {
        atomic_fetch_add(&t->done_bell, 1);
        futex_wake(&t->done_bell, 1);
    }
    return number;
}

static void wait_for_job(team *t, uint64_t last) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&t->job, memory_order_relaxed) >> 32 != last ||
            atomic_load_explicit(&t->stopping, memory_order_relaxed))
            return;
        _mm_pause();
    }
    atomic_fetch_add(&t->n_sleeping, 1);
    const uint32_t bell = atomic_load(&t->bell);
    if (atomic_load(&t->job) >> 32 == last && !atomic_load(&t->stopping)) futex_wait(&t->bell, bell);
    atomic_fetch_sub(&t->n_sleeping, 1);
}

static void *worker_main(void *arg) {
    const struct worker *w = arg;
    uint64_t last = 0;
    _mm_setcsr(_mm_getcsr() | FLUSH_AND_ZERO);
    while (!atomic_load(&w->t->stopping)) {
        wait_for_job(w->t, last);
        last = work_once(w->t, w->i_thread, last);
    }
    return NULL;
}

static void ring(team *t) {
    atomic_fetch_add(&t->bell, 1);
    if (atomic_load(&t->n_sleeping) > 0) futex_wake(&t->bell, t->n_threads);
}

cria_status team_create(team **ret, int n_threads, struct cria_error *err) {
    cria_status status = CRIA_OK;
    team *t = ALLOC_NEW(team);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "the thread team");
    t->n_threads = n_threads;
    atomic_store(&t->job, JOB_CLOSED);
    t->workers = alloc_zeroed((size_t)n_threads, sizeof *t->workers);
    if (!t->workers) {
        status = ERROR_NOMEM(err, (size_t)n_threads * sizeof *t->workers, "the thread team");
        goto out;
    }
    for (int i = 1; i < n_threads; i++) {
        t->workers[i] = (struct worker){.t = t, .i_thread = i};
        if (pthread_create(&t->workers[i].handle, NULL, worker_main, &t->workers[i]) != 0) {
            status = ERROR_SET(err, CRIA_NOMEM, "the system refuses thread %d of %d; ask for fewer with --threads",
                               i + 1, n_threads);
            goto out;
        }
        t->n_started++;
    }
    *ret = t;
    t = NULL;
out:
    team_destroy(&t);
    return status;
}

void team_destroy(team **t) {
    if (!*t) return;
    atomic_store(&(*t)->stopping, 1);
    atomic_fetch_add(&(*t)->bell, 1);
    futex_wake(&(*t)->bell, (*t)->n_threads);
    for (int i = 1; i <= (*t)->n_started; i++) pthread_join((*t)->workers[i].handle, NULL);
    alloc_free((*t)->workers);
    alloc_free(*t);
    *t = NULL;
}

/* Closes the job and waits for the workers that are inside it. */
static void finish_job(team *t) {
    uint64_t job = atomic_fetch_or(&t->job, JOB_CLOSED);
    for (int i = 0; (job & JOB_INSIDE) && i < SPINS; i++) {
        _mm_pause();
        job = atomic_load(&t->job);
    }
    while (job & JOB_INSIDE) {
        const uint32_t bell = atomic_load(&t->done_bell);
        job = atomic_load(&t->job);
        if (job & JOB_INSIDE) futex_wait(&t->done_bell, bell);
        job = atomic_load(&t->job);
    }
}

void team_for(team *t, int64_t n_items, int64_t grain, team_fn *fn, void *arg) {
    if (n_items <= 0) return;
    if (t->n_threads == 1 || n_items <= grain) {
        fn(arg, 0, n_items, 0);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    t->n_items = n_items;
    t->grain = grain;
    atomic_store(&t->next, 0);
    const uint64_t number = ((atomic_load(&t->job) >> 32) + 1) & 0xffffffffu;
    atomic_store(&t->job, number << 32);
    ring(t);
    take_pieces(t, 0);
    finish_job(t);
}
