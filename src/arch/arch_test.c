/* arch_test.c: the tables of the model against published sizes and frequencies, and every rule of the configuration. */
#include "arch/arch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/limits.h"

struct published {
    const char *name;
    int64_t d, l, h, g, s, f, v;
    bool tied;
    int64_t parameters;
    int shards;
};

static const struct published models[] = {
    {"Llama 2 7B", 4096, 32, 32, 32, 128, 11008, 32000, false, 6738415616, 4},
    {"Llama 2 13B", 5120, 40, 40, 40, 128, 13824, 32000, false, 13015864320, 4},
    {"Llama 2 70B", 8192, 80, 64, 8, 128, 28672, 32000, false, 68976648192, 8},
    {"Llama 3 8B", 4096, 32, 32, 8, 128, 14336, 128256, false, 8030261248, 4},
    {"Llama 3 70B", 8192, 80, 64, 8, 128, 28672, 128256, false, 70553706496, 8},
    {"Llama 3.1 405B", 16384, 126, 128, 8, 128, 53248, 128256, false, 405853388800, 8},
    {"Llama 3.2 1B", 2048, 16, 32, 8, 64, 8192, 128256, true, 1235814400, 2},
    {"Llama 3.2 3B", 3072, 28, 24, 8, 128, 8192, 128256, true, 3212749824, 2},
    {"SmolLM2 135M", 576, 30, 9, 3, 64, 1536, 49152, true, 134515008, 1},
    {"SmolLM2 360M", 960, 32, 15, 5, 64, 2560, 49152, true, 361821120, 1},
    {"SmolLM2 1.7B", 2048, 24, 32, 32, 64, 8192, 49152, true, 1711376384, 2},
};

static struct arch_config config_of(const struct published *m) {
    struct arch_config c = {.d_model = m->d,
                            .n_layers = m->l,
                            .n_heads = m->h,
                            .n_kv_heads = m->g,
                            .head_size = m->s,
                            .d_ff = m->f,
                            .n_vocab = m->v,
                            .n_context = 8192,
                            .norm_eps = 1e-5,
                            .tied = m->tied,
                            .bos_id = -1};
    c.rope.kind = ARCH_ROPE_PLAIN;
    c.rope.theta = 10000;
    return c;
}

/* Catches a wrong shape in the weight table (the totals are exact and published) and a wrong shard rule. */
static void test_published_sizes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        const struct arch_config c = config_of(&models[i]);
        struct cria_error err = {0};
        if (arch_config_check(&c, &err) != CRIA_OK) fail_msg("%s: %s", models[i].name, err.text);
        assert_int_equal(arch_parameters(&c), models[i].parameters);
        assert_int_equal(arch_shards(&c), models[i].shards);
    }
}

/* Catches a weight that cannot be found by its own name, or by a name that only looks like it. */
static void test_names(void **state) {
    (void)state;
    for (int naming = ARCH_NAMING_HF; naming <= ARCH_NAMING_GGUF; naming++) {
        for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
            const bool per_layer = arch_weight_row((enum arch_weight)w)->per_layer;
            char name[ARCH_NAME_BYTES];
            arch_weight_name((enum arch_naming)naming, (enum arch_weight)w, 125, name);
            enum arch_weight found = ARCH_W_NONE;
            int layer = -7;
            assert_true(arch_weight_find((enum arch_naming)naming, name, strlen(name), &found, &layer));
            assert_int_equal(found, w);
            assert_int_equal(layer, per_layer ? 125 : -1);
        }
    }
    static const char *const wrong[] = {"",
                                        "blk.0.attn_q",
                                        "blk.0.attn_q.weightx",
                                        "blk..attn_q.weight",
                                        "blk.-1.attn_q.weight",
                                        "blk.01.attn_q.weight",
                                        "blk.9999999.attn_q.weight",
                                        "blk.99999999999999999999.attn_q.weight",
                                        "model.norm.weight"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        enum arch_weight w;
        int layer;
        assert_false(arch_weight_find(ARCH_NAMING_GGUF, wrong[i], strlen(wrong[i]), &w, &layer));
    }
}

static void expect(const struct arch_config *c, cria_status status, const char *word) {
    struct cria_error err = {0};
    const cria_status got = arch_config_check(c, &err);
    if (got != status || (word && !strstr(err.text, word))) {
        fail_msg("expected %s with \"%s\", got %s: %s", cria_status_name(status), word ? word : "",
                 cria_status_name(got), err.text);
    }
}

/* Catches a relation that is not checked, at each limit and one above it. */
static void test_config_check(void **state) {
    (void)state;
    const struct arch_config good = config_of(&models[8]);
    struct arch_config c;
#define CASE(change, status, word) \
    c = good;                      \
    change;                        \
    expect(&c, status, word)
    CASE(c.d_model = 0, CRIA_RANGE, "width");
    CASE(c.d_model = LIMIT_WIDTH, CRIA_OK, NULL);
    CASE(c.d_model = LIMIT_WIDTH + 1, CRIA_RANGE, "131073");
    CASE(c.n_layers = LIMIT_LAYERS, CRIA_OK, NULL);
    CASE(c.n_layers = LIMIT_LAYERS + 1, CRIA_RANGE, "layers");
    CASE(c.n_layers = (int64_t)1 << 31, CRIA_RANGE, "layers");
    CASE(c.d_ff = LIMIT_FF_WIDTH, CRIA_OK, NULL);
    CASE(c.d_ff = LIMIT_FF_WIDTH + 1, CRIA_RANGE, "feed-forward");
    CASE(c.n_vocab = LIMIT_VOCAB, CRIA_OK, NULL);
    CASE(c.n_vocab = LIMIT_VOCAB + 1, CRIA_RANGE, "vocabulary");
    CASE(c.n_context = LIMIT_CONTEXT, CRIA_OK, NULL);
    CASE(c.n_context = LIMIT_CONTEXT + 1, CRIA_RANGE, "context");
    CASE(c.n_context = 0, CRIA_RANGE, "context");
    CASE(c.head_size = ARCH_MAX_HEAD_SIZE, CRIA_OK, NULL);
    CASE(c.head_size = ARCH_MAX_HEAD_SIZE + 2, CRIA_RANGE, "head size");
    CASE(c.head_size = 63, CRIA_SHAPE, "63");
    CASE(c.n_heads = LIMIT_HEADS; c.n_kv_heads = 1; c.head_size = 2, CRIA_OK, NULL);
    CASE(c.n_heads = LIMIT_HEADS + 1, CRIA_RANGE, "heads");
    CASE(c.n_heads = 4096; c.n_kv_heads = 1; c.head_size = 34, CRIA_RANGE, "4096");
    CASE(c.n_kv_heads = 2, CRIA_SHAPE, "multiple");
    CASE(c.n_kv_heads = 18, CRIA_SHAPE, "18");
    CASE(c.norm_eps = 0, CRIA_RANGE, "epsilon");
    CASE(c.norm_eps = -1e-5, CRIA_RANGE, "epsilon");
    CASE(c.norm_eps = (double)NAN, CRIA_RANGE, "epsilon");
    CASE(c.rope.theta = (double)NAN, CRIA_RANGE, "theta");
    CASE(c.rope.theta = (double)INFINITY, CRIA_RANGE, "theta");
    CASE(c.rope.theta = 0.5, CRIA_RANGE, "theta");
    CASE(c.rope.kind = ARCH_ROPE_NONE, CRIA_UNSUPPORTED, "rotary");
    CASE(c.rope.kind = ARCH_ROPE_LINEAR; c.rope.factor = 0, CRIA_RANGE, "factor");
    CASE(c.rope.kind = ARCH_ROPE_DIVISORS, CRIA_RANGE, "divisor 0");
    CASE(c.bos_id = 49152, CRIA_RANGE, "49152");
    CASE(c.bos_id = -2, CRIA_RANGE, "-2");
    CASE(c.n_stop_ids = 1; c.stop_ids[0] = 49151, CRIA_OK, NULL);
    CASE(c.n_stop_ids = 1; c.stop_ids[0] = -1, CRIA_RANGE, "-1");
    CASE(c.n_stop_ids = ARCH_MAX_STOP_IDS + 1, CRIA_LIMIT, "17");
    struct arch_config scaled = good;
    scaled.rope = (struct arch_rope){.kind = ARCH_ROPE_LLAMA3,
                                     .theta = 5e5,
                                     .factor = 8,
                                     .low_factor = 1,
                                     .high_factor = 4,
                                     .original_context = 8192};
    expect(&scaled, CRIA_OK, NULL);
    scaled.rope.low_factor = 5;
    expect(&scaled, CRIA_RANGE, "low_freq_factor");
    scaled.rope.low_factor = 4;
    expect(&scaled, CRIA_OK, NULL);
    scaled.rope.original_context = 0;
    expect(&scaled, CRIA_RANGE, "original");
}

struct frequency {
    double theta, factor, low, high;
    int64_t head_size;
    int index;
    double wanted;
};

/* Catches a wrong exponent, band edge or blend (values derived from the published rule). */
static void test_rope_golden(void **state) {
    (void)state;
    static const struct frequency golden[] = {
        {5e5, 0, 0, 0, 128, 0, 1},
        {5e5, 0, 0, 0, 128, 1, 0.814617234},
        {5e5, 0, 0, 0, 128, 28, 0.00321144599},
        {5e5, 0, 0, 0, 128, 63, 2.45514079e-06},
        {5e5, 8, 1, 4, 128, 28, 0.00321144599},
        {5e5, 8, 1, 4, 128, 29, 0.00216657076},
        {5e5, 8, 1, 4, 128, 30, 0.00137189357},
        {5e5, 8, 1, 4, 128, 31, 0.000856751413},
        {5e5, 8, 1, 4, 128, 32, 0.000524846161},
        {5e5, 8, 1, 4, 128, 33, 0.00031269375},
        {5e5, 8, 1, 4, 128, 34, 0.000178507813},
        {5e5, 8, 1, 4, 128, 35, 9.55621235e-05},
        {5e5, 8, 1, 4, 128, 63, 3.06892599e-07},
        {5e5, 32, 1, 4, 64, 15, 0.00129054793},
        {5e5, 32, 1, 4, 64, 16, 0.000429556797},
        {5e5, 32, 1, 4, 64, 17, 9.7082878e-05},
        {5e5, 32, 1, 4, 64, 18, 1.94616382e-05},
        {5e5, 32, 1, 4, 64, 31, 9.41830673e-08},
        {5e5, 16, 1, 1, 128, 34, 0.00093847387},
        {5e5, 16, 1, 1, 128, 35, 4.77810618e-05},
        {5e5, 16, 1, 1, 128, 63, 1.53446299e-07},
        {1e4, 0, 0, 0, 128, 1, 0.8659643},
        {1e4, 0, 0, 0, 128, 2, 0.7498942},
        {1e4, 0, 0, 0, 128, 63, 1.154782e-4},
    };
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        const struct frequency *g = &golden[i];
        struct arch_config c = config_of(&models[3]);
        c.head_size = g->head_size;
        c.rope = (struct arch_rope){.kind = g->factor > 0 ? ARCH_ROPE_LLAMA3 : ARCH_ROPE_PLAIN,
                                    .theta = g->theta,
                                    .factor = g->factor,
                                    .low_factor = g->low,
                                    .high_factor = g->high,
                                    .original_context = 8192};
        float f[ARCH_MAX_HEAD_SIZE / 2];
        arch_rope_frequencies(&c, f);
        /* A blended value may differ by the f32 rounding of the plain frequency and by its own. */
        if (!(fabs((double)f[g->index] / g->wanted - 1.0) < 4e-7)) {
            fail_msg("row %zu: frequency %d is %.9g, expected %.9g", i, g->index, (double)f[g->index], g->wanted);
        }
    }
}

/* Catches divisors that are multiplied, and linear scaling that is ignored. */
static void test_rope_divisors_and_linear(void **state) {
    (void)state;
    struct arch_config c = config_of(&models[3]);
    float plain[64], f[64];
    c.rope.theta = 5e5;
    arch_rope_frequencies(&c, plain);
    c.rope.kind = ARCH_ROPE_DIVISORS;
    for (int i = 0; i < 64; i++) c.rope.divisors[i] = i < 32 ? 1.0f : 8.0f;
    arch_rope_frequencies(&c, f);
    for (int i = 0; i < 64; i++) assert_true(f[i] == (i < 32 ? plain[i] : plain[i] / 8));
    c.rope.kind = ARCH_ROPE_LINEAR;
    c.rope.factor = 4;
    arch_rope_frequencies(&c, f);
    for (int i = 0; i < 64; i++) assert_true(f[i] == plain[i] / 4);
}

/* Catches two readers that disagree: a GGUF file carries Llama 3.1's rule as divisors, a directory as the rule itself.
 */
static void test_rope_rule_equals_its_divisors(void **state) {
    (void)state;
    struct arch_config c = config_of(&models[3]);
    float plain[64], ruled[64], divided[64];
    c.rope.theta = 5e5;
    arch_rope_frequencies(&c, plain);
    c.rope = (struct arch_rope){.kind = ARCH_ROPE_LLAMA3,
                                .theta = 5e5,
                                .factor = 8,
                                .low_factor = 1,
                                .high_factor = 4,
                                .original_context = 8192};
    arch_rope_frequencies(&c, ruled);
    for (int i = 0; i < 64; i++) c.rope.divisors[i] = plain[i] / ruled[i];
    c.rope.kind = ARCH_ROPE_DIVISORS;
    assert_int_equal(arch_config_check(&c, NULL), CRIA_OK);
    arch_rope_frequencies(&c, divided);
    for (int i = 0; i < 64; i++) assert_true(fabsf(divided[i] - ruled[i]) <= 1.2e-7f * ruled[i]);
}

/* Catches a lifetime that ends before the stage that reads the value, letters that do not follow the model, a value
 * that is packed for no product or for one that does not take its columns, and an unrounded value that says it is
 * packed. */
static void test_activations(void **state) {
    (void)state;
    const struct arch_config c = config_of(&models[3]);
    for (int a = 0; a < ARCH_A_COUNT; a++) {
        const struct arch_activation_row *row = arch_activation_row((enum arch_activation)a);
        assert_true(row->name && row->first_use <= row->last_use);
        assert_int_equal(row->next != ARCH_W_NONE, row->number == ARCH_NUMBER_COMPUTE);
        if (row->next == ARCH_W_NONE) continue;
        int64_t n_rows, n_columns;
        arch_weight_shape(&c, row->next, &n_rows, &n_columns);
        assert_int_equal(arch_letter_value(&c, row->columns, 3, 2), n_columns);
    }
    assert_int_equal(arch_activation_row(ARCH_A_HIDDEN)->last_use, ARCH_STAGE_DOWN);
    assert_int_equal(arch_letter_value(&c, ARCH_LETTER_GS, 3, 2), 1024);
    assert_int_equal(arch_letter_value(&c, ARCH_LETTER_QKV, 3, 2), 6144);
    assert_int_equal(arch_letter_value(&c, ARCH_LETTER_N, 3, 2), 2);
    assert_string_equal(arch_letter_text(ARCH_LETTER_HS), "H*S");
}

/* Catches a forgotten product: without attention a token costs two operations for each parameter of the matrices. */
static void test_flops(void **state) {
    (void)state;
    const struct arch_config c = config_of(&models[3]);
    const double matrices = 2.0 * (8030261248.0 - 2 * 128256.0 * 4096 - 65 * 4096.0);
    assert_true(arch_forward_flops(&c, 0, false) == matrices + 4.0 * 32 * 4096);
    assert_true(arch_forward_flops(&c, 9, true) == matrices + 4.0 * 32 * 4096 * 10 + 2.0 * 128256 * 4096);
}

/* Catches a shape that is mistyped: the published ones have the parameters that their model cards say, ours nearly what
 * their names say; and a preset that no trainer would take. */
static void test_presets(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t n;
    } published[] = {{"135m", 134515008}, {"360m", 361821120}, {"1.7b", 1711376384}, {"1b", 1235814400},
                     {"3b", 3212749824},  {"8b", 8030261248},  {"70b", 70553706496}, {"405b", 405853388800}};
    struct arch_config c = {0};
    int64_t last = 0;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        assert_true(arch_preset(published[i].name, &c));
        assert_int_equal(arch_parameters(&c), published[i].n);
    }
    int n = 0;
    for (; arch_preset_name(n); n++) {
        assert_true(arch_preset(arch_preset_name(n), &c));
        assert_string_equal(c.name, arch_preset_name(n));
        expect(&c, CRIA_OK, NULL);
        assert_true(arch_parameters(&c) > last);
        last = arch_parameters(&c);
        const double unit = strchr(c.name, 'b') ? 1e9 : 1e6, named = strtod(c.name, NULL) * unit;
        if (!(fabs((double)last / named - 1) < 0.3)) fail_msg("%s has %lld parameters", c.name, (long long)last);
    }
    assert_true(n >= 10);
    c.d_model = 7;
    assert_false(arch_preset("9b", &c) || c.d_model != 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_published_sizes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_config_check),
        cmocka_unit_test(test_rope_golden),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_rope_divisors_and_linear),
        cmocka_unit_test(test_flops),
        cmocka_unit_test(test_rope_rule_equals_its_divisors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
