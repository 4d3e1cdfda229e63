/* disturb.c: see disturb.h. */
#include "kit/disturb.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"

enum { MAX_TASKS = 64, LONGEST_SLEEP_MS = 2, LONGEST_PAUSE_US = 300, SLEEPS_IN_TEN = 8 };

static struct {
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic int sleep_ms;
    _Atomic int64_t n_sleeps;
    uint64_t seed, n_drawn;
    cpu_set_t everywhere;
} disturber;

static void sleep_here(int number) {
    const int kept = errno;
    (void)number;
    atomic_fetch_add(&disturber.n_sleeps, 1);
    poll(NULL, 0, atomic_load(&disturber.sleep_ms));
    errno = kept;
}

static int draw(int n) { return (int)(random_u64(disturber.seed, RANDOM_TEST, disturber.n_drawn++) % (uint64_t)n); }

/* The threads of this process but the caller's; at most MAX_TASKS. */
static int list_tasks(pid_t tasks[MAX_TASKS]) {
    int n = 0;
    DIR *folder = opendir("/proc/self/task");
    if (!folder) return 0;
    for (struct dirent *entry; n < MAX_TASKS && (entry = readdir(folder));) {
        const pid_t task = (pid_t)strtol(entry->d_name, NULL, 10);
        if (task > 0 && task != gettid()) tasks[n++] = task;
    }
    closedir(folder);
    return n;
}

/* A thread that has ended in between is passed over: both calls then fail. */
static void disturb_one(pid_t task) {
    if (draw(10) < SLEEPS_IN_TEN) {
        atomic_store(&disturber.sleep_ms, draw(LONGEST_SLEEP_MS + 1));
        (void)syscall(SYS_tgkill, getpid(), task, SIGUSR1);
        return;
    }
    int cpu = draw(CPU_SETSIZE);
    while (!CPU_ISSET(cpu, &disturber.everywhere)) cpu = (cpu + 1) % CPU_SETSIZE;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)sched_setaffinity(task, sizeof one, draw(2) ? &one : &disturber.everywhere);
}

static void *disturb(void *arg) {
    pid_t tasks[MAX_TASKS];
    (void)arg;
    while (!atomic_load(&disturber.stopping)) {
        const int n = list_tasks(tasks);
        if (n > 0) disturb_one(tasks[draw(n)]);
        nanosleep(&(struct timespec){.tv_nsec = 1000L * draw(LONGEST_PAUSE_US)}, NULL);
    }
    const int n = list_tasks(tasks);
    for (int i = 0; i < n; i++) (void)sched_setaffinity(tasks[i], sizeof disturber.everywhere, &disturber.everywhere);
    return NULL;
}

bool disturb_start(uint64_t seed) {
    struct sigaction action = {.sa_handler = sleep_here, .sa_flags = SA_RESTART};
    disturber.seed = seed;
    disturber.n_drawn = 0;
    atomic_store(&disturber.n_sleeps, 0);
    atomic_store(&disturber.stopping, false);
    if (sched_getaffinity(0, sizeof disturber.everywhere, &disturber.everywhere) != 0) return false;
    if (sigaction(SIGUSR1, &action, NULL) != 0) return false;
    return pthread_create(&disturber.thread, NULL, disturb, NULL) == 0;
}

int64_t disturb_stop(void) {
    atomic_store(&disturber.stopping, true);
    pthread_join(disturber.thread, NULL);
    /* A signal may still be on its way to a thread; the handler stays, for the default would end the process. */
    return atomic_load(&disturber.n_sleeps);
}
