/* cmd_template.c: the exact prompt text of a dialogue. */
#include "base/alloc.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_model.h"

cria_status cmd_template(const struct conf *c, struct cria_error *err) {
    struct cmd_model m = {0};
    struct prompt_text prompt = {0};
    dialogue *d = NULL;
    char *input = NULL;
    size_t n = 0;
    cria_status status;
    if (!conf_is_set(c, CONF_MODEL) && !conf_is_set(c, CONF_TEMPLATE_FILE))
        return ERROR_SET(err, CRIA_USAGE, "whose template? -m MODEL or --template FILE");
    struct conf options = *c; /* the argument is the dialogue, not the model */
    options.n_arguments = 0;
    if (conf_is_set(c, CONF_MODEL)) TRY(cmd_model_open(&m, &options, true, err));
    TRY(cmd_model_template(&m, c, err));
    TRY(cmd_read(c->arguments[0], &input, &n, err));
    status = dialogue_from_json(&d, input, n, err);
    if (status != CRIA_OK) error_prefix(err, "%s", c->arguments[0]);
    TRY(status);
    status = dialogue_render(d, m.tmpl, m.tok, &prompt, err);
    const char *file = conf_text(c, CONF_TEMPLATE_FILE);
    if (status != CRIA_OK)
        error_prefix(err, "%s, with the template of %s", c->arguments[0], file ? file : conf_text(c, CONF_MODEL));
    TRY(status);
    TRY(cmd_write(prompt.text, prompt.n, err));
out:
    prompt_text_free(&prompt);
    dialogue_destroy(&d);
    alloc_free(input);
    cmd_model_close(&m);
    return status;
}
