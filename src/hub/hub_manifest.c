/* hub_manifest.c: model.json, which says what a pulled model consists of and where it came from. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/hub_private.h"

void hub_manifest_free(struct hub_manifest *m) {
    for (int i = 0; i < m->n_files; i++) alloc_free(m->files[i].name);
    alloc_free(m->files);
    alloc_free(m->name);
    alloc_free(m->source);
    alloc_free(m->open);
    alloc_free(m->date);
    *m = (struct hub_manifest){0};
}

/* Adds a file with this name, which it takes; on failure the name is freed. */
static cria_status add_file(struct hub_manifest *m, char *name, struct cria_error *err) {
    struct hub_file *files = NULL;
    if (m->n_files < HUB_MAX_FILES) files = alloc_resize(m->files, (size_t)m->n_files + 1, sizeof *files);
    if (!files) {
        alloc_free(name);
        if (m->n_files == HUB_MAX_FILES)
            return ERROR_SET(err, CRIA_LIMIT, "a model has more than %d files", HUB_MAX_FILES);
        return ERROR_NOMEM(err, ((size_t)m->n_files + 1) * sizeof *files, "the list of a model's files");
    }
    m->files = files;
    files[m->n_files++] = (struct hub_file){.name = name};
    return CRIA_OK;
}

static cria_status read_text(json_reader *r, char **ret, struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    if (memchr(t.bytes, '\0', t.n)) return json_fail(r, err, "a text with a NUL in it");
    return hub_copy_text(ret, t.bytes, t.n, err);
}

/* The name of a file that lies in the model's own folder, nowhere else. */
static cria_status read_file_name(json_reader *r, char **ret, struct cria_error *err) {
    char *name = NULL;
    cria_status status = read_text(r, &name, err);
    if (status != CRIA_OK) return status;
    if (name[0] == '\0' || strchr(name, '/') || strcmp(name, "..") == 0) {
        status = json_fail(r, err, "expected the name of a file in this folder, found '%s'", name);
        alloc_free(name);
        return status;
    }
    *ret = name;
    return CRIA_OK;
}

static cria_status read_digest(json_reader *r, char ret[65], struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    size_t n_hex = 0;
    while (n_hex < t.n && memchr("0123456789abcdef", t.bytes[n_hex], 16)) n_hex++;
    if (t.n != 64 || n_hex != 64) return json_fail(r, err, "expected a SHA-256 of 64 hexadecimal digits");
    memcpy(ret, t.bytes, 64);
    ret[64] = '\0';
    return CRIA_OK;
}

static cria_status read_file(json_reader *r, struct hub_manifest *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct hub_file file = {0};
    TRY(json_begin_object(r, err));
    for (;;) {
        struct json_text key;
        bool more;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "name")) TRY(read_file_name(r, &file.name, err));
        else if (json_text_is(key, "bytes")) TRY(json_read_u64(r, INT64_MAX, &file.n_bytes, err));
        else if (json_text_is(key, "sha256")) TRY(read_digest(r, file.sha256, err));
        else TRY(json_skip(r, err));
    }
    if (!file.name || !file.sha256[0]) {
        status = json_fail(r, err, "a file needs name, bytes and sha256");
        goto out;
    }
    char *name = file.name;
    file.name = NULL;
    TRY(add_file(m, name, err));
    m->files[m->n_files - 1].n_bytes = file.n_bytes;
    memcpy(m->files[m->n_files - 1].sha256, file.sha256, sizeof file.sha256);
out:
    alloc_free(file.name);
    return status;
}

static cria_status read_files(json_reader *r, struct hub_manifest *m, struct cria_error *err) {
    cria_status status = json_begin_array(r, err);
    while (status == CRIA_OK) {
        bool more;
        status = json_next_element(r, &more, err);
        if (status != CRIA_OK || !more) break;
        status = read_file(r, m, err);
    }
    return status;
}

static cria_status read_all(json_reader *r, struct hub_manifest *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(json_begin_object(r, err));
    for (;;) {
        struct json_text key;
        bool more;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "name")) TRY(read_file_name(r, &m->name, err));
        else if (json_text_is(key, "source")) TRY(read_text(r, &m->source, err));
        else if (json_text_is(key, "open")) TRY(read_file_name(r, &m->open, err));
        else if (json_text_is(key, "date")) TRY(read_text(r, &m->date, err));
        else if (json_text_is(key, "sha256")) TRY(read_digest(r, m->sha256, err));
        else if (json_text_is(key, "bytes")) TRY(json_read_u64(r, INT64_MAX, &m->n_bytes, err));
        else if (json_text_is(key, "files")) TRY(read_files(r, m, err));
        else TRY(json_skip(r, err));
    }
    TRY(json_end(r, err));
    if (!m->name || !m->source || !m->open || !m->sha256[0] || m->n_files == 0)
        status = ERROR_SET(err, CRIA_FORMAT, "name, source, open, sha256 or files is missing");
out:
    return status;
}

cria_status hub_manifest_read(struct hub_manifest *ret, const char *folder, struct cria_error *err) {
    struct hub_manifest m = {0};
    json_reader r;
    char *text = NULL, *path = file_join(folder, HUB_MANIFEST_NAME);
    size_t n = 0;
    cria_status status = CRIA_OK;
    json_reader_init(&r, "", 0);
    if (!path) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    TRY(file_read(path, HUB_MAX_MANIFEST, &text, &n, err));
    json_reader_init(&r, text, n);
    status = read_all(&r, &m, err);
    if (status != CRIA_OK) {
        error_prefix(err, "%s", path);
        goto out;
    }
    *ret = m;
    m = (struct hub_manifest){0};
out:
    json_reader_deinit(&r);
    hub_manifest_free(&m);
    alloc_free(text);
    alloc_free(path);
    return status;
}

static void write_field(json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_text(w, text);
}

static void write_size(json_writer *w, uint64_t n_bytes) {
    json_write_key(w, "bytes");
    json_write_u64(w, n_bytes);
}

cria_status hub_manifest_write(const struct hub_manifest *m, const char *folder, struct cria_error *err) {
    struct buffer out = buffer_make(HUB_MAX_MANIFEST);
    char *path = file_join(folder, HUB_MANIFEST_NAME);
    cria_status status = CRIA_OK;
    json_writer w = json_writer_make(&out);
    json_write_begin_object(&w);
    write_field(&w, "name", m->name);
    write_field(&w, "source", m->source);
    write_field(&w, "open", m->open);
    write_field(&w, "date", m->date);
    write_field(&w, "sha256", m->sha256);
    write_size(&w, m->n_bytes);
    json_write_key(&w, "files");
    json_write_begin_array(&w);
    for (int i = 0; i < m->n_files; i++) {
        json_write_begin_object(&w);
        write_field(&w, "name", m->files[i].name);
        write_size(&w, m->files[i].n_bytes);
        write_field(&w, "sha256", m->files[i].sha256);
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    buffer_append_char(&out, '\n');
    if (!path) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    TRY(buffer_status(&out, HUB_MANIFEST_NAME, err));
    TRY(file_write_atomic(path, out.data, out.n_bytes, err));
out:
    alloc_free(path);
    buffer_free(&out);
    return status;
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const struct hub_file *)a)->name, ((const struct hub_file *)b)->name);
}

/* Lists the regular files of a folder, save the manifest, sorted by name. */
static cria_status list_files(struct hub_manifest *m, const char *folder, struct cria_error *err) {
    DIR *dir = opendir(folder);
    if (!dir) return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", folder, strerror(errno));
    cria_status status = CRIA_OK;
    for (struct dirent *e; status == CRIA_OK && (e = readdir(dir));) {
        struct stat st;
        if (strcmp(e->d_name, HUB_MANIFEST_NAME) == 0) continue;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        char *name = NULL;
        status = hub_copy_text(&name, e->d_name, strlen(e->d_name), err);
        if (status == CRIA_OK) status = add_file(m, name, err);
        if (status == CRIA_OK) m->files[m->n_files - 1].n_bytes = (uint64_t)st.st_size;
    }
    closedir(dir);
    if (status == CRIA_OK && m->n_files == 0) status = ERROR_SET(err, CRIA_FORMAT, "%s: there are no files", folder);
    if (status == CRIA_OK) qsort(m->files, (size_t)m->n_files, sizeof *m->files, compare_files);
    return status;
}

/* The digest of the whole model, from those of its files. */
static cria_status digest_model(struct hub_manifest *m, struct cria_error *err) {
    if (m->n_files == 1) {
        memcpy(m->sha256, m->files[0].sha256, sizeof m->sha256);
        return CRIA_OK;
    }
    uint8_t bytes[DIGEST_BYTES];
    digest *d;
    cria_status status = digest_create(&d, err);
    if (status != CRIA_OK) return status;
    for (int i = 0; i < m->n_files; i++) {
        digest_add(d, m->files[i].sha256, 64);
        digest_add(d, "  ", 2);
        digest_add(d, m->files[i].name, strlen(m->files[i].name));
        digest_add(d, "\n", 1);
    }
    status = digest_result(d, bytes, err);
    if (status == CRIA_OK) digest_hex(bytes, m->sha256);
    digest_destroy(&d);
    return status;
}

cria_status hub_manifest_measure(struct hub_manifest *m, const char *folder, struct cria_error *err) {
    cria_status status = CRIA_OK;
    progress *bar = NULL;
    TRY(list_files(m, folder, err));
    for (int i = 0; i < m->n_files; i++) m->n_bytes += m->files[i].n_bytes;
    bar = progress_start("checking", m->n_bytes, PROGRESS_BYTES);
    uint64_t done = 0;
    for (int i = 0; i < m->n_files; i++) {
        uint8_t bytes[DIGEST_BYTES];
        char *path = file_join(folder, m->files[i].name);
        status = path ? digest_file(path, bytes, err) : ERROR_NOMEM(err, strlen(folder), "a path");
        alloc_free(path);
        if (status != CRIA_OK) goto out;
        digest_hex(bytes, m->files[i].sha256);
        progress_update(bar, done += m->files[i].n_bytes);
    }
    TRY(digest_model(m, err));
out:
    progress_finish(&bar);
    return status;
}

bool hub_manifest_same_files(const struct hub_manifest *a, const struct hub_manifest *b) {
    return a->n_files == b->n_files && a->n_bytes == b->n_bytes && strcmp(a->sha256, b->sha256) == 0;
}

cria_status hub_manifest_model(const struct hub_manifest *m, const char *folder, struct hub_model *ret,
                               struct cria_error *err) {
    struct hub_model model = {.n_bytes = m->n_bytes};
    cria_status status = CRIA_OK;
    TRY(hub_copy_text(&model.name, m->name, strlen(m->name), err));
    TRY(hub_copy_text(&model.source, m->source, strlen(m->source), err));
    memcpy(model.sha256, m->sha256, sizeof model.sha256);
    model.path = strcmp(m->open, ".") == 0 ? alloc_text(folder, strlen(folder)) : file_join(folder, m->open);
    if (!model.path) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    *ret = model;
    model = (struct hub_model){0};
out:
    hub_model_free(&model);
    return status;
}
