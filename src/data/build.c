/* build.c: the steps of a build, the folder they work in, and its publication (see build.h). */
#include "data/build.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "data/build_private.h"

#define MAX_TOKENIZER_BYTES ((size_t)256 << 20)

void build_defaults(struct build_options *o) {
    *o = (struct build_options){.near_threshold = 0.8, .threads = 1};
    for (int i = 0; i < CLEAN_COUNT; i++) o->clean[i] = clean_rules[i].is_default;
    for (int i = 0; i < FILTER_COUNT; i++) o->thresholds[i] = filter_rules[i].threshold;
}

static cria_status check_lengths(const struct build_options *o, struct cria_error *err) {
    if (o->n_seq_lens < 1 || o->n_seq_lens > DATA_MAX_PACKINGS)
        return ERROR_SET(err, CRIA_USAGE, "expected 1 to %d row lengths, found %d", DATA_MAX_PACKINGS, o->n_seq_lens);
    for (int i = 0; i < o->n_seq_lens; i++)
        if (o->seq_lens[i] < 2 || o->seq_lens[i] > DATA_MAX_LENGTH || (i && o->seq_lens[i] <= o->seq_lens[i - 1]))
            return ERROR_SET(err, CRIA_USAGE, "row lengths ascend, from 2 to %d; found %d", DATA_MAX_LENGTH,
                             o->seq_lens[i]);
    return CRIA_OK;
}

static cria_status check_options(const struct build_options *o, struct cria_error *err) {
    if (o->n_sources < 1 || o->n_sources > DATA_MAX_SOURCES)
        return ERROR_SET(err, CRIA_USAGE, "expected 1 to %d sources, found %d", DATA_MAX_SOURCES, o->n_sources);
    int n_weighted[2] = {0, 0};
    for (int i = 0; i < o->n_sources; i++) {
        const struct build_source *s = &o->sources[i];
        if (!isfinite(s->weight) || s->weight < 0)
            return ERROR_SET(err, CRIA_USAGE, "source '%s': its weight is no number of 0 or more", s->name);
        if (!s->is_held_out) n_weighted[s->weight > 0]++;
        for (int j = 0; j < i; j++)
            if (strcmp(o->sources[j].name, s->name) == 0)
                return ERROR_SET(err, CRIA_USAGE, "two sources are named '%s'", s->name);
    }
    if (n_weighted[0] && n_weighted[1])
        return ERROR_SET(err, CRIA_USAGE, "%d sources have a weight and %d have none: give all of them one, or none",
                         n_weighted[1], n_weighted[0]);
    if (!(o->held_out >= 0 && o->held_out <= 0.5))
        return ERROR_SET(err, CRIA_USAGE, "held out: expected a share of 0 to 0.5, found %g", o->held_out);
    if (!(o->near_threshold >= 0 && o->near_threshold <= 1))
        return ERROR_SET(err, CRIA_USAGE, "near duplicates: expected a similarity of 0 to 1, found %g",
                         o->near_threshold);
    if (o->threads < 1) return ERROR_SET(err, CRIA_USAGE, "expected at least one thread, found %d", o->threads);
    return check_lengths(o, err);
}

/* Removes a flat folder of ours, or nothing where it is not there. */
static cria_status clear_folder(const char *folder, struct cria_error *err) {
    DIR *d = opendir(folder);
    if (!d && errno == ENOENT) return CRIA_OK;
    if (!d) return ERROR_SET(err, CRIA_IO, "%s: cannot be opened: %s", folder, strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
    if (rmdir(folder) != 0)
        return ERROR_SET(err, CRIA_IO, "%s: what an earlier build left cannot be removed: %s", folder, strerror(errno));
    return CRIA_OK;
}

static cria_status begin_folder(struct build *b, struct cria_error *err) {
    const char *out = b->o->out;
    size_t n = strlen(out);
    struct buffer name = buffer_make(1 << 16);
    cria_status status = CRIA_OK;
    while (n > 1 && out[n - 1] == '/') n--;
    if (rmdir(out) != 0 && errno != ENOENT) /* an empty one is made anew */
        return ERROR_SET(err, CRIA_BUSY, "%s: is there already; remove it, or choose another --out", out);
    buffer_append(&name, out, n);
    buffer_append_text(&name, ".building");
    TRY(buffer_status(&name, "a path", err));
    b->folder = buffer_take(&name);
    if (!b->folder) {
        status = ERROR_NOMEM(err, n, "a path");
        goto out;
    }
    TRY(clear_folder(b->folder, err));
    TRY(file_make_folder(b->folder, err));
out:
    buffer_free(&name);
    return status;
}

/* Bytes of text that each id stands for, special ones none. */
static cria_status write_token_bytes(const struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    writer *w = NULL;
    TRY(writer_create(&w, b->folder, DATA_TOKEN_BYTES_NAME, err));
    for (int32_t id = 0; id < b->manifest.n_vocab; id++) {
        const size_t n = tokenizer_is_special(b->tokenizer, id) ? 0 : tokenizer_token(b->tokenizer, id).n;
        const uint16_t bytes = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
        TRY(writer_add(w, &bytes, sizeof bytes, err));
    }
    TRY(writer_finish(&w, err));
out:
    writer_destroy(&w);
    return status;
}

/* Copies the file `name` from beside the tokenizer, where there is one. */
static cria_status copy_beside(struct build *b, const char *name, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *folder = alloc_text(b->o->tokenizer, (size_t)(file_name(b->o->tokenizer) - b->o->tokenizer));
    char *from = folder ? file_join(folder[0] ? folder : ".", name) : NULL;
    char *to = file_join(b->folder, name), *bytes = NULL;
    size_t n;
    if (!from || !to) {
        status = ERROR_NOMEM(err, strlen(name), "a path");
        goto out;
    }
    if (!file_exists(from)) goto out;
    TRY(file_read(from, MAX_TOKENIZER_BYTES, &bytes, &n, err));
    TRY(file_write_atomic(to, bytes, n, err));
    TRY(data_manifest_add_file(&b->manifest, b->folder, name, err));
out:
    alloc_free(bytes);
    alloc_free(folder);
    alloc_free(from);
    alloc_free(to);
    return status;
}

static cria_status set_ends(struct build *b, struct cria_error *err) {
    const char *bos = b->o->bos_token, *eos = b->o->eos_token;
    const struct tokenizer_special special = {
        .bos = {bos, bos ? strlen(bos) : 0}, .eos = {eos, eos ? strlen(eos) : 0}, .add_bos = -1};
    cria_status status = CRIA_OK;
    if (bos || eos) TRY(tokenizer_set_special(b->tokenizer, &special, err));
    b->bos = b->manifest.bos = bos && !bos[0] ? -1 : tokenizer_bos(b->tokenizer);
    b->eos = b->manifest.eos = eos && !eos[0] ? -1 : tokenizer_eos(b->tokenizer);
out:
    return status;
}

static cria_status open_tokenizer(struct build *b, const char *bytes, size_t n, struct cria_error *err) {
    struct data_manifest *m = &b->manifest;
    cria_status status = CRIA_OK;
    TRY(tokenizer_from_bytes(&b->tokenizer, bytes, n, err));
    TRY(set_ends(b, err));
    m->n_vocab = tokenizer_size(b->tokenizer);
    m->id_bytes = m->n_vocab <= 1 << 16 ? 2 : 4;
    m->tokenizer_kind = alloc_text(tokenizer_kind(b->tokenizer), strlen(tokenizer_kind(b->tokenizer)));
    if (!m->tokenizer_kind) status = ERROR_NOMEM(err, 1, "a tokenizer");
out:
    if (status != CRIA_OK) error_prefix(err, "%s", b->o->tokenizer);
    return status;
}

static cria_status take_tokenizer(struct build *b, struct cria_error *err) {
    const char *name = file_name(b->o->tokenizer);
    cria_status status = CRIA_OK;
    char *bytes = NULL, *path = file_join(b->folder, name);
    size_t n;
    b->manifest.tokenizer_file = alloc_text(name, strlen(name));
    if (!path || !b->manifest.tokenizer_file) {
        status = ERROR_NOMEM(err, strlen(name), "a path");
        goto out;
    }
    TRY(file_read(b->o->tokenizer, MAX_TOKENIZER_BYTES, &bytes, &n, err));
    TRY(open_tokenizer(b, bytes, n, err));
    TRY(file_write_atomic(path, bytes, n, err));
    TRY(data_manifest_add_file(&b->manifest, b->folder, name, err));
    TRY(copy_beside(b, "tokenizer_config.json", err));
    TRY(copy_beside(b, "special_tokens_map.json", err));
    TRY(write_token_bytes(b, err));
out:
    alloc_free(bytes);
    alloc_free(path);
    return status;
}

static cria_status take_sources(struct build *b, struct cria_error *err) {
    struct data_manifest *m = &b->manifest;
    m->sources = alloc_zeroed((size_t)b->o->n_sources, sizeof *m->sources);
    m->files = alloc_zeroed(DATA_MAX_FILES, sizeof *m->files);
    if (!m->sources || !m->files) return ERROR_NOMEM(err, DATA_MAX_FILES * sizeof *m->files, "a manifest");
    memcpy(m->clean, b->o->clean, sizeof m->clean);
    for (int i = 0; i < b->o->n_sources; i++) {
        const char *name = b->o->sources[i].name;
        m->sources[i].weight = b->o->sources[i].weight;
        m->sources[i].name = alloc_text(name, strlen(name));
        m->n_sources = i + 1;
        if (!m->sources[i].name) return ERROR_NOMEM(err, strlen(name), "a manifest");
    }
    return CRIA_OK;
}

static cria_status take_tests(struct build *b, struct cria_error *err) {
    if (b->o->n_test_sets == 0) return CRIA_OK;
    const int words = b->o->test_words ? b->o->test_words : DECONTAMINATE_WORDS;
    const cria_status status = decontaminate_create(&b->tests, b->o->test_sets, b->o->n_test_sets, NULL, words, err);
    if (status != CRIA_OK) return status;
    b->result.n_test_documents = decontaminate_n_documents(b->tests);
    b->result.n_test_short = decontaminate_n_short(b->tests);
    b->result.n_test_grams = decontaminate_n_grams(b->tests);
    return CRIA_OK;
}

/* Removes what lay between the passes. */
static void end_passes(struct build *b) {
    writer **between[] = {&b->ids, &b->documents, &b->signatures};
    for (size_t i = 0; i < sizeof between / sizeof *between; i++) {
        if (*between[i]) unlink(writer_path(*between[i]));
        writer_destroy(between[i]);
    }
    sorter_destroy(&b->digests);
    sorter_destroy(&b->bands);
}

static cria_status list_files(struct build *b, struct cria_error *err) {
    struct data_manifest *m = &b->manifest;
    char name[DATA_NAME_BYTES];
    cria_status status = CRIA_OK;
    TRY(data_manifest_add_file(m, b->folder, DATA_TOKEN_BYTES_NAME, err));
    TRY(data_manifest_add_file(m, b->folder, DATA_DOCUMENTS_NAME, err));
    TRY(data_manifest_add_file(m, b->folder, DATA_LEAVES_NAME, err));
    if (b->tests) TRY(data_manifest_add_file(m, b->folder, "decontamination.jsonl", err));
    for (int i = 0; i < m->n_shards; i++) {
        data_manifest_shard_name(name, i);
        TRY(data_manifest_add_file(m, b->folder, name, err));
    }
    for (int i = 0; i < m->n_packings; i++) {
        data_manifest_rows_name(name, m->packings[i].seq_len);
        TRY(data_manifest_add_file(m, b->folder, name, err));
        data_manifest_pieces_name(name, m->packings[i].seq_len);
        TRY(data_manifest_add_file(m, b->folder, name, err));
    }
out:
    return status;
}

static cria_status publish(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (b->contaminated) TRY(writer_finish(&b->contaminated, err));
    TRY(list_files(b, err));
    TRY(build_report(b, &b->manifest.report, err));
    TRY(data_manifest_write(&b->manifest, b->folder, err));
    if (rename(b->folder, b->o->out) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be put in place: %s", b->o->out, strerror(errno));
        goto out;
    }
    b->result.n_kept = b->manifest.n_documents;
    b->result.n_bytes = b->manifest.n_bytes;
    b->result.n_tokens = b->manifest.n_tokens;
    memcpy(b->result.root, b->manifest.root, sizeof b->result.root);
out:
    return status;
}

static cria_status run(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(check_options(b->o, err));
    TRY(begin_folder(b, err));
    TRY(take_sources(b, err));
    TRY(take_tokenizer(b, err));
    TRY(take_tests(b, err));
    TRY(build_keep_begin(b, err));
    TRY(build_read(b, err));
    TRY(build_same(b, err));
    TRY(build_shards(b, err));
    end_passes(b);
    if (b->manifest.n_tokens == 0) {
        status =
            ERROR_SET(err, CRIA_FORMAT, "no document is left: %llu were read, and cleaning and filters dropped all",
                      (unsigned long long)b->result.n_read);
        goto out;
    }
    TRY(build_rows(b, err));
    TRY(publish(b, err));
out:
    return status;
}

cria_status build_run(const struct build_options *options, struct build_result *ret, struct cria_error *err) {
    struct build b = {.o = options};
    const cria_status status = run(&b, err);
    end_passes(&b);
    writer_destroy(&b.contaminated);
    if (status != CRIA_OK && b.folder) {
        struct cria_error ignored;
        if (clear_folder(b.folder, &ignored) != CRIA_OK && err) error_prefix(err, "(%s)", ignored.text);
    }
    if (status == CRIA_OK) *ret = b.result;
    data_manifest_free(&b.manifest);
    decontaminate_destroy(&b.tests);
    tokenizer_destroy(&b.tokenizer);
    alloc_free(b.dropped);
    alloc_free(b.folder);
    return status;
}
