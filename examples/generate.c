/* generate.c: the smallest useful program over libcria: continue a text and stream the answer.
 *
 *   cc -I include examples/generate.c build/release/libcria.a -lonig -lcrypto -lm -lpthread -o generate
 *   ./generate MODEL "Once upon a time" 40
 *
 * Plain C11 against include/cria/cria.h and nothing else. The test suite builds and runs it. */
#include <stdio.h>
#include <stdlib.h>

#include "cria/cria.h"

/* Called for each piece of the answer as soon as it is known. */
static int print_text(void *arg, const char *text, size_t n_bytes) {
    (void)arg;
    fwrite(text, 1, n_bytes, stdout);
    return fflush(stdout); /* not 0, where nobody reads any more: the answer ends */
}

static cria_status answer(cria_model *model, const char *prompt, int64_t max_tokens, struct cria_error *err) {
    struct cria_generate_options options = cria_generate_defaults();
    options.max_tokens = max_tokens;
    options.temperature = 0.7f;
    options.top_p = 0.9f;
    options.seed = 1;
    options.on_text = print_text;

    cria_answer *result = NULL;
    const cria_status status = cria_generate(model, prompt, &options, &result, err);
    if (status != CRIA_OK) return status;
    size_t n_tokens;
    cria_answer_tokens(result, &n_tokens);
    printf("\n%zu + %zu tokens, finish %s, digest %s\n", cria_answer_prompt_tokens(result), n_tokens,
           cria_answer_finish(result), cria_answer_digest(result));
    cria_answer_destroy(&result);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: generate MODEL PROMPT TOKENS\n");
        return 2;
    }
    struct cria_error err;
    cria_model *model = NULL;
    cria_status status = cria_model_open(&model, argv[1], NULL, &err);
    if (status == CRIA_OK) status = answer(model, argv[2], strtoll(argv[3], NULL, 10), &err);
    if (status != CRIA_OK) fprintf(stderr, "generate: %s\n", err.text);
    cria_model_close(&model);
    return status == CRIA_OK ? 0 : 1;
}
