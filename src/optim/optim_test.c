/* optim_test.c: AdamW and Muon on a small layout against formulas in double.
 *
 * Catches a bias correction of the wrong step, decay on a vector, state of one tensor used for another, an iteration
 * that does not bring singular values near one, a wrong factor for tall or wide matrices, and a clip that is off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "optim/optim.h"

static const struct arch_config config = {.d_model = 32,
                                          .n_layers = 1,
                                          .n_heads = 2,
                                          .n_kv_heads = 1,
                                          .head_size = 16,
                                          .d_ff = 48,
                                          .n_vocab = 40,
                                          .n_context = 64,
                                          .norm_eps = 1e-5,
                                          .tied = true,
                                          .rope = {.kind = ARCH_ROPE_PLAIN, .theta = 10000},
                                          .bos_id = -1};
enum { UPDATES = 4 };

struct world {
    device *dev;
    llama_layout *layout;
    int64_t n;
    float *w, *gradient;
};

static int make_world(void **state) {
    struct world *x = ALLOC_NEW(struct world);
    assert_non_null(x);
    assert_int_equal(device_create_cpu(&x->dev, &(struct device_options){.n_threads = 2}, NULL), CRIA_OK);
    assert_int_equal(llama_layout_create(&x->layout, &config, NULL), CRIA_OK);
    x->n = llama_layout_floats(x->layout);
    x->w = alloc_zeroed((size_t)x->n, sizeof *x->w);
    x->gradient = alloc_zeroed((size_t)x->n, sizeof *x->gradient);
    *state = x;
    return 0;
}

static int drop_world(void **state) {
    struct world *x = *state;
    alloc_free(x->w);
    alloc_free(x->gradient);
    llama_layout_destroy(&x->layout);
    device_destroy(&x->dev);
    alloc_free(x);
    return 0;
}

static float noise(uint64_t seed, int64_t i) { return (float)(2 * random_unit(seed, RANDOM_TEST, (uint64_t)i) - 1); }

static void fill(const struct world *x, float *to, uint64_t seed) {
    for (int i = 0; i < llama_layout_count(x->layout); i++) {
        const struct llama_tensor *t = llama_layout_at(x->layout, i);
        for (int64_t k = 0; k < t->n; k++) to[t->offset + k] = noise(seed, t->offset + k);
    }
}

static const struct optim_options adamw = {
    .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .momentum = 0.95, .f32 = true};

/* The whole history of one number in double. */
static double adamw_by_hand(double w, int64_t at, double decay) {
    double m = 0, v = 0;
    for (int t = 1; t <= UPDATES; t++) {
        const double g = (double)noise((uint64_t)t, at) * 0.25, lr = 1e-2 * t;
        m = 0.9 * m + 0.1 * g;
        v = 0.95 * v + 0.05 * g * g;
        w -= lr * decay * w;
        w -= lr * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.95, t))) + 1e-8);
    }
    return w;
}

static void test_adamw(void **state) {
    struct world *x = *state;
    optim *o = NULL;
    assert_int_equal(optim_create(&o, x->layout, x->dev, &adamw, NULL), CRIA_OK);
    fill(x, x->w, 100);
    for (int t = 1; t <= UPDATES; t++) {
        fill(x, x->gradient, (uint64_t)t);
        optim_apply(o, x->w, x->gradient, &(struct optim_update){.lr = 1e-2 * t, .scale = 0.25, .t = t});
    }
    for (int i = 0; i < llama_layout_count(x->layout); i++) {
        const struct llama_tensor *t = llama_layout_at(x->layout, i);
        const double decay = t->n_rows > 1 ? 0.1 : 0;
        for (int64_t k = t->offset; k < t->offset + t->n; k++) {
            const double expected = adamw_by_hand((double)noise(100, k), k, decay);
            if (fabs((double)x->w[k] - expected) > 2e-6) fail_msg("%d: %g, not %g", i, (double)x->w[k], expected);
        }
    }
    optim_destroy(&o);
}

/* The largest and the smallest row norm of v = M u over random u of norm 1 bound the singular values from inside. */
static void check_orthogonal(const float *m, int64_t n_rows, int64_t n_columns) {
    const int64_t small = n_rows < n_columns ? n_rows : n_columns;
    for (int64_t trial = 0; trial < 8; trial++) {
        double out = 0, in = 0, image[64] = {0};
        for (int64_t s = 0; s < small; s++) {
            const double u = (double)noise(500 + (uint64_t)trial, s);
            in += u * u;
            for (int64_t k = 0; k < (n_rows < n_columns ? n_columns : n_rows); k++)
                image[k] += u * (double)(n_rows < n_columns ? m[s * n_columns + k] : m[k * n_columns + s]);
        }
        for (int k = 0; k < 64; k++) out += image[k] * image[k];
        const double gain = sqrt(out / in);
        if (gain < 0.6 || gain > 1.3) fail_msg("a gain of %g", gain);
    }
}

/* From zero weights and without decay an update is -lr 0.2 sqrt(max side) times a matrix whose singular values are near
 * one; vectors and the embedding go by AdamW: their first update is lr times the sign. */
static void test_muon(void **state) {
    struct world *x = *state;
    for (int f32 = 0; f32 < 2; f32++) {
        struct optim_options options = adamw;
        optim *o = NULL;
        options.kind = OPTIM_MUON;
        options.weight_decay = 0;
        options.f32 = f32 != 0;
        memset(x->w, 0, (size_t)x->n * sizeof *x->w);
        fill(x, x->gradient, 1);
        assert_int_equal(optim_create(&o, x->layout, x->dev, &options, NULL), CRIA_OK);
        optim_apply(o, x->w, x->gradient, &(struct optim_update){.lr = 1, .scale = 1, .t = 1});
        for (int i = 0; i < llama_layout_count(x->layout); i++) {
            const struct llama_tensor *t = llama_layout_at(x->layout, i);
            float *w = x->w + t->offset;
            if (t->n_rows == 1 || t->weight == ARCH_W_EMBEDDING) {
                for (int64_t k = 0; k < t->n; k++) assert_true(fabs(fabs((double)w[k]) - 1) < 1e-3);
                continue;
            }
            const double scale = 0.2 * sqrt((double)(t->n_rows > t->n_columns ? t->n_rows : t->n_columns));
            for (int64_t k = 0; k < t->n; k++) w[k] = (float)(-(double)w[k] / scale);
            check_orthogonal(w, t->n_rows, t->n_columns);
        }
        optim_destroy(&o);
    }
}

static void test_state_names(void **state) {
    struct world *x = *state;
    for (int kind = 0; kind < 2; kind++) {
        struct optim_options options = adamw;
        optim *o = NULL;
        options.kind = kind ? OPTIM_MUON : OPTIM_ADAMW;
        assert_int_equal(optim_create(&o, x->layout, x->dev, &options, NULL), CRIA_OK);
        int n_m = 0, n_v = 0;
        for (int i = 0; i < optim_state_count(o); i++) {
            const struct optim_state s = optim_state_at(o, i);
            n_m += strcmp(s.name, "m") == 0;
            n_v += strcmp(s.name, "v") == 0;
        }
        assert_int_equal(n_m, llama_layout_count(x->layout));
        assert_int_equal(n_v, kind ? 4 : n_m); /* embedding and three norms */
        optim_destroy(&o);
    }
}

static void test_clip(void **state) {
    struct world *x = *state;
    float g[5] = {3, 0, -4, 0, 0};
    double norm = 0;
    assert_true(optim_norm(x->dev, g, 5, &norm));
    assert_true(norm == 5);
    assert_true(optim_clip_factor(5, 1) == 0.2);
    assert_true(optim_clip_factor(0.5, 1) == 1);
    assert_true(optim_clip_factor(5, 0) == 1);
    g[1] = NAN;
    assert_false(optim_norm(x->dev, g, 5, &norm));
    g[1] = -INFINITY;
    assert_false(optim_norm(x->dev, g, 5, &norm));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_world, drop_world)
    const struct CMUnitTest tests[] = {TEST(test_adamw), TEST(test_muon), TEST(test_state_names), TEST(test_clip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
