/* file_map.c: mapped files and the guard against one that is cut while it is mapped (see file.h).
 *
 * The kernel answers a read behind the new end with SIGBUS on the reading thread. The handler jumps back into
 * file_guard() if the address lies in the mapping that this thread guards, and otherwise passes the signal to
 * whoever handled it before. The handler is installed once and stays. For a mapping that is watched, which any thread
 * may read, it puts a page of zeros where the file has none and marks the map. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

cria_status file_map_open(struct file_map **ret, const char *path, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint64_t bytes;
    struct file_map *map = ALLOC_NEW(struct file_map);
    if (!map) return ERROR_NOMEM(err, sizeof *map, path);
    struct stat st = {0};
    map->fd = -1;
    map->path = alloc_text(path, strlen(path));
    if (!map->path) {
        status = ERROR_NOMEM(err, strlen(path), path);
        goto out;
    }
    TRY(file_open_read(path, &map->fd, &bytes, err));
    if (fstat(map->fd, &st) == 0) map->changed_at = st.st_mtim;
    if (bytes > 0) {
        void *data = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, map->fd, 0);
        if (data == MAP_FAILED) {
            status = ERROR_SET(err, errno == ENOMEM ? CRIA_NOMEM : CRIA_IO, "%s: cannot be mapped (%llu bytes): %s",
                               path, (unsigned long long)bytes, strerror(errno));
            goto out;
        }
        map->data = data;
        map->n_bytes = (size_t)bytes;
    }
    *ret = map;
    map = NULL;
out:
    file_map_close(&map);
    return status;
}

void file_map_close(struct file_map **map) {
    struct file_map *m = *map;
    if (!m) return;
    if (m->data) munmap((void *)m->data, m->n_bytes);
    if (m->fd >= 0) close(m->fd);
    alloc_free(m->path);
    alloc_free(m);
    *map = NULL;
}

/* What this thread guards; map is NULL outside file_guard(). */
struct guard {
    const struct file_map *volatile map;
    sigjmp_buf back;
};
static _Thread_local struct guard guard;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;

/* Maps between file_watch_begin() and file_watch_end(), in any slots. */
#define MAX_WATCHED 4096
static _Atomic(struct file_map *) watched[MAX_WATCHED];
static size_t page_bytes;
static struct sigaction action_before;

/* Runs in the signal handler: atomics and a system call alone. (Not mmap(): ThreadSanitizer takes that for a write to
 * the page, which races with whoever reads it.) */
static int fill_watched(const uint8_t *address) {
    for (int i = 0; i < MAX_WATCHED; i++) {
        struct file_map *map = atomic_load(&watched[i]);
        if (!map || address < map->data) continue;
        /* A mapping owns whole pages, and a wide load may touch the last one behind n_bytes. */
        const size_t at = (size_t)(address - map->data) / page_bytes * page_bytes;
        if (at >= map->n_bytes) continue;
        void *page = (void *)(map->data + at);
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        /* To the end: what lies behind a cut is gone as well. */
        if (syscall(SYS_mmap, page, map->n_bytes - at, PROT_READ, flags, -1, 0L) == -1) return 0;
        atomic_store(&map->is_cut, 1);
        return 1;
    }
    return 0;
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    const struct file_map *map = guard.map;
    const uint8_t *address = info->si_addr;
    if (map && address >= map->data && address < map->data + map->n_bytes) siglongjmp(guard.back, 1);
    if (fill_watched(address)) return;
    if (action_before.sa_flags & SA_SIGINFO) {
        action_before.sa_sigaction(signal_number, info, context);
    } else if (action_before.sa_handler != SIG_DFL && action_before.sa_handler != SIG_IGN) {
        action_before.sa_handler(signal_number);
    } else {
        /* Back to the default: the faulting instruction runs again and ends the process with SIGBUS. */
        signal(signal_number, SIG_DFL);
    }
}

static void install_handler(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &action_before);
}

static cria_status fail_cut(const struct file_map *map, struct cria_error *err) {
    struct stat st = {0};
    if (fstat(map->fd, &st) == 0 && (uint64_t)st.st_size < map->n_bytes)
        return ERROR_SET(err, CRIA_IO, "%s: the file was cut while it was in use: it had %zu bytes, now %llu",
                         map->path, map->n_bytes, (unsigned long long)st.st_size);
    return ERROR_SET(err, CRIA_IO, "%s: the disk failed to give a part of the file", map->path);
}

cria_status file_guard(const struct file_map *map, cria_status (*fn)(void *arg, struct cria_error *err), void *arg,
                       struct cria_error *err) {
    CRIA_ASSERT(guard.map == NULL);
    pthread_once(&guard_once, install_handler);
    if (atomic_load(&map->is_cut)) return fail_cut(map, err);
    /* The mask is saved: a handler may run with signals blocked (under ThreadSanitizer it does), and a second SIGBUS
     * while it is blocked would end the process. */
    if (sigsetjmp(guard.back, 1) == 0) {
        guard.map = map;
        const cria_status status = fn(arg, err);
        guard.map = NULL;
        return status;
    }
    guard.map = NULL;
    return fail_cut(map, err);
}

void file_watch_begin(struct file_map *map) {
    pthread_once(&guard_once, install_handler);
    for (int i = 0; i < MAX_WATCHED; i++) {
        struct file_map *none = NULL;
        if (atomic_compare_exchange_strong(&watched[i], &none, map)) return;
    }
}

cria_status file_watch_end(struct file_map *map, struct cria_error *err) {
    for (int i = 0; i < MAX_WATCHED; i++) {
        struct file_map *mine = map;
        if (atomic_compare_exchange_strong(&watched[i], &mine, NULL)) break;
    }
    if (atomic_load(&map->is_cut)) return fail_cut(map, err);
    /* A cut inside a page leaves zeros there and no signal, and whoever writes a file anew may have been faster than
     * the reader: what was read then is part old, part new. */
    struct stat st;
    if (fstat(map->fd, &st) != 0) return CRIA_OK;
    if ((uint64_t)st.st_size < map->n_bytes) return fail_cut(map, err);
    if (st.st_mtim.tv_sec == map->changed_at.tv_sec && st.st_mtim.tv_nsec == map->changed_at.tv_nsec) return CRIA_OK;
    return ERROR_SET(err, CRIA_IO, "%s: the file was written while it was in use: read it again when it is complete",
                     map->path);
}
