/* cria_model.c: opening and closing models through the public API. */
#include <string.h>

#include "api/cria_private.h"
#include "base/alloc.h"

static cria_status open_device(cria_model *m, const struct cria_model_options *o, struct cria_error *err) {
    struct device_options options = {.n_threads = o->n_threads, .max_isa = KERNEL_ISA_NONE};
    if (o->cpu) {
        options.max_isa = kernel_isa_from_name(o->cpu);
        if (options.max_isa == KERNEL_ISA_NONE)
            return ERROR_SET(err, CRIA_USAGE, "cpu is \"%s\"; it must be ref, avx2, avx512, avx512bf16 or amx", o->cpu);
    }
    return device_create_cpu(&m->dev, &options, err);
}

static cria_status open_text(cria_model *m, const model_files *files, struct cria_error *err) {
    cria_status status = model_files_tokenizer(files, &m->tok.t, err);
    if (status == CRIA_NOTFOUND) return CRIA_OK; /* a model without one works by ids */
    const char *source = model_files_template(files);
    if (status == CRIA_OK && source) status = template_compile(&m->tmpl, source, strlen(source), err);
    return status;
}

static cria_status open_weights(cria_model *m, const model_files *files, const struct cria_model_options *o,
                                struct cria_error *err) {
    static const enum llama_compute computes[] = {
        [CRIA_COMPUTE_DEFAULT] = LLAMA_COMPUTE_DEFAULT,
        [CRIA_COMPUTE_BF16] = LLAMA_COMPUTE_BF16,
        [CRIA_COMPUTE_F32] = LLAMA_COMPUTE_F32,
    };
    if ((unsigned)o->compute >= sizeof computes / sizeof computes[0])
        return ERROR_SET(err, CRIA_USAGE, "compute is %d; it must be one of enum cria_compute", (int)o->compute);
    const struct llama_model_options options = {.compute = computes[o->compute]};
    cria_status status = llama_model_load(&m->llama, files, m->dev, &options, err);
    if (status != CRIA_OK) return status;
    const struct engine_options running = {
        .max_batch = 1,
        .prefill_chunk = o->prefill_chunk,
        .max_context = o->max_context,
        .kv_bytes = o->kv_bytes,
        .prefix_cache = true,
        .all_logits = true,
    };
    return engine_create(&m->eng, m->llama, &running, err);
}

static cria_status open_model(cria_model **ret, const char *path, const struct cria_model_options *o,
                              struct cria_error *err) {
    cria_status status = CRIA_OK;
    model_files *files = NULL;
    cria_model *m = ALLOC_NEW(cria_model);
    if (!m) return ERROR_NOMEM(err, sizeof *m, "a model");
    TRY(open_device(m, o, err));
    TRY(model_files_open(&files, path, &(struct model_open_options){.check_tensors = false}, err));
    TRY(open_text(m, files, err));
    TRY(open_weights(m, files, o, err));
    *ret = m;
    m = NULL;
out:
    model_files_close(&files);
    cria_model_close(&m);
    return status;
}

cria_status cria_model_open(cria_model **ret, const char *path, const struct cria_model_options *options,
                            struct cria_error *err) {
    struct cria_model_options o = cria_model_defaults();
    cria_status status = cria_options_take(&o, sizeof o, options, err);
    if (status != CRIA_OK) return status;
    const unsigned callers = cria_state_enter();
    status = open_model(ret, path, &o, err);
    cria_state_leave(callers);
    return status;
}

void cria_model_close(cria_model **model) {
    cria_model *m = *model;
    if (!m) return;
    engine_destroy(&m->eng);
    llama_model_destroy(&m->llama);
    device_destroy(&m->dev);
    template_destroy(&m->tmpl);
    tokenizer_destroy(&m->tok.t);
    alloc_free(m);
    *model = NULL;
}

int64_t cria_model_context(const cria_model *model) { return engine_context(model->eng); }

int32_t cria_model_vocabulary(const cria_model *model) { return (int32_t)llama_model_config(model->llama)->n_vocab; }

const cria_tokenizer *cria_model_tokenizer(const cria_model *model) { return model->tok.t ? &model->tok : NULL; }
