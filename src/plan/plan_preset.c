/* plan_preset.c: the shapes of well-known models, from their published configurations (see planner.h). */
#include <string.h>

#include "plan/plan_names.h"
#include "plan/planner.h"

struct preset {
    const char *name, *aliases; /* aliases: other spellings, separated by commas */
    struct plan_model model;
};

#define DENSE(L, D, F, H, G, S, V, gated, tied)                                                              \
    {                                                                                                        \
        .d_model = D, .n_layers = L, .n_heads = H, .n_kv_heads = G, .head_size = S, .d_ff = F, .n_vocab = V, \
        .n_context = 8192, .is_gated = gated, .is_tied = tied                                                \
    }
#define EXPERTS(L, D, F, H, G, S, V, E, K, FE, FS, dense)                                                           \
    {                                                                                                               \
        .d_model = D, .n_layers = L, .n_heads = H, .n_kv_heads = G, .head_size = S, .d_ff = F, .n_vocab = V,        \
        .n_context = 8192, .is_gated = true, .n_experts = E, .n_active_experts = K, .d_expert = FE, .d_shared = FS, \
        .n_dense_layers = dense                                                                                     \
    }

/* clang-format off */
static const struct preset presets[] = {
    /*                                   L    D      F      H    G   S    V       gated  tied */
    {"llama3-8b", "llama 3 8b, llama 3.1 8b, llama3.1 8b, llama3 8b, llama 3.1 8b instruct, llama-3.1-8b",
        DENSE(32, 4096, 14336, 32, 8, 128, 128256, true, false)},
    {"llama3-70b", "llama 3 70b, llama 3.1 70b, llama 3.3 70b, llama3.1 70b, llama3 70b, llama-3.1-70b",
        DENSE(80, 8192, 28672, 64, 8, 128, 128256, true, false)},
    {"llama3-405b", "llama 3 405b, llama 3.1 405b, llama3.1 405b, llama3 405b, llama-3.1-405b",
        DENSE(126, 16384, 53248, 128, 8, 128, 128256, true, false)},
    {"llama3.2-1b", "llama 3.2 1b, llama-3.2-1b", DENSE(16, 2048, 8192, 32, 8, 64, 128256, true, true)},
    {"llama3.2-3b", "llama 3.2 3b, llama-3.2-3b", DENSE(28, 3072, 8192, 24, 8, 128, 128256, true, true)},
    {"llama2-7b", "llama 2 7b, llama2 7b, llama 7b", DENSE(32, 4096, 11008, 32, 32, 128, 32000, true, false)},
    {"llama2-13b", "llama 2 13b, llama2 13b, llama 13b", DENSE(40, 5120, 13824, 40, 40, 128, 32000, true, false)},
    {"llama2-34b", "llama 2 34b, llama2 34b, codellama 34b", DENSE(48, 8192, 22016, 64, 8, 128, 32000, true, false)},
    {"llama2-70b", "llama 2 70b, llama2 70b", DENSE(80, 8192, 28672, 64, 8, 128, 32000, true, false)},
    {"llama1-33b", "llama 33b, llama 30b", DENSE(60, 6656, 17920, 52, 52, 128, 32000, true, false)},
    {"llama1-65b", "llama 65b, llama 1 65b", DENSE(80, 8192, 22016, 64, 64, 128, 32000, true, false)},
    {"smollm2-135m", "smollm2, smollm 135m", DENSE(30, 576, 1536, 9, 3, 64, 49152, true, true)},
    {"smollm2-360m", "smollm 360m", DENSE(32, 960, 2560, 15, 5, 64, 49152, true, true)},
    {"smollm2-1.7b", "smollm 1.7b", DENSE(24, 2048, 8192, 32, 32, 64, 49152, true, true)},
    {"smollm3-3b", "smollm3", DENSE(36, 2048, 11008, 16, 4, 128, 128256, true, true)},
    {"tinyllama-1.1b", "tinyllama", DENSE(22, 2048, 5632, 32, 4, 64, 32000, true, false)},
    {"mistral-7b", "mistral 7b", DENSE(32, 4096, 14336, 32, 8, 128, 32000, true, false)},
    {"mistral-large-2", "mistral large, mistral large 123b", DENSE(88, 12288, 28672, 96, 8, 128, 32768, true, false)},
    {"qwen2.5-0.5b", "qwen 2.5 0.5b, qwen2 0.5b", DENSE(24, 896, 4864, 14, 2, 64, 151936, true, true)},
    {"qwen2.5-7b", "qwen 2.5 7b, qwen2 7b", DENSE(28, 3584, 18944, 28, 4, 128, 152064, true, false)},
    {"qwen2.5-14b", "qwen 2.5 14b", DENSE(48, 5120, 13824, 40, 8, 128, 152064, true, false)},
    {"qwen2.5-32b", "qwen 2.5 32b", DENSE(64, 5120, 27648, 40, 8, 128, 152064, true, false)},
    {"qwen2.5-72b", "qwen 2.5 72b, qwen2 72b", DENSE(80, 8192, 29568, 64, 8, 128, 152064, true, false)},
    {"qwen3-8b", "qwen 3 8b", DENSE(36, 4096, 12288, 32, 8, 128, 151936, true, false)},
    {"qwen3-32b", "qwen 3 32b", DENSE(64, 5120, 25600, 64, 8, 128, 151936, true, false)},
    {"gemma2-2b", "gemma 2 2b", DENSE(26, 2304, 9216, 8, 4, 256, 256000, true, true)},
    {"gemma-7b", "gemma 7b", DENSE(28, 3072, 24576, 16, 16, 256, 256000, true, true)},
    {"gemma2-9b", "gemma 2 9b", DENSE(42, 3584, 14336, 16, 8, 256, 256000, true, true)},
    {"gemma2-27b", "gemma 2 27b", DENSE(46, 4608, 36864, 32, 16, 128, 256000, true, true)},
    {"gemma3-12b", "gemma 3 12b", DENSE(48, 3840, 15360, 16, 8, 256, 262208, true, true)},
    {"gemma3-27b", "gemma 3 27b", DENSE(62, 5376, 21504, 32, 16, 128, 262208, true, true)},
    {"phi-4", "phi 4 14b, phi4", DENSE(40, 5120, 17920, 40, 10, 128, 100352, true, false)},
    {"gpt2-124m", "gpt 2 124m, gpt2, gpt-2 small", DENSE(12, 768, 3072, 12, 12, 64, 50304, false, true)},
    {"gpt2-1.5b", "gpt 2 1.5b, gpt2 xl, gpt-2 xl, gpt-2 1558m", DENSE(48, 1600, 6400, 25, 25, 64, 50304, false, true)},
    {"gpt3-5b", "gpt 3 5b", DENSE(24, 4096, 16384, 32, 32, 128, 51200, false, true)},
    {"gpt3-20b", "gpt 3 20b, gpt-neox 20b", DENSE(44, 6144, 24576, 48, 48, 128, 51200, false, true)},
    {"gpt3-175b", "gpt 3 175b, gpt-3 175b, gpt3, opt 175b", DENSE(96, 12288, 49152, 96, 96, 128, 51200, false, true)},
    {"gpt-22b", "", DENSE(48, 6144, 24576, 64, 64, 96, 51200, false, true)},
    {"gpt-530b", "mt nlg 530b, gpt 529.6b", DENSE(105, 20480, 81920, 128, 128, 160, 51200, false, true)},
    {"gpt-1t", "gpt 1008b", DENSE(128, 25600, 102400, 160, 160, 160, 51200, false, true)},
    {"bloom-176b", "bloom", DENSE(70, 14336, 57344, 112, 112, 128, 250880, false, true)},
    {"falcon-40b", "", DENSE(60, 8192, 32768, 128, 8, 64, 65024, false, true)},
    {"falcon-180b", "", DENSE(80, 14848, 59392, 232, 8, 64, 65024, false, true)},
    {"palm-540b", "palm", DENSE(118, 18432, 73728, 48, 1, 384, 256000, true, true)},
    {"nemotron-8b", "nemotron3 8b", DENSE(32, 4096, 16384, 32, 32, 128, 256000, false, false)},
    {"nemotron-15b", "nemotron4 15b, nemotron 4 15b", DENSE(32, 6144, 24576, 48, 8, 128, 256000, false, false)},
    {"nemotron-22b", "nemotron3 22b", DENSE(40, 6144, 24576, 48, 48, 128, 256000, false, false)},
    {"nemotron-340b", "nemotron4 340b, nemotron 4 340b", DENSE(96, 18432, 73728, 96, 8, 192, 256000, false, false)},
    {"pythia-6.9b", "", DENSE(32, 4096, 16384, 32, 32, 128, 50432, false, false)},
    {"pythia-12b", "", DENSE(36, 5120, 20480, 40, 40, 128, 50688, false, false)},
    {"mpt-7b", "", DENSE(32, 4096, 16384, 32, 32, 128, 50368, false, true)},
    {"mpt-30b", "", DENSE(48, 7168, 28672, 56, 56, 128, 50368, false, true)},
    {"olmo2-7b", "olmo 2 7b, olmo 7b", DENSE(32, 4096, 11008, 32, 32, 128, 100352, true, false)},
    {"olmo2-13b", "olmo 2 13b", DENSE(40, 5120, 13824, 40, 40, 128, 100352, true, false)},
    {"olmo2-32b", "olmo 2 32b", DENSE(64, 5120, 27648, 40, 8, 128, 100352, true, false)},
    {"mixtral-8x7b", "mixtral 8x7b", EXPERTS(32, 4096, 0, 32, 8, 128, 32000, 8, 2, 14336, 0, 0)},
    {"mixtral-8x22b", "mixtral 8x22b", EXPERTS(56, 6144, 0, 48, 8, 128, 32768, 8, 2, 16384, 0, 0)},
    {"grok-1", "grok1 314b, grok1, grok 314b", EXPERTS(64, 6144, 0, 48, 8, 128, 131072, 8, 2, 32768, 0, 0)},
    {"dbrx", "dbrx 132b", EXPERTS(40, 6144, 0, 48, 8, 128, 100352, 16, 4, 10752, 0, 0)},
    {"qwen3-30b-a3b", "qwen 3 30b a3b, qwen3_30b_a3b", EXPERTS(48, 2048, 0, 32, 4, 128, 151936, 128, 8, 768, 0, 0)},
    {"qwen3-235b-a22b", "qwen 3 235b a22b, qwen3_235b_a22b, qwen3 235b",
        EXPERTS(94, 4096, 0, 64, 4, 128, 151936, 128, 8, 1536, 0, 0)},
    {"llama4-scout", "llama 4 scout, llama 4 scout 17b 16e, llama4 scout 109b",
        EXPERTS(48, 5120, 0, 40, 8, 128, 202048, 16, 1, 8192, 8192, 0)},
    {"llama4-maverick", "llama 4 maverick, llama 4 maverick 17b 128e, llama4 maverick 400b",
        EXPERTS(48, 5120, 16384, 40, 8, 128, 202048, 128, 1, 8192, 8192, 24)},
    {"gpt-oss-120b", "gpt oss 120b, gptoss 120b", {
        .d_model = 2880, .n_layers = 36, .n_heads = 64, .n_kv_heads = 8, .head_size = 64, .n_vocab = 201088,
        .n_context = 131072, .is_gated = true, .n_experts = 128, .n_active_experts = 4, .d_expert = 2880,
        .window = 128, .n_window_layers = 18, .has_sinks = true}},
    {"gpt-oss-20b", "gpt oss 20b, gptoss 20b", {
        .d_model = 2880, .n_layers = 24, .n_heads = 64, .n_kv_heads = 8, .head_size = 64, .n_vocab = 201088,
        .n_context = 131072, .is_gated = true, .n_experts = 32, .n_active_experts = 4, .d_expert = 2880,
        .window = 128, .n_window_layers = 12, .has_sinks = true}},
    {"deepseek-v2-lite", "deepseekv2 lite", {
        .d_model = 2048, .n_layers = 27, .n_heads = 16, .n_kv_heads = 16, .head_size = 128, .d_ff = 10944,
        .n_vocab = 102400, .n_context = 32768, .is_gated = true, .n_experts = 64, .n_active_experts = 6,
        .d_expert = 1408, .d_shared = 2816, .n_dense_layers = 1, .kv_rank = 512, .rope_size = 64, .value_size = 128}},
    {"deepseek-v2", "deepseekv2, deepseek v2 236b", {
        .d_model = 5120, .n_layers = 60, .n_heads = 128, .n_kv_heads = 128, .head_size = 128, .d_ff = 12288,
        .n_vocab = 102400, .n_context = 131072, .is_gated = true, .n_experts = 160, .n_active_experts = 6,
        .d_expert = 1536, .d_shared = 3072, .n_dense_layers = 1, .q_rank = 1536, .kv_rank = 512, .rope_size = 64,
        .value_size = 128, .n_routed_groups = 3}},
    {"qwen2-57b-a14b", "qwen2 57b a14b", {
        .d_model = 3584, .n_layers = 28, .n_heads = 28, .n_kv_heads = 4, .head_size = 128, .n_vocab = 151936,
        .n_context = 32768, .is_gated = true, .n_experts = 64, .n_active_experts = 8, .d_expert = 2560,
        .d_shared = 20480}},
    {"deepseek-v3", "deepseekv3, deepseek v3 671b, deepseek r1, deepseek v3 r1", {
        .d_model = 7168, .n_layers = 61, .n_heads = 128, .n_kv_heads = 128, .head_size = 128, .d_ff = 18432,
        .n_vocab = 129280, .n_context = 163840, .is_gated = true, .n_experts = 256, .n_active_experts = 8,
        .d_expert = 2048, .d_shared = 2048, .n_dense_layers = 3, .q_rank = 1536, .kv_rank = 512, .rope_size = 64,
        .value_size = 128, .n_mtp_layers = 1, .n_routed_groups = 4}},
    {"kimi-k2", "kimi_k2, kimi k2 1t", {
        .d_model = 7168, .n_layers = 61, .n_heads = 64, .n_kv_heads = 64, .head_size = 128, .d_ff = 18432,
        .n_vocab = 163840, .n_context = 131072, .is_gated = true, .n_experts = 384, .n_active_experts = 8,
        .d_expert = 2048, .d_shared = 2048, .n_dense_layers = 1, .q_rank = 1536, .kv_rank = 512, .rope_size = 64,
        .value_size = 128}},
};
/* clang-format on */

#define N_PRESETS (sizeof presets / sizeof presets[0])

static size_t score(const struct preset *p, const char *name) {
    size_t best = plan_names_score(p->name, name);
    const char *at = p->aliases;
    while (*at) {
        char alias[64];
        size_t n = strcspn(at, ","), n_copy = n < sizeof alias ? n : sizeof alias - 1;
        memcpy(alias, at, n_copy);
        alias[n_copy] = 0;
        size_t s = plan_names_score(alias, name);
        if (s > best) best = s;
        at += n;
        while (*at == ',' || *at == ' ') at++;
    }
    return best;
}

cria_status plan_model_preset(const char *name, struct plan_model *ret, struct cria_error *err) {
    size_t best = 0, best_i = 0, nearest = (size_t)-1, nearest_i = 0;
    for (size_t i = 0; i < N_PRESETS; i++) {
        size_t s = score(&presets[i], name), distance = plan_names_distance(presets[i].name, name);
        if (s > best) best = s, best_i = i;
        if (distance < nearest) nearest = distance, nearest_i = i;
    }
    if (!best)
        return ERROR_SET(err, CRIA_NOTFOUND,
                         "there is no model \"%s\" in the planner's list; the nearest name is %s (a config.json of "
                         "Hugging Face's form can be given by its path)",
                         name, presets[nearest_i].name);
    *ret = presets[best_i].model;
    size_t n = strlen(presets[best_i].name);
    memcpy(ret->name, presets[best_i].name, n + 1);
    return CRIA_OK;
}

const char *plan_model_preset_name(size_t i) { return i < N_PRESETS ? presets[i].name : NULL; }
