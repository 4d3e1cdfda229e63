/* cmd_data_get.c: data get: a corpus onto this machine, and what came. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "data/fetch.h"

enum { MAX_PAGE_BYTES = 1 << 22 };

static cria_status list_known(struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    for (int i = 0; fetch_known(i); i++) {
        const struct fetch_corpus *c = fetch_known(i);
        buffer_append_format(&b, "%-22s %-20s %s\n", c->name, c->package, c->help);
    }
    const cria_status status = cmd_write_buffer(&b, err);
    buffer_free(&b);
    return status;
}

static cria_status print_json(const struct fetch_result *r, const char *out, struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    json_writer w = json_writer_make(&b);
    json_write_begin_object(&w);
    json_write_key(&w, "out");
    json_write_text(&w, out);
    json_write_key(&w, "files");
    json_write_begin_array(&w);
    for (int i = 0; i < r->n_files; i++) {
        json_write_begin_object(&w);
        json_write_key(&w, "name");
        json_write_text(&w, r->files[i].name);
        json_write_key(&w, "bytes");
        json_write_u64(&w, r->files[i].n_bytes);
        json_write_key(&w, "sha256");
        json_write_text(&w, r->files[i].sha256);
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&b, err);
    buffer_free(&b);
    return status;
}

static cria_status print_page(const struct fetch_result *r, const char *out, struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    for (int i = 0; i < r->n_files; i++) {
        char bytes[32];
        cmd_bytes_text(r->files[i].n_bytes, bytes);
        buffer_append_format(&b, "%s  %s/%s  %s\n", r->files[i].sha256, out, r->files[i].name, bytes);
    }
    const cria_status status = cmd_write_buffer(&b, err);
    buffer_free(&b);
    return status;
}

cria_status cmd_data_get(const struct conf *c, struct cria_error *err) {
    const char *source = c->arguments[0], *out = conf_text(c, CONF_DATA_OUT);
    struct fetch_result r = {0};
    cria_status status = CRIA_OK;
    if (strcmp(source, "list") == 0) return list_known(err);
    if (!out) return ERROR_SET(err, CRIA_USAGE, "where to? -o FOLDER names the folder to make");
    TRY(fetch_run(source, out, conf_text(c, CONF_DATA_SHA256), &r, err));
    status = conf_flag(c, CONF_DATA_JSON) ? print_json(&r, out, err) : print_page(&r, out, err);
out:
    fetch_result_free(&r);
    return status;
}
