/* fetch.c: what there is to fetch, and the folder that it comes into; see fetch.h. */
#include "data/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/fetch_private.h"

/* A fetch that is running. */
struct fetch {
    const char *sha256; /* expected, or NULL */
    char *folder;       /* owned: OUT.fetching */
    char *scratch;      /* owned: OUT.fetching-packages */
};

struct corpus {
    struct fetch_corpus face;
    cria_status (*unpack)(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err);
    const char *place;  /* of its files in the package */
    char block;         /* of a SWORD module: the letter of what it compresses together: book, chapter */
    size_t verse_bytes; /* likewise: of a verse's record */
};

static cria_status unpack_lazy(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err);
static cria_status unpack_sword(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err);
static cria_status unpack_gzip(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err);

static const struct corpus corpora[] = {
    {{"austen", "r-cran-janeaustenr", "the six novels of Jane Austen, a file each; public domain"},
     unpack_lazy,
     "usr/lib/R/site-library/janeaustenr/data/Rdata",
     0,
     0},
    {{"world-english-bible", "sword-text-web", "the World English Bible with Deuterocanon; public domain"},
     unpack_sword,
     "usr/share/sword/modules/texts/ztext/engWEB2015eb",
     'b',
     10},
    {{"treasury-of-david", "sword-comm-tdavid", "C. H. Spurgeon on the Psalms; public domain"},
     unpack_sword,
     "usr/share/sword/modules/comments/zcom/tdavid",
     'c',
     12},
    {{"gcide", "dict-gcide", "the Collaborative International Dictionary of English; GPL"},
     unpack_gzip,
     "usr/share/dictd/gcide.dict.dz",
     0,
     0},
};
enum { N_CORPORA = sizeof corpora / sizeof *corpora };

const struct fetch_corpus *fetch_known(int i) { return i < N_CORPORA ? &corpora[i].face : NULL; }

void fetch_result_free(struct fetch_result *r) {
    for (int i = 0; i < r->n_files; i++) alloc_free(r->files[i].name);
    alloc_free(r->files);
    *r = (struct fetch_result){0};
}

cria_status fetch_write(const char *folder, const char *name, const struct buffer *b, struct cria_error *err) {
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    const cria_status status = file_write_atomic(path, buffer_text(b), b->n_bytes, err);
    alloc_free(path);
    return status;
}

static cria_status unpack_lazy(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err) {
    struct buffer index = buffer_make(FETCH_MAX_TEXT), data = buffer_make(FETCH_MAX_TEXT);
    char member[200];
    cria_status status = CRIA_OK;
    snprintf(member, sizeof member, "%s.rdx", c->place);
    TRY(fetch_package_member(deb, member, &index, err));
    snprintf(member, sizeof member, "%s.rdb", c->place);
    TRY(fetch_package_member(deb, member, &data, err));
    TRY(fetch_lazy_unpack(&index, &data, folder, err));
out:
    buffer_free(&index);
    buffer_free(&data);
    return status;
}

static cria_status unpack_sword(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err) {
    static const char testaments[] = {'o', 'n'}, kinds[] = {'s', 'v', 'z'};
    struct buffer parts[3], text = buffer_make(FETCH_MAX_TEXT);
    char member[200], name[100];
    cria_status status = CRIA_OK;
    for (int i = 0; i < 3; i++) parts[i] = buffer_make(FETCH_MAX_TEXT);
    for (int t = 0; t < 2; t++) {
        for (int i = 0; i < 3; i++) {
            buffer_cut(&parts[i], 0);
            snprintf(member, sizeof member, "%s/%ct.%cz%c", c->place, testaments[t], c->block, kinds[i]);
            TRY(fetch_package_member(deb, member, &parts[i], err));
        }
        TRY(fetch_sword_unpack(&parts[0], &parts[1], &parts[2], c->verse_bytes, &text, err));
    }
    snprintf(name, sizeof name, "%s.txt", c->face.name);
    TRY(fetch_write(folder, name, &text, err));
out:
    for (int i = 0; i < 3; i++) buffer_free(&parts[i]);
    buffer_free(&text);
    return status;
}

static cria_status unpack_gzip(const char *deb, const char *folder, const struct corpus *c, struct cria_error *err) {
    struct buffer packed = buffer_make(FETCH_MAX_TEXT), text = buffer_make(FETCH_MAX_TEXT);
    char name[100];
    cria_status status = CRIA_OK;
    TRY(fetch_package_member(deb, c->place, &packed, err));
    TRY(fetch_package_inflate((const uint8_t *)buffer_text(&packed), packed.n_bytes, c->place, &text, err));
    snprintf(name, sizeof name, "%s.txt", c->face.name);
    TRY(fetch_write(folder, name, &text, err));
out:
    buffer_free(&packed);
    buffer_free(&text);
    return status;
}

static cria_status check_digest(const char *path, const char *expected, struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    if (!expected) return CRIA_OK;
    const cria_status status = digest_file(path, sum, err);
    if (status != CRIA_OK) return status;
    digest_hex(sum, hex);
    if (strcmp(hex, expected) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "%s: its SHA-256 is %s, expected %s", file_name(path), hex, expected);
}

static cria_status fetch_deb(const struct fetch *f, const char *deb, const struct corpus *c, struct cria_error *err) {
    struct buffer licence = buffer_make(FETCH_MAX_TEXT);
    char member[200];
    cria_status status = CRIA_OK;
    TRY(check_digest(deb, f->sha256, err));
    TRY(c->unpack(deb, f->folder, c, err));
    snprintf(member, sizeof member, "usr/share/doc/%s/copyright", c->face.package);
    TRY(fetch_package_member(deb, member, &licence, err));
    TRY(fetch_write(f->folder, "copyright", &licence, err));
out:
    if (status != CRIA_OK) error_prefix(err, "package %s", c->face.package);
    buffer_free(&licence);
    return status;
}

static cria_status fetch_corpus(const struct fetch *f, const struct corpus *c, struct cria_error *err) {
    char *deb = NULL;
    cria_status status = CRIA_OK;
    TRY(fetch_package_download(c->face.package, f->scratch, &deb, err));
    TRY(fetch_deb(f, deb, c, err));
out:
    alloc_free(deb);
    return status;
}

/* package:FILE.deb: the corpus is known by the package's name. */
static cria_status fetch_local_deb(const struct fetch *f, const char *deb, struct cria_error *err) {
    const char *name = file_name(deb);
    for (int i = 0; i < N_CORPORA; i++) {
        const size_t n = strlen(corpora[i].face.package);
        if (strncmp(name, corpora[i].face.package, n) == 0 && name[n] == '_')
            return fetch_deb(f, deb, &corpora[i], err);
    }
    return ERROR_SET(err, CRIA_NOTFOUND, "%s: is the package of no corpus that is known", deb);
}

static cria_status fetch_file(const struct fetch *f, const char *path, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *bytes = NULL;
    size_t n;
    char *target = file_join(f->folder, file_name(path));
    if (!target) return ERROR_NOMEM(err, strlen(path), "a path");
    TRY(check_digest(path, f->sha256, err));
    TRY(file_read(path, SIZE_MAX, &bytes, &n, err));
    TRY(file_write_atomic(target, bytes, n, err));
out:
    alloc_free(bytes);
    alloc_free(target);
    return status;
}

static cria_status unknown(const char *source, struct cria_error *err) {
    struct buffer names = buffer_make(4096);
    for (int i = 0; i < N_CORPORA; i++) buffer_append_format(&names, "%s%s", i ? ", " : "", corpora[i].face.name);
    const cria_status status = ERROR_SET(
        err, CRIA_NOTFOUND, "no corpus is named '%s'; there are %s, and file:PATH, http: and https: addresses", source,
        buffer_text(&names));
    buffer_free(&names);
    return status;
}

static cria_status fetch_any(const struct fetch *f, const char *source, struct cria_error *err) {
    if (strncmp(source, "file:", 5) == 0) return fetch_file(f, source + 5, err);
    if (strncmp(source, "package:", 8) == 0) return fetch_local_deb(f, source + 8, err);
    if (strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0)
        return fetch_address_get(source, f->folder, err);
    for (int i = 0; i < N_CORPORA; i++)
        if (strcmp(source, corpora[i].face.name) == 0) return fetch_corpus(f, &corpora[i], err);
    return unknown(source, err);
}

/* Removes a flat folder, or nothing where it is not there. */
static void clear_folder(const char *folder) {
    DIR *d = opendir(folder);
    const struct dirent *entry;
    while (d && (entry = readdir(d)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlinkat(dirfd(d), entry->d_name, 0);
    if (d) closedir(d);
    rmdir(folder);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct fetch_file *)a)->name, ((const struct fetch_file *)b)->name);
}

static cria_status measure(const char *folder, const char *name, struct fetch_file *ret, struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    struct stat st;
    cria_status status = CRIA_OK;
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(name), "a path");
    TRY(digest_file(path, sum, err));
    if (stat(path, &st) == 0) ret->n_bytes = (uint64_t)st.st_size;
    digest_hex(sum, ret->sha256);
    ret->name = alloc_text(name, strlen(name));
    if (!ret->name) status = ERROR_NOMEM(err, strlen(name), "a path");
out:
    alloc_free(path);
    return status;
}

static cria_status list(const char *folder, struct fetch_result *r, struct cria_error *err) {
    cria_status status = CRIA_OK;
    DIR *d = opendir(folder);
    if (!d) return ERROR_SET(err, CRIA_IO, "%s: %s", folder, strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        struct fetch_file *grown = alloc_resize(r->files, (size_t)r->n_files + 1, sizeof *grown);
        if (!grown) {
            status = ERROR_NOMEM(err, sizeof *grown, "a list of files");
            goto out;
        }
        r->files = grown;
        TRY(measure(folder, entry->d_name, &grown[r->n_files], err));
        r->n_files++;
    }
    qsort(r->files, (size_t)r->n_files, sizeof *r->files, compare_names);
out:
    closedir(d);
    return status;
}

/* An address's file is the only one in the folder, and its digest is known when it is there. */
static cria_status check_only_file(const struct fetch *f, const struct fetch_result *r, const char *source,
                                   struct cria_error *err) {
    if (!f->sha256 || strncmp(source, "http", 4) != 0 || r->n_files != 1) return CRIA_OK;
    if (strcmp(r->files[0].sha256, f->sha256) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "%s: its SHA-256 is %s, expected %s", source, r->files[0].sha256, f->sha256);
}

static char *with_ending(const char *path, const char *ending) {
    struct buffer b = buffer_make(1 << 16);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    buffer_append(&b, path, n);
    buffer_append_text(&b, ending);
    return buffer_take(&b);
}

cria_status fetch_run(const char *source, const char *out, const char *sha256, struct fetch_result *ret,
                      struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct fetch_result r = {0};
    struct fetch f = {sha256, with_ending(out, ".fetching"), with_ending(out, ".fetching-packages")};
    if (!f.folder || !f.scratch) {
        status = ERROR_NOMEM(err, strlen(out), "a path");
        goto out;
    }
    if (rmdir(out) != 0 && errno != ENOENT) { /* an empty one is made anew */
        status = ERROR_SET(err, CRIA_BUSY, "%s: is there already; remove it, or choose another --out", out);
        goto out;
    }
    clear_folder(f.folder);
    clear_folder(f.scratch);
    TRY(file_make_folder(f.folder, err));
    TRY(file_make_folder(f.scratch, err));
    TRY(fetch_any(&f, source, err));
    TRY(list(f.folder, &r, err));
    TRY(check_only_file(&f, &r, source, err));
    if (rename(f.folder, out) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be put in place: %s", out, strerror(errno));
        goto out;
    }
    *ret = r;
    r = (struct fetch_result){0};
out:
    if (f.folder) clear_folder(f.folder);
    if (f.scratch) clear_folder(f.scratch);
    fetch_result_free(&r);
    alloc_free(f.folder);
    alloc_free(f.scratch);
    return status;
}
