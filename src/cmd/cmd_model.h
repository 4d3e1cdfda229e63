/* cmd_model.h: from the word behind -m to a model that answers: name, files, tokenizer, template, device, weights,
 * engine.
 *
 * Each step is taken only where a command needs it, so that `tokenize` never touches a weight. */
#ifndef CMD_CMD_MODEL_H
#define CMD_CMD_MODEL_H

#include "conf/conf.h"
#include "device/device.h"
#include "format/format.h"
#include "infer/infer.h"
#include "llama/llama.h"
#include "text/dialogue.h"
#include "text/template.h"
#include "text/tokenizer.h"

/* Zero-initialise; all owned. */
struct cmd_model {
    char *path;
    model_files *files;
    tokenizer *tok; /* NULL: the model has none and runs by ids */
    template *tmpl; /* NULL: none asked for yet */
    device *dev;
    llama_model *model;
    engine *eng;
    double load_s; /* from the first step to the loaded weights */
};

/* The model's name: --model or the first argument; USAGE where both or neither are given. */
CRIA_MUST_CHECK cria_status cmd_model_name(const struct conf *c, const char **ret, struct cria_error *err);
/* The files and the tokenizer; where is_text_only a file without weights is right, and so is a tokenizer file, which
 * leaves `files` NULL. */
CRIA_MUST_CHECK cria_status cmd_model_open(struct cmd_model *m, const struct conf *c, bool is_text_only,
                                           struct cria_error *err);
/* The tokenizer alone of a model or a tokenizer file; NOTFOUND where it has none. */
CRIA_MUST_CHECK cria_status cmd_model_tokenizer(const char *name, tokenizer **ret, struct cria_error *err);
/* The device and the weights. */
CRIA_MUST_CHECK cria_status cmd_model_load(struct cmd_model *m, const struct conf *c, struct cria_error *err);
/* The engine; what the options do not set comes from the command line. */
CRIA_MUST_CHECK cria_status cmd_model_engine(struct cmd_model *m, const struct conf *c, struct engine_options options,
                                             struct cria_error *err);
/* --template's file, or the model's own; NOTFOUND where there is neither. */
CRIA_MUST_CHECK cria_status cmd_model_template(struct cmd_model *m, const struct conf *c, struct cria_error *err);
/* NOTFOUND with advice where there is no tokenizer. */
CRIA_MUST_CHECK cria_status cmd_model_need_tokenizer(const struct cmd_model *m, struct cria_error *err);
/* The longest context that --context and the model allow. */
CRIA_MUST_CHECK cria_status cmd_model_context(const struct cmd_model *m, const struct conf *c, int64_t *ret,
                                              struct cria_error *err);
enum llama_compute cmd_model_compute(const struct conf *c);
enum dtype cmd_model_kv(const struct conf *c);
void cmd_model_close(struct cmd_model *m);

#endif
