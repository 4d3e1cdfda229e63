/* data_manifest.c: writing manifest.json, its files and names; reading is in data_manifest_read.c. */
#include "data/data_manifest.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"

void data_manifest_free(struct data_manifest *m) {
    for (int i = 0; i < m->n_sources; i++) alloc_free(m->sources[i].name);
    for (int i = 0; i < m->n_packings; i++) alloc_free(m->packings[i].groups);
    for (int i = 0; i < m->n_files; i++) alloc_free(m->files[i].name);
    alloc_free(m->sources);
    alloc_free(m->packings);
    alloc_free(m->files);
    alloc_free(m->shard_ends);
    alloc_free(m->tokenizer_file);
    alloc_free(m->tokenizer_kind);
    alloc_free(m->report);
    *m = (struct data_manifest){0};
}

const struct data_file *data_manifest_file(const struct data_manifest *m, const char *name) {
    for (int i = 0; i < m->n_files; i++)
        if (strcmp(m->files[i].name, name) == 0) return &m->files[i];
    return NULL;
}

void data_manifest_shard_name(char out[DATA_NAME_BYTES], int shard) {
    snprintf(out, DATA_NAME_BYTES, "shard-%05d.bin", shard);
}

void data_manifest_rows_name(char out[DATA_NAME_BYTES], int seq_len) {
    snprintf(out, DATA_NAME_BYTES, "rows-%d.bin", seq_len);
}

void data_manifest_pieces_name(char out[DATA_NAME_BYTES], int seq_len) {
    snprintf(out, DATA_NAME_BYTES, "pieces-%d.bin", seq_len);
}

cria_status data_manifest_add_file(struct data_manifest *m, const char *folder, const char *name,
                                   struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t sum[DIGEST_BYTES];
    struct stat st;
    char *path = file_join(folder, name), *copy = alloc_text(name, strlen(name));
    if (!path || !copy) {
        status = ERROR_NOMEM(err, strlen(name), "a path");
        goto out;
    }
    if (m->n_files == DATA_MAX_FILES) {
        status = ERROR_SET(err, CRIA_LIMIT, "%s: a data folder has at most %d files", path, DATA_MAX_FILES);
        goto out;
    }
    TRY(digest_file(path, sum, err));
    if (stat(path, &st) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be measured", path);
        goto out;
    }
    struct data_file *f = &m->files[m->n_files++];
    *f = (struct data_file){.name = copy, .n_bytes = (uint64_t)st.st_size};
    digest_hex(sum, f->sha256);
    copy = NULL;
out:
    alloc_free(copy);
    alloc_free(path);
    return status;
}

static void write_sources(json_writer *w, const struct data_manifest *m) {
    json_write_key(w, "sources");
    json_write_begin_array(w);
    for (int i = 0; i < m->n_sources; i++) {
        const struct data_source *s = &m->sources[i];
        json_write_begin_object(w);
        json_write_key(w, "name");
        json_write_text(w, s->name);
        json_write_key(w, "weight");
        json_write_f64(w, s->weight);
        json_write_key(w, "documents");
        json_write_u64(w, s->n_documents);
        json_write_key(w, "held_out_documents");
        json_write_u64(w, s->n_held_out);
        json_write_key(w, "bytes");
        json_write_u64(w, s->n_bytes);
        json_write_key(w, "tokens");
        json_write_u64(w, s->n_tokens);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_packing(json_writer *w, const struct data_packing *p) {
    json_write_begin_object(w);
    json_write_key(w, "seq_len");
    json_write_i64(w, p->seq_len);
    json_write_key(w, "rows");
    json_write_u64(w, p->n_rows);
    json_write_key(w, "pieces");
    json_write_u64(w, p->n_pieces);
    json_write_key(w, "groups");
    json_write_begin_array(w);
    for (int i = 0; i < p->n_groups; i++) {
        json_write_begin_object(w);
        json_write_key(w, "source");
        json_write_i64(w, p->groups[i].source);
        json_write_key(w, "held_out");
        json_write_bool(w, p->groups[i].is_held_out);
        json_write_key(w, "first_row");
        json_write_u64(w, p->groups[i].first_row);
        json_write_key(w, "rows");
        json_write_u64(w, p->groups[i].n_rows);
        json_write_key(w, "tokens");
        json_write_u64(w, p->groups[i].n_tokens);
        json_write_end_object(w);
    }
    json_write_end_array(w);
    json_write_end_object(w);
}

static void write_files(json_writer *w, const struct data_manifest *m) {
    json_write_key(w, "shard_ends");
    json_write_begin_array(w);
    for (int i = 0; i < m->n_shards; i++) json_write_u64(w, m->shard_ends[i]);
    json_write_end_array(w);
    json_write_key(w, "files");
    json_write_begin_array(w);
    for (int i = 0; i < m->n_files; i++) {
        json_write_begin_object(w);
        json_write_key(w, "name");
        json_write_text(w, m->files[i].name);
        json_write_key(w, "bytes");
        json_write_u64(w, m->files[i].n_bytes);
        json_write_key(w, "sha256");
        json_write_text(w, m->files[i].sha256);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_tokenizer(json_writer *w, const struct data_manifest *m) {
    const struct data_file *file = data_manifest_file(m, m->tokenizer_file);
    json_write_key(w, "tokenizer");
    json_write_begin_object(w);
    json_write_key(w, "file");
    json_write_text(w, m->tokenizer_file);
    json_write_key(w, "sha256");
    json_write_text(w, file ? file->sha256 : "");
    json_write_key(w, "kind");
    json_write_text(w, m->tokenizer_kind);
    json_write_key(w, "n_vocab");
    json_write_i64(w, m->n_vocab);
    json_write_key(w, "bos");
    json_write_i64(w, m->bos);
    json_write_key(w, "eos");
    json_write_i64(w, m->eos);
    json_write_end_object(w);
}

static void write_totals(json_writer *w, const struct data_manifest *m) {
    json_write_key(w, "cleaning");
    json_write_begin_array(w);
    for (int i = 0; i < CLEAN_COUNT; i++)
        if (m->clean[i]) json_write_text(w, clean_rules[i].name);
    json_write_end_array(w);
    json_write_key(w, "id_bytes");
    json_write_i64(w, m->id_bytes);
    json_write_key(w, "documents");
    json_write_u64(w, m->n_documents);
    json_write_key(w, "bytes");
    json_write_u64(w, m->n_bytes);
    json_write_key(w, "tokens");
    json_write_u64(w, m->n_tokens);
    json_write_key(w, "merkle_root");
    json_write_text(w, m->root);
}

/* Everything but the digest at the end and the bracket that closes the object. */
static void write_body(struct buffer *b, const struct data_manifest *m) {
    json_writer w = json_writer_make(b);
    json_write_begin_object(&w);
    json_write_key(&w, "format");
    json_write_text(&w, "cria data folder");
    json_write_key(&w, "version");
    json_write_i64(&w, DATA_FORMAT_VERSION);
    json_write_key(&w, "cria");
    json_write_text(&w, CRIA_VERSION);
    write_tokenizer(&w, m);
    write_totals(&w, m);
    write_sources(&w, m);
    if (m->report) {
        json_write_key(&w, "report");
        buffer_append_text(b, m->report); /* a JSON value of the build's own */
        w.needs_comma = true;
    }
    json_write_key(&w, "packings");
    json_write_begin_array(&w);
    for (int i = 0; i < m->n_packings; i++) write_packing(&w, &m->packings[i]);
    json_write_end_array(&w);
    write_files(&w, m);
}

static cria_status hash(const void *bytes, size_t n, char out[DIGEST_HEX_BYTES], struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    digest *d = NULL;
    cria_status status = CRIA_OK;
    TRY(digest_create(&d, err));
    digest_add(d, bytes, n);
    TRY(digest_result(d, sum, err));
    digest_hex(sum, out);
out:
    digest_destroy(&d);
    return status;
}

cria_status data_manifest_write(struct data_manifest *m, const char *folder, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char sum[DIGEST_HEX_BYTES];
    struct buffer b = buffer_make(DATA_MANIFEST_MAX_BYTES);
    char *path = file_join(folder, DATA_MANIFEST_NAME);
    if (!path) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    write_body(&b, m);
    TRY(buffer_status(&b, DATA_MANIFEST_NAME, err));
    TRY(hash(b.data, b.n_bytes, sum, err));
    buffer_append_format(&b, ",\"sha256\":\"%s\"}\n", sum);
    TRY(buffer_status(&b, DATA_MANIFEST_NAME, err));
    TRY(hash(b.data, b.n_bytes, m->digest, err));
    TRY(file_write_atomic(path, b.data, b.n_bytes, err));
out:
    alloc_free(path);
    buffer_free(&b);
    return status;
}
