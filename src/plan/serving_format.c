/* serving_format.c: number formats of served models by the names that people give them (serving.h). Bytes are of a
 * stored parameter with the scales of its block; where a name says nothing of the cache it keeps 16 bits. */
#include <ctype.h>
#include <string.h>

#include "plan/serving.h"

/* The first row that a name begins with wins, so longer names stand before shorter. */
static const struct serving_format formats[] = {
    {"bf16", PLAN_BF16, 2, 2},
    {"bfloat16", PLAN_BF16, 2, 2},
    {"fp16", PLAN_BF16, 2, 2},
    {"f16", PLAN_BF16, 2, 2},
    {"float16", PLAN_BF16, 2, 2},
    {"fp32", PLAN_FP32, 4, 4},
    {"f32", PLAN_FP32, 4, 4},
    {"fp8", PLAN_FP8, 1, 2},
    {"int8", PLAN_INT8, 1.03, 2},
    {"w8a8", PLAN_INT8, 1.03, 2},
    {"mxfp4", PLAN_BF16, 0.531, 2},
    {"nvfp4", PLAN_FP4, 0.5625, 1},
    {"fp4", PLAN_FP4, 0.5625, 1},
    {"gf4", PLAN_BF16, 0.5, 2},
    {"int4", PLAN_BF16, 0.5625, 2},
    {"awq", PLAN_BF16, 0.5625, 2},
    {"gptq", PLAN_BF16, 0.5625, 2},
    {"q8_0", PLAN_BF16, 1.0625, 2},
    {"q6_k", PLAN_BF16, 0.8203, 2},
    {"q5_k", PLAN_BF16, 0.6875, 2},
    {"q4_k_m", PLAN_BF16, 0.606, 2},
    {"q4_k", PLAN_BF16, 0.5625, 2},
    {"q4_0", PLAN_BF16, 0.5625, 2},
    {"q4_1", PLAN_BF16, 0.625, 2},
    {"spinquant 4", PLAN_BF16, 0.56, 2},
};

const struct serving_format *serving_format_at(int i) {
    return i >= 0 && i < (int)(sizeof formats / sizeof *formats) ? &formats[i] : NULL;
}

/* Letters and digits of both alike, up to the end of `known`. */
static bool begins_like(const char *name, const char *known) {
    while (*known) {
        while (*known && !isalnum((unsigned char)*known)) known++;
        while (*name && !isalnum((unsigned char)*name)) name++;
        if (!*known) return true;
        if (tolower((unsigned char)*name) != *known) return false;
        name++, known++;
    }
    return true;
}

cria_status serving_format_find(const char *name, struct serving_format *ret, struct cria_error *err) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (name && begins_like(name, formats[i].name)) {
            *ret = formats[i];
            return CRIA_OK;
        }
    return ERROR_SET(
        err, CRIA_UNSUPPORTED,
        "unknown number format \"%s\"; known are bf16, fp16, fp32, fp8, int8, fp4, nvfp4, mxfp4, int4, awq, "
        "gptq, q8_0, q6_k, q5_k, q4_k_m, q4_0",
        name ? name : "");
}
