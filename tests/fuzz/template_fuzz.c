/* template_fuzz.c: any bytes as a chat template, a NUL, and any bytes as its variables.
 *
 * Whatever comes, the interpreter ends within its budget with a prompt or an error that names a place, a prompt is no
 * longer than the budget, its mask holds zeros and ones, and a second render gives the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/template.h"

static void require(int holds) {
    if (!holds) abort();
}

static const char plain_variables[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"a <|b|> \\u00e9\"}, {\"role\": \"assistant\", \"content\": "
    "null}], \"tools\": [{\"n\": 1.5}],"
    " \"bos_token\": \"<s>\", \"n\": 5, \"l\": [3, 1, 2], \"d\": {\"k\": [true]}, \"s\": \"Hello World\", \"now\": "
    "\"2024-07-26\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const struct template_budget budget = {.max_steps = 100000, .max_bytes = (size_t)1 << 20, .max_depth = 300};
    const char *source = (const char *)data, *nul = n_bytes ? memchr(data, 0, n_bytes) : NULL;
    const size_t n_source = nul ? (size_t)(nul - source) : n_bytes;
    const char *variables = nul ? nul + 1 : plain_variables;
    const size_t n_variables = nul ? n_bytes - n_source - 1 : sizeof plain_variables - 1;
    struct cria_error err = {0};
    struct prompt_text first = {0}, second = {0};
    template *t = NULL;
    if (template_compile(&t, n_bytes ? source : "", n_source, &err) != CRIA_OK) {
        require(!t && err.text[0]);
        return 0;
    }
    const cria_status status = template_render(t, variables, n_variables, &budget, &first, &err);
    require(status == CRIA_OK ? first.text != NULL : !first.text && err.text[0]);
    require(template_render(t, variables, n_variables, &budget, &second, NULL) == status);
    require(first.n <= budget.max_bytes && first.n == second.n);
    for (size_t i = 0; i < first.n; i++) require(first.trusted[i] <= 1 && first.trusted[i] == second.trusted[i]);
    if (first.n) require(memcmp(first.text, second.text, first.n) == 0);
    prompt_text_free(&first);
    prompt_text_free(&second);
    template_destroy(&t);
    return 0;
}
