/* cmd_data_look.c: data has and data check: whether a document is in a corpus, with proof, and whether a data folder is
 * whole. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "data/proof.h"

enum { MAX_PAGE_BYTES = 1 << 20 };

static void write_leaf(json_writer *w, const char *key, const struct proof_leaf *leaf) {
    char hex[DIGEST_HEX_BYTES];
    json_write_key(w, key);
    json_write_begin_object(w);
    json_write_key(w, "sha256");
    digest_hex(leaf->digest, hex);
    json_write_text(w, hex);
    json_write_key(w, "place");
    json_write_u64(w, leaf->path.at);
    json_write_key(w, "of");
    json_write_u64(w, leaf->path.n_leaves);
    json_write_key(w, "path");
    json_write_begin_array(w);
    for (int i = 0; i < leaf->path.n; i++) {
        digest_hex(leaf->path.siblings[i], hex);
        json_write_text(w, hex);
    }
    json_write_end_array(w);
    json_write_end_object(w);
}

static cria_status print_json(const struct proof *p, struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    json_writer w = json_writer_make(&b);
    char hex[DIGEST_HEX_BYTES];
    digest_hex(p->digest, hex);
    json_write_begin_object(&w);
    json_write_key(&w, "is_in");
    json_write_bool(&w, p->is_in);
    json_write_key(&w, "sha256");
    json_write_text(&w, hex);
    json_write_key(&w, "merkle_root");
    json_write_text(&w, p->root);
    if (p->is_in) write_leaf(&w, "leaf", &p->leaf);
    if (p->has_before) write_leaf(&w, "before", &p->before);
    if (p->has_after) write_leaf(&w, "after", &p->after);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&b, err);
    buffer_free(&b);
    return status;
}

static void page_leaf(struct buffer *b, const char *what, const struct proof_leaf *leaf) {
    char hex[DIGEST_HEX_BYTES];
    digest_hex(leaf->digest, hex);
    buffer_append_format(b, "%s %s, place %" PRIu64 " of %" PRIu64 ", %d hashes to the root:\n", what, hex,
                         leaf->path.at, leaf->path.n_leaves, leaf->path.n);
    for (int i = 0; i < leaf->path.n; i++) {
        digest_hex(leaf->path.siblings[i], hex);
        buffer_append_format(b, "  %s\n", hex);
    }
}

static cria_status print_page(const struct proof *p, struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    char hex[DIGEST_HEX_BYTES];
    digest_hex(p->digest, hex);
    buffer_append_format(&b, "%s\ndocument    %s\nMerkle root %s\n", p->is_in ? "in" : "not in", hex, p->root);
    if (p->is_in) page_leaf(&b, "leaf  ", &p->leaf);
    if (p->has_before) page_leaf(&b, "before", &p->before);
    if (p->has_after) page_leaf(&b, "after ", &p->after);
    const cria_status status = cmd_write_buffer(&b, err);
    buffer_free(&b);
    return status;
}

cria_status cmd_data_has(const struct conf *c, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *text = NULL;
    size_t n;
    struct proof proof;
    const char *path = conf_text(c, CONF_DATA_FILE);
    if ((path != NULL) == (c->n_arguments == 2))
        return ERROR_SET(err, CRIA_USAGE, "expected the document either as TEXT or as --file FILE");
    if (path) TRY(cmd_read(path, &text, &n, err));
    else {
        n = strlen(c->arguments[1]);
        text = alloc_text(c->arguments[1], n);
        if (!text) return ERROR_NOMEM(err, n, "a document");
    }
    TRY(proof_find(c->arguments[0], text, n, &proof, err));
    status = conf_flag(c, CONF_DATA_JSON) ? print_json(&proof, err) : print_page(&proof, err);
out:
    alloc_free(text);
    return status;
}

cria_status cmd_data_check(const struct conf *c, struct cria_error *err) {
    struct proof_check found;
    char bytes[32];
    cria_status status = CRIA_OK;
    TRY(proof_check_folder(c->arguments[0], &found, err));
    if (!conf_flag(c, CONF_DATA_JSON)) {
        cmd_bytes_text(found.n_bytes, bytes);
        return cmd_print(err, "%s: whole: %" PRIu64 " documents, %" PRIu64 " files, %s\nMerkle root %s\n",
                         c->arguments[0], found.n_documents, found.n_files, bytes, found.root);
    }
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    json_writer w = json_writer_make(&b);
    json_write_begin_object(&w);
    json_write_key(&w, "documents");
    json_write_u64(&w, found.n_documents);
    json_write_key(&w, "files");
    json_write_u64(&w, found.n_files);
    json_write_key(&w, "bytes");
    json_write_u64(&w, found.n_bytes);
    json_write_key(&w, "merkle_root");
    json_write_text(&w, found.root);
    json_write_end_object(&w);
    status = cmd_write_line(&b, err);
    buffer_free(&b);
out:
    return status;
}
