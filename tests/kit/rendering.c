/* rendering.c: see rendering.h. */
#include "kit/rendering.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

bool rendering_unpack(const char *script, const char *folder) {
    char *const arguments[] = {(char *)"python3", (char *)"-B", (char *)script, (char *)folder, NULL};
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ) != 0) return false;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

cria_status rendering_read(json_reader *r, bool is_error, struct rendering *ret, struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    char *copy = alloc_text(t.bytes, t.n);
    if (!copy) return ERROR_NOMEM(err, t.n, "an expected result");
    if (is_error) {
        ret->error = copy;
    } else {
        ret->text = copy;
        ret->n = t.n;
    }
    return CRIA_OK;
}

void rendering_free(struct rendering *e) {
    alloc_free(e->text);
    alloc_free(e->error);
    *e = (struct rendering){0};
}

static void say_difference(const struct rendering *e, const struct prompt_text *p) {
    size_t at = 0;
    while (at < e->n && at < p->n && e->text[at] == p->text[at]) at++;
    const size_t from = at > 60 ? at - 60 : 0;
    fprintf(stderr, "  first difference at byte %zu\n  expected ...%.120s\n  found    ...%.120s\n", at, e->text + from,
            p->text + from);
}

bool rendering_holds(const struct rendering *e, const char *what, const char *source, size_t n_source,
                     const char *variables, size_t n_variables) {
    struct cria_error err = {0};
    struct prompt_text p = {0};
    template *t = NULL;
    cria_status status = template_compile(&t, source, n_source, &err);
    if (status == CRIA_OK) status = template_render(t, variables, n_variables, NULL, &p, &err);
    const bool holds =
        status != CRIA_OK ? e->error != NULL : e->text && e->n == p.n && memcmp(e->text, p.text, p.n) == 0;
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        if (status != CRIA_OK) fprintf(stderr, "  fails, but should not: %s\n", err.text);
        else if (e->error) fprintf(stderr, "  should fail (%s), but gives %.200s\n", e->error, p.text);
        else say_difference(e, &p);
    }
    prompt_text_free(&p);
    template_destroy(&t);
    return holds;
}
