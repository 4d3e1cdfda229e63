/* hub_process.c: running another program without a shell, its output kept for messages. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "hub/hub_private.h"

enum { OUTPUT_BYTES = 64 * 1024, TICK_MS = 100 };

/* The environment of this process with TMPDIR replaced; the caller frees the array and the last entry, `variable`. */
static const char **make_environment(const char *variable) {
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    const char **copy = alloc_array(n + 2, sizeof *copy);
    if (!copy) return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "TMPDIR=", 7) != 0) copy[kept++] = environ[i];
    copy[kept++] = variable;
    copy[kept] = NULL;
    return copy;
}

/* The child between fork() and exec(): only calls that are safe there. */
_Noreturn static void become(const char *const argv[], const char **environment, int output, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* A killed Cria takes the program along, which else would go on writing into a folder that the next pull clears. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        const int nothing = open("/dev/null", O_RDONLY);
        if (dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)
            execvpe(argv[0], (char *const *)argv, (char *const *)environment);
    }
    _exit(127);
}

/* Keeps the last OUTPUT_BYTES of what the program says. */
static void keep_output(struct buffer *output, const char *bytes, size_t n) {
    if (output->n_bytes + n > OUTPUT_BYTES) {
        const size_t drop = output->n_bytes < OUTPUT_BYTES / 2 ? output->n_bytes : OUTPUT_BYTES / 2;
        memmove(output->data, output->data + drop, output->n_bytes - drop);
        buffer_cut(output, output->n_bytes - drop);
    }
    buffer_append(output, bytes, n);
}

/* Reads until the other end is closed. */
static void listen_to(int fd, struct buffer *output, void (*tick)(void *arg), void *arg) {
    char bytes[4096];
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const int ready = poll(&p, 1, TICK_MS);
        if (tick) tick(arg);
        if (ready <= 0) continue;
        const ssize_t got = read(fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return;
        keep_output(output, bytes, (size_t)got);
    }
}

static int exit_code(pid_t child) {
    int result;
    pid_t done;
    do done = waitpid(child, &result, 0);
    while (done < 0 && errno == EINTR);
    if (done < 0) return 127; /* somebody ignores SIGCHLD: how it ended cannot be known */
    return WIFSIGNALED(result) ? 128 + WTERMSIG(result) : WEXITSTATUS(result);
}

cria_status hub_process_run(const char *const argv[], const char *scratch, void (*tick)(void *arg), void *arg,
                            char **ret_output, int *ret_code, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct buffer output = buffer_make(OUTPUT_BYTES), variable = buffer_make(SIZE_MAX);
    const char **environment = NULL;
    int ends[2] = {-1, -1};
    buffer_append_format(&variable, "TMPDIR=%s", scratch);
    TRY(buffer_status(&variable, "a path", err));
    environment = make_environment(variable.data);
    if (!environment) {
        status = ERROR_NOMEM(err, 64 * sizeof *environment, "the environment of a program");
        goto out;
    }
    const pid_t parent = getpid();
    const pid_t child = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (child == 0) become(argv, environment, ends[1], parent);
    if (child < 0) {
        status = ERROR_SET(err, CRIA_IO, "%s cannot be started: %s", argv[0], strerror(errno));
        goto out;
    }
    close(ends[1]);
    ends[1] = -1;
    listen_to(ends[0], &output, tick, arg);
    const int code = exit_code(child);
    TRY(buffer_status(&output, "the output of a program", err));
    char *text = buffer_take(&output);
    if (!text) {
        status = ERROR_NOMEM(err, 1, "the output of a program");
        goto out;
    }
    *ret_output = text;
    *ret_code = code;
out:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
    alloc_free(environment);
    buffer_free(&variable);
    buffer_free(&output);
    return status;
}
