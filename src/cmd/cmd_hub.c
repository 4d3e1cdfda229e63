/* cmd_hub.c: pull, list, rm: the models on this machine; see hub.h for where they lie. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "format/format.h"
#include "hub/hub.h"

/* A file that was cut on its way, or is of a kind that Cria does not run, is better known now than at its first use. */
static void warn_of_unusable(const struct hub_model *model) {
    struct cria_error error = {0};
    model_files *files = NULL;
    if (model_files_open(&files, model->path, NULL, &error) != CRIA_OK)
        log_warning("%s is on this machine now but cannot be run: %s", model->name, error.text);
    model_files_close(&files);
}

cria_status cmd_pull(const struct conf *c, struct cria_error *err) {
    struct hub_model model = {0};
    int was_there = 0;
    cria_status status =
        hub_pull(c->arguments[0], conf_text(c, CONF_NAME), conf_text(c, CONF_SHA256), &model, &was_there, err);
    if (status != CRIA_OK) return status;
    char size[32];
    cmd_bytes_text(model.n_bytes, size);
    status = cmd_print(err, "%s: %s, %s\n", model.name, was_there ? "is here already" : "pulled", size);
    if (status == CRIA_OK) warn_of_unusable(&model);
    hub_model_free(&model);
    return status;
}

static void list_json(struct buffer *out, const struct hub_model *models, int n) {
    json_writer w = json_writer_make(out);
    json_write_begin_array(&w);
    for (int i = 0; i < n; i++) {
        json_write_begin_object(&w);
        json_write_key(&w, "name");
        json_write_text(&w, models[i].name);
        json_write_key(&w, "bytes");
        json_write_u64(&w, models[i].n_bytes);
        json_write_key(&w, "source");
        json_write_text(&w, models[i].source);
        json_write_key(&w, "path");
        json_write_text(&w, models[i].path);
        json_write_key(&w, "sha256");
        json_write_text(&w, models[i].sha256);
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
    buffer_append_char(out, '\n');
}

static void list_table(struct buffer *out, const struct hub_model *models, int n) {
    int width = 4;
    for (int i = 0; i < n; i++)
        if ((int)strlen(models[i].name) > width) width = (int)strlen(models[i].name);
    if (n) buffer_append_format(out, "%-*s  %10s  %s\n", width, "NAME", "SIZE", "SOURCE");
    for (int i = 0; i < n; i++) {
        char size[32];
        cmd_bytes_text(models[i].n_bytes, size);
        buffer_append_format(out, "%-*s  %10s  %s\n", width, models[i].name, size, models[i].source);
    }
}

cria_status cmd_list(const struct conf *c, struct cria_error *err) {
    struct hub_model *models = NULL;
    int n = 0;
    cria_status status = hub_list(&models, &n, err);
    if (status != CRIA_OK) return status;
    struct buffer out = buffer_make(1 << 24);
    if (conf_flag(c, CONF_JSON)) list_json(&out, models, n);
    else if (conf_flag(c, CONF_NAMES))
        for (int i = 0; i < n; i++) buffer_append_format(&out, "%s\n", models[i].name);
    else list_table(&out, models, n);
    status = cmd_write_buffer(&out, err);
    if (!n && !conf_flag(c, CONF_JSON) && !conf_flag(c, CONF_NAMES))
        log_notice("no models yet; cria pull smollm2 gets a small one");
    buffer_free(&out);
    for (int i = 0; i < n; i++) hub_model_free(&models[i]);
    alloc_free(models);
    return status;
}

cria_status cmd_rm(const struct conf *c, struct cria_error *err) {
    for (int i = 0; i < c->n_arguments; i++) {
        cria_status status = hub_remove(c->arguments[i], err);
        if (status == CRIA_OK) status = cmd_print(err, "%s: removed\n", c->arguments[i]);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}
