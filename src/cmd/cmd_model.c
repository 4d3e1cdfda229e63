/* cmd_model.c: see cmd_model.h. */
#include "cmd/cmd_model.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd_io.h"
#include "hub/hub.h"

enum { MAX_TEMPLATE_BYTES = 1 << 20 };

cria_status cmd_model_name(const struct conf *c, const char **ret, struct cria_error *err) {
    const char *option = conf_text(c, CONF_MODEL);
    const char *argument = c->n_arguments ? c->arguments[0] : NULL;
    if (option && argument) return ERROR_SET(err, CRIA_USAGE, "two models: --model %s and %s", option, argument);
    if (!option && !argument)
        return ERROR_SET(err, CRIA_USAGE,
                         "which model? -m MODEL: a pulled name (cria list), a Hugging Face directory or a GGUF file");
    *ret = option ? option : argument;
    return CRIA_OK;
}

/* Whether path is a regular file that does not begin as GGUF files do and is no config.json: then it can only be a
 * tokenizer. */
static cria_status is_tokenizer_file(const char *path, bool *ret, struct cria_error *err) {
    *ret = false;
    if (file_is_folder(path) || strcmp(file_name(path), "config.json") == 0) return CRIA_OK;
    struct file_map *map = NULL;
    const cria_status status = file_map_open(&map, path, err);
    if (status != CRIA_OK) return status;
    *ret = map->n_bytes < 4 || memcmp(map->data, "GGUF", 4) != 0;
    file_map_close(&map);
    return CRIA_OK;
}

cria_status cmd_model_open(struct cmd_model *m, const struct conf *c, bool is_text_only, struct cria_error *err) {
    const char *name = NULL;
    bool is_tokenizer = false;
    cria_status status;
    const double start = clock_seconds();
    TRY(cmd_model_name(c, &name, err));
    TRY(hub_resolve(name, &m->path, err));
    if (is_text_only) TRY(is_tokenizer_file(m->path, &is_tokenizer, err));
    if (is_tokenizer) {
        TRY(tokenizer_open(&m->tok, m->path, err));
    } else {
        const struct model_open_options options = {.only_text = is_text_only,
                                                   .check_tensors = conf_flag(c, CONF_CHECK_TENSORS)};
        TRY(model_files_open(&m->files, m->path, &options, err));
        status = model_files_tokenizer(m->files, &m->tok, err);
        if (status == CRIA_NOTFOUND) status = CRIA_OK;
    }
out:
    m->load_s = clock_seconds() - start;
    return status;
}

cria_status cmd_model_tokenizer(const char *name, tokenizer **ret, struct cria_error *err) {
    const struct model_open_options options = {.only_text = true};
    struct cmd_model m = {0};
    bool is_tokenizer = false;
    cria_status status;
    TRY(hub_resolve(name, &m.path, err));
    TRY(is_tokenizer_file(m.path, &is_tokenizer, err));
    if (is_tokenizer) {
        TRY(tokenizer_open(ret, m.path, err));
    } else {
        TRY(model_files_open(&m.files, m.path, &options, err));
        TRY(model_files_tokenizer(m.files, ret, err));
    }
out:
    cmd_model_close(&m);
    return status;
}

enum llama_compute cmd_model_compute(const struct conf *c) {
    const char *word = conf_text(c, CONF_COMPUTE);
    if (!word) return LLAMA_COMPUTE_DEFAULT;
    return strcmp(word, "f32") == 0 ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_BF16;
}

enum dtype cmd_model_kv(const struct conf *c) {
    const char *word = conf_text(c, CONF_KV);
    if (!word) return DTYPE_NONE;
    return strcmp(word, "f32") == 0 ? DTYPE_F32 : DTYPE_BF16;
}

static void warn_of_non_finite(const struct cmd_model *m) {
    const char *first = NULL;
    const int n = llama_model_non_finite(m->model, &first);
    if (n > 0)
        log_warning(
            "%s: NaN or infinities in %d weight%s, first in \"%s\": what it says means nothing "
            "(--check-tensors refuses such a file)",
            m->path, n, n == 1 ? "" : "s", first);
}

cria_status cmd_model_load(struct cmd_model *m, const struct conf *c, struct cria_error *err) {
    const double start = clock_seconds();
    const char *mask = conf_text(c, CONF_CPU_MASK);
    const struct device_options device_options = {.n_threads = (int)conf_int(c, CONF_THREADS),
                                                  .max_isa = mask ? kernel_isa_from_name(mask) : KERNEL_ISA_NONE};
    const struct llama_model_options model_options = {.compute = cmd_model_compute(c)};
    cria_status status;
    TRY(device_create_cpu(&m->dev, &device_options, err));
    TRY(llama_model_load(&m->model, m->files, m->dev, &model_options, err));
    warn_of_non_finite(m);
out:
    m->load_s += clock_seconds() - start;
    return status;
}

cria_status cmd_model_engine(struct cmd_model *m, const struct conf *c, struct engine_options options,
                             struct cria_error *err) {
    if (!options.max_batch) options.max_batch = 1;
    if (!options.prefill_chunk) options.prefill_chunk = (int)conf_int(c, CONF_PREFILL_CHUNK);
    options.kv_dtype = cmd_model_kv(c);
    options.prefix_cache = options.prefix_cache && !conf_flag(c, CONF_NO_PREFIX_CACHE);
    return engine_create(&m->eng, m->model, &options, err);
}

static cria_status compile_file(struct cmd_model *m, const char *path, struct cria_error *err) {
    char *source = NULL;
    size_t n = 0;
    cria_status status = file_read(path, MAX_TEMPLATE_BYTES, &source, &n, err);
    if (status != CRIA_OK) return status;
    status = template_compile(&m->tmpl, source, n, err);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
    alloc_free(source);
    return status;
}

cria_status cmd_model_template(struct cmd_model *m, const struct conf *c, struct cria_error *err) {
    const char *path = conf_text(c, CONF_TEMPLATE_FILE);
    if (m->tmpl) return CRIA_OK;
    if (path) return compile_file(m, path, err);
    const char *source = m->files ? model_files_template(m->files) : NULL;
    if (!source) return ERROR_SET(err, CRIA_NOTFOUND, "%s has no chat template; --template FILE gives one", m->path);
    const cria_status status = template_compile(&m->tmpl, source, strlen(source), err);
    if (status != CRIA_OK) error_prefix(err, "%s: chat template", m->path);
    return status;
}

cria_status cmd_model_need_tokenizer(const struct cmd_model *m, struct cria_error *err) {
    if (m->tok) return CRIA_OK;
    return ERROR_SET(err, CRIA_NOTFOUND, "%s has no tokenizer, so it takes token ids (--ids) and no text", m->path);
}

cria_status cmd_model_context(const struct cmd_model *m, const struct conf *c, int64_t *ret, struct cria_error *err) {
    const int64_t wanted = conf_int(c, CONF_CONTEXT), made_for = model_files_config(m->files)->n_context;
    if (wanted > made_for)
        return ERROR_SET(err, CRIA_USAGE, "--context %lld: %s was made for %lld tokens", (long long)wanted, m->path,
                         (long long)made_for);
    *ret = wanted ? wanted : made_for;
    return CRIA_OK;
}

void cmd_model_close(struct cmd_model *m) {
    engine_destroy(&m->eng);
    llama_model_destroy(&m->model);
    device_destroy(&m->dev);
    template_destroy(&m->tmpl);
    tokenizer_destroy(&m->tok);
    model_files_close(&m->files);
    alloc_free(m->path);
    *m = (struct cmd_model){0};
}
