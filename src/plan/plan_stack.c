/* plan_stack.c: kinds of training software (see plan_stack.h). Bytes: 16-bit weights; gradients summed in 32 or 16
 * bits; Adam with a 32-bit master copy and two moments is 12, and FSDP keeps the weights themselves in 32 bits. */
#include "plan/plan_stack.h"

#include <string.h>

static const struct plan_stack_row rows[PLAN_STACK_COUNT] = {
    [PLAN_STACK_DEFAULT] = {.name = "not stated",
                            .is_production = true,
                            .gradient_bytes = 4,
                            .weight_bytes = 2,
                            .state_bytes = 12,
                            .is_fused = true},
    [PLAN_STACK_MEGATRON] =
        {.name = "Megatron", .gradient_bytes = 4, .weight_bytes = 2, .state_bytes = 12, .is_fused = true},
    [PLAN_STACK_TORCH] = {.name = "PyTorch FSDP, compiled",
                          .casts_apart = true,
                          .gradient_bytes = 4,
                          .weight_bytes = 2,
                          .state_bytes = 12,
                          .is_fused = true,
                          .is_sharded = true,
                          .low_attention = true},
    [PLAN_STACK_EAGER] = {.name = "PyTorch FSDP, eager",
                          .casts_apart = true,
                          .gradient_bytes = 4,
                          .weight_bytes = 2,
                          .state_bytes = 12,
                          .is_sharded = true,
                          .low_attention = true},
    [PLAN_STACK_JAX] = {.name = "JAX",
                        .gradient_bytes = 4,
                        .weight_bytes = 2,
                        .state_bytes = 12,
                        .is_fused = true,
                        .is_sharded = true},
    [PLAN_STACK_NANOTRON] = {.name = "nanotron",
                             .casts_apart = true,
                             .gradient_bytes = 4,
                             .weight_bytes = 2,
                             .state_bytes = 12,
                             .low_attention = true},
    [PLAN_STACK_DEEPSEEK] = {.name = "DeepSeek",
                             .gradient_bytes = 4,
                             .weight_bytes = 2,
                             .state_bytes = 8,
                             .is_fused = true,
                             .hides_experts = true,
                             .fills_bubbles = true},
    [PLAN_STACK_PRODUCTION] = {.name = "a production run",
                               .is_production = true,
                               .gradient_bytes = 4,
                               .weight_bytes = 2,
                               .state_bytes = 12,
                               .is_fused = true},
    [PLAN_STACK_CPU] =
        {.name = "C on processors", .gradient_bytes = 4, .weight_bytes = 4, .state_bytes = 8, .is_fused = true},
};

const struct plan_stack_row *plan_stack_row(enum plan_stack_id stack) { return &rows[stack]; }

static const struct {
    const char *word;
    enum plan_stack_id stack;
} words[] = {
    /* The first that stands in the text decides. */
    {"llama 3 herd", PLAN_STACK_PRODUCTION},
    {"llama.c", PLAN_STACK_CPU},
    {"llm.c", PLAN_STACK_CPU},
    {"megascale", PLAN_STACK_MEGATRON},
    {"nanotron", PLAN_STACK_NANOTRON},
    {"smollm", PLAN_STACK_NANOTRON},
    {"deepseek-v3", PLAN_STACK_DEEPSEEK},
    {"2412.19437", PLAN_STACK_DEEPSEEK},
    {"2505.09343", PLAN_STACK_DEEPSEEK},
    {"dualpipe", PLAN_STACK_DEEPSEEK},
    {"maxtext", PLAN_STACK_JAX},
    {"jax", PLAN_STACK_JAX},
    {"paxml", PLAN_STACK_JAX},
    {"-pax", PLAN_STACK_JAX},
    {"tpu", PLAN_STACK_JAX},
    {"llm-foundry", PLAN_STACK_EAGER},
    {"composer", PLAN_STACK_EAGER},
    {"eager", PLAN_STACK_EAGER},
    {"torchtitan", PLAN_STACK_TORCH},
    {"fsdp blog", PLAN_STACK_EAGER},
    {"megatron", PLAN_STACK_MEGATRON},
    {"nemo", PLAN_STACK_MEGATRON},
    {"transformer engine", PLAN_STACK_MEGATRON},
    {"nvidia", PLAN_STACK_MEGATRON},
    {"mlperf", PLAN_STACK_MEGATRON},
    {"narayanan", PLAN_STACK_MEGATRON},
    {"korthikanti", PLAN_STACK_MEGATRON},
    {"mt-nlg", PLAN_STACK_MEGATRON},
    {"torch.compile", PLAN_STACK_TORCH},
    {"fsdp", PLAN_STACK_EAGER},
    {"pytorch", PLAN_STACK_EAGER},
};

enum plan_stack_id plan_stack_find(const char *text) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(text, words[i].word)) return words[i].stack;
    return PLAN_STACK_DEFAULT;
}
