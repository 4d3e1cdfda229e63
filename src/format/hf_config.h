/* hf_config.h: config.json and its companions of a Hugging Face model directory, as a configuration.
 *
 * Old and new forms are read; a fact that stands in two places has to be the same in both. What would change the
 * mathematics and is not supported is refused by name. Private to this folder; pure functions of the text. */
#ifndef FORMAT_HF_CONFIG_H
#define FORMAT_HF_CONFIG_H

#include "arch/arch.h"
#include "base/error.h"
#include "base/json.h"

/* A whole config.json. The result is not yet held to arch_config_check(). */
CRIA_MUST_CHECK cria_status hf_config_parse(const char *text, size_t n, struct arch_config *ret,
                                            struct cria_error *err);
/* A whole generation_config.json: adds its end-of-text ids to those of *c. */
CRIA_MUST_CHECK cria_status hf_config_add_generation(const char *text, size_t n, struct arch_config *c,
                                                     struct cria_error *err);

/* hf_rope.c: one rope_scaling or rope_parameters object. */
struct hf_rope {
    char type[32];                                          /* empty: not said */
    double factor, low_factor, high_factor, theta, partial; /* NaN: not said */
    int64_t original_context;                               /* -1: not said */
};
/* Reads the value that comes next: null gives *ret_present false. */
CRIA_MUST_CHECK cria_status hf_rope_read(json_reader *r, struct hf_rope *ret, bool *ret_present,
                                         struct cria_error *err);
/* The rotation that such an object (NULL: none) asks for; top_theta is the rope_theta beside it, NaN for none. */
CRIA_MUST_CHECK cria_status hf_rope_resolve(const struct hf_rope *h, double top_theta, struct arch_rope *ret,
                                            struct cria_error *err);

/* hf_template.c: the chat template of a whole tokenizer_config.json; *ret is NULL where it has none, else alloc_free()
 * it. *ret_others counts named templates that are not the default one. */
CRIA_MUST_CHECK cria_status hf_template_read(const char *text, size_t n, char **ret, int *ret_others,
                                             struct cria_error *err);

/* hf_tokens.c: the special tokens that a tokenizer_config.json or special_tokens_map.json names. */
#define HF_TOKEN_BYTES 256
struct hf_token {
    bool is_said;
    size_t n; /* 0, where it is said: there is none */
    char text[HF_TOKEN_BYTES];
};
struct hf_tokens {
    struct hf_token bos, eos;
    int add_bos, add_eos; /* -1: not said */
};
CRIA_MUST_CHECK cria_status hf_tokens_read(const char *text, size_t n, struct hf_tokens *ret, struct cria_error *err);
/* Adds to *to, of a tokenizer_config.json, what a special_tokens_map.json says; FORMAT where it says another text. */
CRIA_MUST_CHECK cria_status hf_tokens_merge(struct hf_tokens *to, const struct hf_tokens *map, struct cria_error *err);

#endif
