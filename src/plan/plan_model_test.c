/* plan_model_test.c: sizes and operations of known models, and configurations of every family. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan/planner.h"

static struct plan_model preset(const char *name) {
    struct plan_model m;
    struct cria_error err = {0};
    if (plan_model_preset(name, &m, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_int_equal(plan_model_check(&m, &err), CRIA_OK);
    return m;
}

/* Catches: a wrong figure in a preset, a matrix counted twice or forgotten: parameters as the makers print them. */
static void test_parameters(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double total, active; /* 0: as total */
    } cases[] = {
        {"Llama 3.1 8B", 8.03e9, 0},
        {"llama3-70b", 70.55e9, 0},
        {"LLAMA3.1_405B", 405.85e9, 0},
        {"Llama 3.2 1B", 1.236e9, 0},
        {"llama2-7b", 6.738e9, 0},
        {"mistral 7b", 7.24e9, 0},
        {"qwen2.5 72b", 72.7e9, 0},
        {"gpt3-175b", 175e9, 0},
        {"nemotron4 340b", 341e9, 0},
        {"mixtral 8x7b", 46.7e9, 12.9e9},
        {"Qwen3_30B_a3B", 30.5e9, 3.3e9},
        {"Qwen3_235B_a22B", 235e9, 22e9},
        {"DeepSeekV3", 671e9, 37.5e9},
        {"Kimi_K2", 1.03e12, 32.5e9},
        {"GPT OSS 120B", 116.8e9, 5.7e9},
        {"llama 4 scout", 107.8e9, 17.2e9},
        {"llama 4 maverick", 400.7e9, 17.2e9},
        {"olmo 2 32b", 32.2e9, 0},
        {"deepseek v2", 235.7e9, 21.4e9},
        {"qwen2 57b a14b", 57.4e9, 14.2e9},
        {"smollm2 135m", 134.5e6, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan_model m = preset(cases[i].name);
        struct plan_params p;
        plan_model_params(&m, &p);
        double active = cases[i].active > 0 ? cases[i].active : cases[i].total;
        if (fabs(p.total / cases[i].total - 1) > 0.02) fail_msg("%s: %.4g parameters", cases[i].name, p.total);
        if (fabs(p.active / active - 1) > 0.03) fail_msg("%s: %.4g active", cases[i].name, p.active);
    }
    for (size_t i = 0; plan_model_preset_name(i); i++) preset(plan_model_preset_name(i));
    struct plan_model m;
    struct cria_error err = {0};
    assert_int_equal(plan_model_preset("lama3-8b", &m, &err), CRIA_NOTFOUND);
    assert_non_null(strstr(err.text, "llama3-8b"));
}

/* Catches: operations that are not 6 a parameter in products plus attention: the closed form of Narayanan et al. 2021
 * for GPT, and the shares of attention that Llama 3 405B has (1.083 at 8K, 2.33 at 131K of 6 N with all parameters). */
static void test_operations(void **state) {
    (void)state;
    struct plan_model m = preset("gpt3-175b");
    double l = 96, h = 12288, s = 2048, v = 51200;
    double closed = 72 * l * h * h * (1 + s / (6 * h) + v / (12 * l * h));
    assert_true(fabs(plan_model_train_flop_per_token(&m, s, PLAN_COUNT_FULL) / closed - 1) < 1e-3);
    m = preset("llama3-405b");
    struct plan_params p;
    plan_model_params(&m, &p);
    double plain = plan_model_train_flop_per_token(&m, 8192, PLAN_COUNT_NONE);
    double causal = plan_model_train_flop_per_token(&m, 8192, PLAN_COUNT_CAUSAL);
    double full = plan_model_train_flop_per_token(&m, 8192, PLAN_COUNT_FULL);
    assert_true(fabs(full - plain - 2 * (causal - plain)) < 1e-6 * full);
    assert_true(fabs((full - plain) / (6 * p.total) - 0.083) < 0.002);
    full = plan_model_train_flop_per_token(&m, 131072, PLAN_COUNT_FULL);
    assert_true(fabs((full - plain) / (6 * p.total) - 1.33) < 0.02);
    /* NVIDIA's figure for DeepSeek-V3: causal attention, and the prediction layer with it. */
    m = preset("deepseek-v3");
    causal = plan_model_train_flop_per_token(&m, 4096, PLAN_COUNT_CAUSAL);
    assert_true(fabs(causal / 2.6e11 - 1) < 0.05);
    /* A window bounds attention. */
    m = preset("llama3-8b");
    double open = plan_model_train_flop_per_token(&m, 65536, PLAN_COUNT_FULL);
    m.window = 1024;
    m.n_window_layers = m.n_layers;
    assert_true(plan_model_train_flop_per_token(&m, 65536, PLAN_COUNT_FULL) < 0.4 * open);
}

/* Catches: cache bytes that are not those of the published models. */
static void test_cache(void **state) {
    (void)state;
    struct plan_model m = preset("llama3-405b");
    assert_true(plan_model_kv_bytes_per_token(&m, 2) == 504 * 1024);
    m = preset("deepseek-v3");
    assert_true(plan_model_kv_bytes_per_token(&m, 2) == 61 * 576 * 2);
}

static struct plan_model from_json(const char *text) {
    struct plan_model m;
    struct cria_error err = {0};
    if (plan_model_from_json(text, strlen(text), &m, &err) != CRIA_OK) fail_msg("%s: %s", text, err.text);
    return m;
}

/* Catches: keys of a family that are not read: configurations as their makers publish them against the presets. */
static void test_configurations(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"llama3-8b",
         "{\"model_type\":\"llama\",\"hidden_size\":4096,\"num_hidden_layers\":32,\"num_attention_heads\":32,"
         "\"num_key_value_heads\":8,\"intermediate_size\":14336,\"vocab_size\":128256,\"tie_word_embeddings\":false}"},
        {"mixtral-8x7b",
         "{\"model_type\":\"mixtral\",\"hidden_size\":4096,\"num_hidden_layers\":32,\"num_attention_heads\":32,"
         "\"num_key_value_heads\":8,\"intermediate_size\":14336,\"vocab_size\":32000,\"num_local_experts\":8,"
         "\"num_experts_per_tok\":2,\"sliding_window\":null}"},
        {"qwen3-30b-a3b",
         "{\"model_type\":\"qwen3_moe\",\"hidden_size\":2048,\"num_hidden_layers\":48,\"num_attention_heads\":32,"
         "\"num_key_value_heads\":4,\"head_dim\":128,\"intermediate_size\":6144,\"moe_intermediate_size\":768,"
         "\"num_experts\":128,\"num_experts_per_tok\":8,\"vocab_size\":151936,\"decoder_sparse_step\":1}"},
        {"deepseek-v3",
         "{\"model_type\":\"deepseek_v3\",\"hidden_size\":7168,\"num_hidden_layers\":61,\"num_attention_heads\":128,"
         "\"num_key_value_heads\":128,\"intermediate_size\":18432,\"moe_intermediate_size\":2048,\"n_routed_experts\":"
         "256,\"num_experts_per_tok\":8,\"n_shared_experts\":1,\"first_k_dense_replace\":3,\"q_lora_rank\":1536,"
         "\"kv_lora_rank\":512,\"qk_rope_head_dim\":64,\"qk_nope_head_dim\":128,\"v_head_dim\":128,\"n_group\":8,"
         "\"topk_group\":4,\"num_nextn_predict_layers\":1,\"vocab_size\":129280}"},
        {"gpt2-124m",
         "{\"model_type\":\"gpt2\",\"n_embd\":768,\"n_layer\":12,\"n_head\":12,\"vocab_size\":50304,"
         "\"tie_word_embeddings\":true}"},
        {"llama4-scout",
         "{\"model_type\":\"llama4\",\"text_config\":{\"hidden_size\":5120,\"num_hidden_layers\":48,"
         "\"num_attention_heads\":40,\"num_key_value_heads\":8,\"head_dim\":128,\"intermediate_size\":8192,"
         "\"intermediate_size_mlp\":16384,\"num_local_experts\":16,\"num_experts_per_tok\":1,"
         "\"interleave_moe_layer_step\":1,\"n_shared_experts\":1,\"moe_intermediate_size\":8192,"
         "\"vocab_size\":202048}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan_model known = preset(cases[i].name), read = from_json(cases[i].text);
        struct plan_params a, b;
        plan_model_params(&known, &a);
        plan_model_params(&read, &b);
        if (fabs(b.total / a.total - 1) > 0.002 || fabs(b.active / a.active - 1) > 0.002)
            fail_msg("%s: %.5g (%.5g active), expected %.5g (%.5g)", cases[i].name, b.total, b.active, a.total,
                     a.active);
        assert_true(known.n_routed_groups == read.n_routed_groups);
    }
}

/* Catches: broken or impossible configurations that pass. */
static void test_refusals(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"hidden_size\":-1}",
        "{\"hidden_size\":4096,\"num_hidden_layers\":1e9,\"num_attention_heads\":32,\"vocab_size\":1000}",
        ("{\"hidden_size\":4096,\"num_hidden_layers\":32,\"num_attention_heads\":32,\"vocab_size\":1000,"
         "\"num_experts\":4,\"num_experts_per_tok\":8}"),
        "{\"hidden_size\":4096",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct plan_model m = {.d_model = 7};
        struct cria_error err = {0};
        assert_int_not_equal(plan_model_from_json(wrong[i], strlen(wrong[i]), &m, &err), CRIA_OK);
        assert_true(err.text[0] && m.d_model == 7);
    }
}

/* Catches: a model from its parameters alone that has quite another number of them. */
static void test_from_parameters(void **state) {
    (void)state;
    for (double n = 1e8; n < 2e12; n *= 1.7) {
        struct plan_model m;
        struct plan_params p;
        struct cria_error err = {0};
        plan_model_from_params(n, &m);
        if (plan_model_check(&m, &err) != CRIA_OK) fail_msg("%g: %s", n, err.text);
        plan_model_params(&m, &p);
        if (fabs(p.total / n - 1) > 0.25) fail_msg("%.4g parameters for %.4g", p.total, n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_operations),
        cmocka_unit_test(test_cache),      cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_from_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
