/* hub_models.c: the models that are in the store: finding one, listing, removing. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "hub/hub_private.h"

void hub_model_free(struct hub_model *m) {
    alloc_free(m->name);
    alloc_free(m->source);
    alloc_free(m->path);
    *m = (struct hub_model){0};
}

static cria_status read_model(const char *models, const char *name, struct hub_model *ret, struct cria_error *err) {
    struct hub_manifest m = {0};
    char *folder = file_join(models, name);
    if (!folder) return ERROR_NOMEM(err, strlen(models), "a path");
    cria_status status = CRIA_OK;
    TRY(hub_manifest_read(&m, folder, err));
    TRY(hub_manifest_model(&m, folder, ret, err));
out:
    hub_manifest_free(&m);
    alloc_free(folder);
    return status;
}

static void free_models(struct hub_model *list, int n) {
    for (int i = 0; i < n; i++) hub_model_free(&list[i]);
    alloc_free(list);
}

static int compare_models(const void *a, const void *b) {
    return strcmp(((const struct hub_model *)a)->name, ((const struct hub_model *)b)->name);
}

/* Reads the models below an open folder. One whose model.json is missing or broken is no model: a pull replaces it. */
static cria_status read_models(DIR *dir, const char *models, struct hub_model **list, int *n, struct cria_error *err) {
    for (struct dirent *e; (e = readdir(dir));) {
        struct hub_model model;
        if (hub_store_check_name(e->d_name, NULL) != CRIA_OK) continue;
        const cria_status status = read_model(models, e->d_name, &model, err);
        if (status == CRIA_NOMEM) return status;
        if (status != CRIA_OK) continue;
        struct hub_model *wider = alloc_resize(*list, (size_t)*n + 1, sizeof **list);
        if (!wider) {
            hub_model_free(&model);
            return ERROR_NOMEM(err, ((size_t)*n + 1) * sizeof **list, "the list of models");
        }
        *list = wider;
        wider[(*n)++] = model;
    }
    return CRIA_OK;
}

cria_status hub_list(struct hub_model **ret, int *ret_n, struct cria_error *err) {
    struct hub_model *list = NULL;
    char *models = NULL;
    int n = 0;
    struct cria_error ignored; /* of models that are left out; the caller's record stays as it is on success */
    cria_status status = hub_store_models(&models, err);
    if (status != CRIA_OK) return status;
    DIR *dir = opendir(models);
    if (dir) {
        status = read_models(dir, models, &list, &n, &ignored);
        closedir(dir);
        if (status != CRIA_OK && err) *err = ignored;
    } else if (errno != ENOENT) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", models, strerror(errno));
    }
    alloc_free(models);
    if (status != CRIA_OK) {
        free_models(list, n);
        return status;
    }
    if (n > 1) qsort(list, (size_t)n, sizeof *list, compare_models);
    *ret = list;
    *ret_n = n;
    return CRIA_OK;
}

/* NOTFOUND, with what there is, what was perhaps meant, and how to get more. */
static cria_status fail_unknown(const char *wanted, struct cria_error *err) {
    struct hub_model *list = NULL;
    struct hub_near near = {.wanted = wanted};
    struct buffer text = buffer_make(600);
    int n = 0;
    if (hub_list(&list, &n, NULL) != CRIA_OK) n = 0;
    for (int i = 0; i < n; i++) hub_near_consider(&near, list[i].name);
    for (int i = 0; hub_source_known(i); i++) hub_near_consider(&near, hub_source_known(i));
    const bool is_known = near.best && near.distance == 0;
    if (is_known) buffer_append_format(&text, ". Get it with: cria pull %s.", near.best);
    else if (near.best) buffer_append_format(&text, "; did you mean %s?", near.best);
    else buffer_append_char(&text, '.');
    buffer_append_text(&text, n ? " Pulled models: " : " No model is pulled yet");
    for (int i = 0; i < n; i++) buffer_append_format(&text, "%s%s", i ? ", " : "", list[i].name);
    if (!is_known) buffer_append_text(&text, "; get one with: cria pull smollm2");
    const cria_status status =
        ERROR_SET(err, CRIA_NOTFOUND, "'%s' is neither a pulled model nor a path%s", wanted, buffer_text(&text));
    buffer_free(&text);
    free_models(list, n);
    return status;
}

cria_status hub_resolve(const char *model, char **ret_path, struct cria_error *err) {
    struct hub_model found = {0};
    struct cria_error why; /* the caller's record stays as it is where a path is found after all */
    char *models = NULL;
    cria_status status = CRIA_NOTFOUND;
    if (hub_store_check_name(model, NULL) == CRIA_OK && hub_store_models(&models, NULL) == CRIA_OK) {
        status = read_model(models, model, &found, &why);
        alloc_free(models);
    }
    if (status == CRIA_OK) {
        *ret_path = found.path;
        found.path = NULL;
        hub_model_free(&found);
        return CRIA_OK;
    }
    if (status == CRIA_NOMEM) return ERROR_NOMEM(err, HUB_MAX_MANIFEST, HUB_MANIFEST_NAME);
    /* A device, or what may not be looked at: whoever opens it says what is wrong with it. */
    if (access(model, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
        return hub_copy_text(ret_path, model, strlen(model), err);
    if (status == CRIA_NOTFOUND) return fail_unknown(model, err);
    if (err) *err = why;
    error_prefix(err, status == CRIA_IO ? "the model %s cannot be read" : "the model %s is damaged, pull it again",
                 model);
    return status;
}

cria_status hub_remove(const char *name, struct cria_error *err) {
    char *models = NULL, *folder = NULL, *part = NULL;
    int lock = -1;
    cria_status status = CRIA_OK;
    TRY(hub_store_check_name(name, err));
    TRY(hub_store_models(&models, err));
    folder = file_join(models, name);
    part = hub_store_part(models, name);
    if (!folder || !part) {
        status = ERROR_NOMEM(err, strlen(models), "a path");
        goto out;
    }
    if (!file_is_folder(folder)) {
        status = fail_unknown(name, err);
        goto out;
    }
    TRY(hub_store_lock(models, name, true, &lock, err));
    TRY(hub_store_erase(part, err));
    if (rename(folder, part) != 0 && errno != ENOENT) { /* ENOENT: another one removed it while we waited */
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be removed: %s", folder, strerror(errno));
        goto out;
    }
    TRY(file_sync_folder(models, err));
    TRY(hub_store_erase(part, err));
out:
    if (lock >= 0) close(lock);
    alloc_free(models);
    alloc_free(folder);
    alloc_free(part);
    return status;
}
