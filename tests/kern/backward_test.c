/* backward_test.c: the operations of learning that work row by row: their bits are the reference's on every instruction
 * set, thread count and cut into calls, inside guard bands; and the reference is right: against equations in double,
 * and those against central differences. Catches: a wrong derivative, a tail handled by other operations, a write past
 * the end, tokens added in another order. */
#include "product_cases.h"

#include <math.h>

#include "base/exact_sum.h"
#include "device/device_backward.h"

enum { MAX_WIDTH = 300, MAX_ROWS = 40, STRIDE = MAX_WIDTH + 9, ARRAYS = 6 };
static const int thread_counts[] = {1, 2, 3, 5};

static float number(float range) { return (float)(int32_t)(cases_draw() >> 32) * 0x1p-31f * range; }

/* What an operation may read and write, rows a stride apart; what it should leave alone is compared too. */
struct arrays {
    float x[ARRAYS][MAX_ROWS * STRIDE];
    float losses[MAX_ROWS];
    int32_t ids[MAX_ROWS];
    struct exact_sum squares;
    bool is_finite;
};

struct shape {
    int n_rows, width; /* width is even */
    int split;         /* rows of a first call, a multiple of ORDER_STEP */
};

static struct device_norm_backward norm_args(struct arrays *v, const struct shape *s, int row) {
    return (struct device_norm_backward){.x = v->x[0] + row * STRIDE,
                                         .w = v->x[1],
                                         .dy = v->x[2] + row * STRIDE,
                                         .dx = v->x[3] + row * STRIDE,
                                         .dw = v->x[4],
                                         .x_stride = STRIDE,
                                         .dy_stride = STRIDE,
                                         .dx_stride = STRIDE,
                                         .width = s->width,
                                         .eps = 1e-5f,
                                         .n_rows = row        ? s->n_rows - row
                                                   : s->split ? s->split
                                                              : s->n_rows,
                                         .scratch = v->losses};
}

static void run_norm(device *d, struct arrays *v, const struct shape *s) {
    const struct device_norm_rows rows = {v->x[0], v->x[1], v->x[5], STRIDE, STRIDE, s->width, 1e-5f, s->n_rows};
    device_norm_rows(d, &rows);
    for (int row = 0; row == 0 || (row < s->n_rows && s->split); row += s->split ? s->split : s->n_rows) {
        if (row > s->split) break;
        const struct device_norm_backward a = norm_args(v, s, row);
        device_norm_backward(d, &a);
    }
}

static void run_gated(device *d, struct arrays *v, const struct shape *s) {
    const struct device_gated_backward a = {v->x[0], v->x[1], v->x[2], v->x[2],  v->x[0],
                                            v->x[1], STRIDE,  STRIDE,  s->width, s->n_rows};
    device_gated_backward(d, &a);
}

static void run_rotate(device *d, struct arrays *v, const struct shape *s) {
    const int first = s->n_rows / 3;
    const struct device_run runs[] = {{0, first, 0, NULL}, {first + 1, s->n_rows - first - 1, 2, NULL}};
    const int64_t size = s->width / 5 / 2 * 2;
    if (size == 0 || s->n_rows < 3) return;
    const struct device_rotate_backward a = {v->x[0], STRIDE, 2, 1, size, v->x[1], v->x[2], runs, 2};
    device_rotate_backward(d, &a);
}

static void run_embed(device *d, struct arrays *v, const struct shape *s) {
    const int first = s->split ? s->split : s->n_rows;
    device_embed_backward(d, v->ids, first, v->x[0], STRIDE, s->width, v->x[1]);
    device_embed_backward(d, v->ids + first, s->n_rows - first, v->x[0] + first * STRIDE, STRIDE, s->width, v->x[1]);
}

static void run_loss(device *d, struct arrays *v, const struct shape *s) {
    int32_t targets[MAX_ROWS];
    for (int i = 0; i < s->n_rows; i++) targets[i] = v->ids[i] < 0 ? -1 : v->ids[i] % s->width;
    const struct device_cross_entropy a = {v->x[0], STRIDE, s->width, targets, s->n_rows, v->losses};
    device_cross_entropy(d, &a);
}

static void run_tensors(device *d, struct arrays *v, const struct shape *s) {
    const int64_t n = (int64_t)s->n_rows * s->width;
    const struct device_adamw a = {.w = v->x[0],
                                   .m = v->x[1],
                                   .v = v->x[2],
                                   .gradient = v->x[3],
                                   .n = n,
                                   .scale = 0.3f,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.95f,
                                   .one_minus_beta1 = 0.1f,
                                   .one_minus_beta2 = 0.05f,
                                   .eps = 1e-8f,
                                   .lr_decay = 1e-4f,
                                   .step = 3e-3f,
                                   .root = 1.7f};
    for (int64_t i = 0; i < n; i++) v->x[2][i] = fabsf(v->x[2][i]);
    device_adamw(d, &a);
    device_add(d, v->x[4], v->x[0], n);
    v->is_finite = device_add_squares(d, v->x[3], n, &v->squares);
    device_transpose(d, v->x[0], s->n_rows, s->width, v->x[5]);
}

typedef void run_fn(device *d, struct arrays *v, const struct shape *s);
static run_fn *const runs[] = {run_norm, run_gated, run_rotate, run_embed, run_loss, run_tensors};
enum { N_RUNS = sizeof runs / sizeof runs[0] };

static void fill(struct arrays *v, const struct shape *s, float range) {
    memset(v, 0, sizeof *v);
    for (int a = 0; a < ARRAYS; a++)
        for (int i = 0; i < MAX_ROWS * STRIDE; i++) v->x[a][i] = number(range);
    for (int i = 0; i < s->n_rows; i++) v->ids[i] = (int32_t)(cases_draw() % 12) - 1;
}

static device *make_device(int isa, int n_threads) {
    const struct device_options options = {n_threads, (enum kernel_isa)isa};
    device *d = NULL;
    assert_int_equal(device_create_cpu(&d, &options, NULL), CRIA_OK);
    return d;
}

static void check_device(device *d, struct shape s, const struct arrays *given, const struct arrays *expected,
                         int i_run) {
    struct arrays *got = alloc_array(1, sizeof *got);
    for (int cut = 0; cut < (s.n_rows > ORDER_STEP ? 2 : 1); cut++) {
        *got = *given;
        s.split = cut * ORDER_STEP;
        device_begin(d);
        runs[i_run](d, got, &s);
        device_end(d);
        if (cut) memcpy(got->losses, expected->losses, sizeof got->losses); /* a norm's scratch; compared uncut */
        const double square = exact_sum_value(&got->squares);
        assert_true(square == exact_sum_value(&expected->squares));
        got->squares = expected->squares; /* two ways to write one number */
        if (memcmp(got, expected, sizeof *got) != 0)
            fail_msg("%s, %d threads: operation %d differs: %d rows of %d, cut %d (seed %llu)",
                     kernel_isa_name(device_isa(d)), device_threads(d), i_run, s.n_rows, s.width, cut,
                     (unsigned long long)cases_seed);
    }
    alloc_free(got);
}

static void test_same_bits(void **state) {
    (void)state;
    struct arrays *given = alloc_array(1, sizeof *given), *expected = alloc_array(1, sizeof *expected);
    device *ref = make_device(KERNEL_ISA_REF, 1);
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        for (size_t t = 0; t < sizeof thread_counts / sizeof thread_counts[0]; t++) {
            device *d = make_device(isa, thread_counts[t]);
            for (int round = 0; round < 5 * N_RUNS; round++) {
                const struct shape s = {1 + (int)(cases_draw() % MAX_ROWS),
                                        2 + (int)(cases_draw() % (MAX_WIDTH / 2)) * 2, 0};
                fill(given, &s, round % 5 == 0 ? 90.0f : round % 5 == 1 ? 1e-30f : 1.0f);
                *expected = *given;
                device_begin(ref);
                runs[round % N_RUNS](ref, expected, &s);
                device_end(ref);
                check_device(d, s, given, expected, round % N_RUNS);
            }
            device_destroy(&d);
        }
    }
    device_destroy(&ref);
    alloc_free(given);
    alloc_free(expected);
}

/* ---- the mathematics ---- */

enum { D = 150 }; /* more columns than one piece of a sum over tokens */

/* |got - exact| is at most a number of roundings of the largest term that entered it. */
static void assert_near(float got, double exact, double largest, double n_roundings, const char *what) {
    if (!(fabs((double)got - exact) <= n_roundings * 0x1p-24 * largest))
        fail_msg("%s: %.9g, expected %.9g (seed %llu)", what, (double)got, exact, (unsigned long long)cases_seed);
}

/* A derivative in double by central differences; f is smooth, so that the error of h = 2^-17 is below 2^-30. */
static double difference(double (*f)(const double *x, const void *arg), double *x, int i, const void *arg) {
    const double h = 0x1p-17, before = x[i];
    x[i] = before + h;
    const double above = f(x, arg);
    x[i] = before - h;
    const double below = f(x, arg);
    x[i] = before;
    return (above - below) / (2 * h);
}

struct norm_case {
    float x[D], w[D], dy[D];
};

/* sum dy * rmsnorm(x) * w over x, w one after the other. */
static double norm_value(const double *x, const void *arg) {
    const struct norm_case *c = arg;
    double squares = 0.0, value = 0.0;
    for (int i = 0; i < D; i++) squares += x[i] * x[i];
    const double r = 1.0 / sqrt(squares / D + 1e-5);
    for (int i = 0; i < D; i++) value += (double)c->dy[i] * x[i] * r * x[D + i];
    return value;
}

static void test_norm_is_right(void **state) {
    (void)state;
    device *ref = make_device(KERNEL_ISA_REF, 1);
    for (int round = 0; round < 20; round++) {
        struct norm_case c;
        float dx[D] = {0}, dw[D] = {0}, scratch[1];
        double x[2 * D];
        for (int i = 0; i < D; i++) {
            x[i] = (double)(c.x[i] = number(1.0f));
            x[D + i] = (double)(c.w[i] = number(2.0f));
            c.dy[i] = number(1.0f);
        }
        const struct device_norm_backward a = {c.x, c.w, c.dy, dx, dw, D, D, D, D, 1e-5f, 1, scratch};
        device_begin(ref);
        device_norm_backward(ref, &a);
        device_end(ref);
        /* r is below 3 here; chains of ten products, a tree, and a handful of roundings. */
        for (int i = 0; i < D; i++) {
            assert_near(dx[i], difference(norm_value, x, i, &c), 20.0, 40, "dx of a norm");
            assert_near(dw[i], difference(norm_value, x, D + i, &c), 10.0, 10, "dw of a norm");
        }
    }
    device_destroy(&ref);
}

static double gate_value(const double *x, const void *arg) {
    const float *dh = arg;
    return (double)*dh * x[0] / (1.0 + exp(-x[0])) * x[1];
}

static void test_gate_is_right(void **state) {
    (void)state;
    device *ref = make_device(KERNEL_ISA_REF, 1);
    for (int round = 0; round < 5000; round++) {
        float g = number(8.0f), u = number(2.0f), dh = number(1.0f), h, dg, du;
        double x[] = {(double)g, (double)u};
        const struct device_gated_backward a = {&g, &u, &dh, &h, &dg, &du, 1, 1, 1, 1};
        device_begin(ref);
        device_gated_backward(ref, &a);
        device_end(ref);
        assert_near(h, x[0] / (1.0 + exp(-x[0])) * x[1], 16.0, 6, "h of a gate");
        assert_near(dg, difference(gate_value, x, 0, &dh), 2.5, 16, "dg of a gate");
        assert_near(du, difference(gate_value, x, 1, &dh), 8.0, 8, "du of a gate");
    }
    device_destroy(&ref);
}

struct loss_case {
    int n, target;
};

static double loss_value(const double *x, const void *arg) {
    const struct loss_case *c = arg;
    double sum = 0.0;
    for (int i = 0; i < c->n; i++) sum += exp(x[i]);
    return log(sum) - x[c->target];
}

static void test_loss_is_right(void **state) {
    (void)state;
    enum { N = 700 };
    device *ref = make_device(KERNEL_ISA_REF, 1);
    for (int round = 0; round < 30; round++) {
        float logits[N], loss;
        double x[N];
        const struct loss_case c = {1 + (int)(cases_draw() % N), 0};
        const int32_t target = (int32_t)(cases_draw() % (uint64_t)c.n);
        const struct loss_case with_target = {c.n, target};
        for (int i = 0; i < c.n; i++) x[i] = (double)(logits[i] = number(5.0f));
        const struct device_cross_entropy a = {logits, N, c.n, &target, 1, &loss};
        device_begin(ref);
        device_cross_entropy(ref, &a);
        device_end(ref);
        assert_near(loss, loss_value(x, &with_target), 16.0, 4, "a loss");
        for (int i = 0; i < c.n; i += 1 + c.n / 50)
            assert_near(logits[i], difference(loss_value, x, i, &with_target), 1.0, 40, "the gradient of a logit");
    }
    device_destroy(&ref);
}

/* The gradient of a rotation is the rotation by the opposite angle, at the angles of each row's position; what lies
 * beyond q and k and between the runs stays. */
static void test_rotation_is_right(void **state) {
    (void)state;
    enum { S = 38, HEADS = 3, KV = 2, WIDTH = (HEADS + 2 * KV) * S, ROWS = 9, POSITIONS = 12 };
    const struct device_run two[] = {{1, 4, 0, NULL}, {6, 3, 8, NULL}};
    static const int positions[ROWS] = {-1, 0, 1, 2, 3, -1, 8, 9, 10};
    float cosines[POSITIONS * S / 2], sines[POSITIONS * S / 2], rows[ROWS * WIDTH], before[ROWS * WIDTH];
    device *d = make_device(KERNEL_ISA_NONE, 2);
    for (int i = 0; i < POSITIONS * S / 2; i++) {
        const double angle = (double)number(3.0f);
        cosines[i] = (float)cos(angle);
        sines[i] = (float)sin(angle);
    }
    for (int i = 0; i < ROWS * WIDTH; i++) rows[i] = before[i] = number(1.0f);
    const struct device_rotate_backward a = {rows, WIDTH, HEADS, KV, S, cosines, sines, two, 2};
    device_begin(d);
    device_rotate_backward(d, &a);
    device_end(d);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        const int position = positions[i / WIDTH], in_head = i % WIDTH % S, pair = in_head % (S / 2);
        if (position < 0 || i % WIDTH >= (HEADS + KV) * S) {
            assert_true(rows[i] == before[i]);
            continue;
        }
        const double c = (double)cosines[position * S / 2 + pair], s = (double)sines[position * S / 2 + pair];
        const double x = (double)before[i];
        if (in_head < S / 2) assert_near(rows[i], x * c + (double)before[i + S / 2] * s, 2.0, 2, "the first of a pair");
        else assert_near(rows[i], x * c - (double)before[i - S / 2] * s, 2.0, 2, "the second of a pair");
    }
    device_destroy(&d);
}

/* Rows that come twice are added in their order, one after the other. */
static void test_embedding_is_right(void **state) {
    (void)state;
    enum { WIDTH = 200, ROWS = 60, IDS = 7 };
    float dx[ROWS * WIDTH], dw[IDS * WIDTH], expected[IDS * WIDTH];
    int32_t ids[ROWS];
    device *d = make_device(KERNEL_ISA_NONE, 3);
    for (int i = 0; i < IDS * WIDTH; i++) expected[i] = dw[i] = number(1.0f);
    for (int i = 0; i < ROWS; i++) {
        ids[i] = (int32_t)(cases_draw() % (IDS + 1)) - 1;
        for (int j = 0; j < WIDTH; j++) dx[i * WIDTH + j] = number(1.0f);
        for (int j = 0; ids[i] >= 0 && j < WIDTH; j++) expected[ids[i] * WIDTH + j] += dx[i * WIDTH + j];
    }
    device_begin(d);
    device_embed_backward(d, ids, ROWS, dx, WIDTH, WIDTH, dw);
    device_end(d);
    assert_memory_equal(dw, expected, sizeof dw);
    device_destroy(&d);
}

/* Tensors of many pieces are done to their end, and nothing twice. */
static void test_long_tensors(void **state) {
    (void)state;
    const int64_t n = 600007, n_rows = 251, n_columns = 83;
    float *x = alloc_array((size_t)n, sizeof *x), *y = alloc_array((size_t)n + 1, sizeof *y);
    struct exact_sum sum = {0}, expected = {0};
    device *d = make_device(KERNEL_ISA_NONE, 3);
    for (int64_t i = 0; i < n; i++) {
        x[i] = number(1.0f);
        y[i] = (float)(i % 1000);
        exact_sum_add(&expected, (double)x[i] * (double)x[i]);
    }
    y[n] = 42.0f;
    device_begin(d);
    device_add(d, y, x, n);
    assert_true(device_add_squares(d, x, n, &sum));
    device_end(d);
    for (int64_t i = 0; i < n; i++) assert_true(y[i] == (float)(i % 1000) + x[i]);
    assert_true(y[n] == 42.0f && exact_sum_value(&sum) == exact_sum_value(&expected));
    struct device_adamw a = {.w = y,
                             .m = y + n / 4,
                             .v = y + n / 4 * 2,
                             .gradient = x,
                             .n = n / 4,
                             .step = 1.0f,
                             .eps = 1.0f,
                             .one_minus_beta1 = 1.0f};
    device_begin(d);
    for (int64_t i = 0; i < a.n; i++) y[i] = 0.0f;
    a.scale = 1.0f;
    device_adamw(d, &a); /* w becomes -gradient, m the gradient, v zero */
    device_end(d);
    for (int64_t i = 0; i < a.n; i++) assert_true(a.w[i] == -x[i] && a.m[i] == x[i] && a.v[i] == 0.0f);
    device_begin(d);
    device_transpose(d, x, n_rows, n_columns, y);
    device_end(d);
    for (int64_t i = 0; i < n_rows * n_columns; i++) assert_true(y[i % n_columns * n_rows + i / n_columns] == x[i]);
    device_destroy(&d);
    alloc_free(x);
    alloc_free(y);
}

/* AdamW as its paper writes it, in double. */
static void test_adamw_is_right(void **state) {
    (void)state;
    device *ref = make_device(KERNEL_ISA_REF, 1);
    const double beta1 = 0.9, beta2 = 0.95, lr = 1e-2, decay = 0.1, eps = 1e-8;
    double w = 0.7, m = 0.0, v = 0.0;
    float fw = 0.7f, fm = 0.0f, fv = 0.0f;
    for (int t = 1; t <= 50; t++) {
        const float gradient = number(1.0f);
        const struct device_adamw a = {.w = &fw,
                                       .m = &fm,
                                       .v = &fv,
                                       .gradient = &gradient,
                                       .n = 1,
                                       .scale = 0.5f,
                                       .beta1 = (float)beta1,
                                       .beta2 = (float)beta2,
                                       .one_minus_beta1 = (float)(1 - beta1),
                                       .one_minus_beta2 = (float)(1 - beta2),
                                       .eps = (float)eps,
                                       .lr_decay = (float)(lr * decay),
                                       .step = (float)(lr / (1 - pow(beta1, t))),
                                       .root = (float)(1 / sqrt(1 - pow(beta2, t)))};
        const double g = (double)gradient * 0.5;
        m = beta1 * m + (1 - beta1) * g;
        v = beta2 * v + (1 - beta2) * g * g;
        w -= lr * decay * w;
        w -= lr * (m / (1 - pow(beta1, t))) / (sqrt(v / (1 - pow(beta2, t))) + eps);
        device_begin(ref);
        device_adamw(ref, &a);
        device_end(ref);
        assert_near(fw, w, 1.0, 3.0 * t, "a weight");
    }
    device_destroy(&ref);
}

/* AdamW tells what it wrote that is not finite: a gradient whose square is too large, alone among n, anywhere. */
static void test_adamw_sees_what_is_not_finite(void **state) {
    (void)state;
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        device *d = make_device((enum kernel_isa)isa, 2);
        float w[37] = {0}, m[37] = {0}, v[37] = {0}, gradient[37] = {0};
        const struct device_adamw a = {.w = w,
                                       .m = m,
                                       .v = v,
                                       .gradient = gradient,
                                       .n = 37,
                                       .scale = 1.0f,
                                       .beta1 = 0.9f,
                                       .beta2 = 0.95f,
                                       .one_minus_beta1 = 0.1f,
                                       .one_minus_beta2 = 0.05f,
                                       .eps = 1e-8f,
                                       .step = 1e-3f,
                                       .root = 1.0f};
        device_begin(d);
        assert_true(device_adamw(d, &a));
        for (int i = 0; i < 37; i++) {
            gradient[i] = 1e30f;
            assert_false(device_adamw(d, &a));
            gradient[i] = v[i] = 0.0f;
            assert_true(device_adamw(d, &a));
        }
        device_end(d);
        device_destroy(&d);
    }
}

/* A slot without a token changes nothing; a target below 0 asks for no gradient; a NaN is told. */
static void test_empty_places(void **state) {
    (void)state;
    device *d = make_device(KERNEL_ISA_NONE, 2);
    float logits[4] = {1.0f, 2.0f, 3.0f, 4.0f}, loss = 9.0f, dw[3] = {1.0f, 2.0f, 3.0f};
    const float dx[3] = {5.0f, 6.0f, 7.0f}, bad[3] = {1.0f, NAN, 2.0f};
    const int32_t none = -1;
    const struct device_cross_entropy a = {logits, 4, 4, &none, 1, &loss};
    struct exact_sum sum = {0};
    device_begin(d);
    device_cross_entropy(d, &a);
    device_embed_backward(d, &none, 1, dx, 3, 3, dw);
    assert_false(device_add_squares(d, bad, 3, &sum));
    assert_true(device_add_squares(d, dx, 3, &sum));
    device_end(d);
    assert_true(loss == 0.0f && dw[0] == 1.0f && dw[1] == 2.0f && dw[2] == 3.0f);
    for (int i = 0; i < 4; i++) assert_true(logits[i] == 0.0f);
    assert_true(exact_sum_value(&sum) == 110.0);
    device_destroy(&d);
}

int main(void) {
    print_message("seed %llu\n", (unsigned long long)cases_seed);
    cases_flush_subnormals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_norm_is_right),
                                       cmocka_unit_test(test_gate_is_right),
                                       cmocka_unit_test(test_loss_is_right),
                                       cmocka_unit_test(test_rotation_is_right),
                                       cmocka_unit_test(test_adamw_is_right),
                                       cmocka_unit_test(test_adamw_sees_what_is_not_finite),
                                       cmocka_unit_test(test_embedding_is_right),
                                       cmocka_unit_test(test_long_tensors),
                                       cmocka_unit_test(test_empty_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
