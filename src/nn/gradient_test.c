/* gradient_test.c: every backward of nn/ against central differences, in double, of its forward equations written
 * plainly here.
 *
 * The layers compute in f32, the differences have an error near 1e-9: a gradient may be 2e-5 of the largest one off.
 * Gradients that are added to begin with numbers of their own, which have to be there still. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "nn/nn.h"

#define TOLERANCE 2e-5
#define MAX_NUMBERS 8192
#define STEP 1e-4 /* of a central difference */

/* A function of some numbers whose gradient is wanted: sum of its outputs times what stands for their gradients. */
struct function {
    double (*value)(const struct function *f, const double *x);
    int n;                    /* numbers in x */
    const float *d_out;       /* the gradient of the outputs */
    const float *other;       /* inputs that are held fast */
    int n_rows, width, n_out; /* as the function likes */
};

static uint64_t next_random;

static float random_float(void) { return (float)(2 * random_unit(7, RANDOM_TEST, next_random++) - 1); }

static void fill(float *x, int n) {
    for (int i = 0; i < n; i++) x[i] = random_float();
}

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s: %s", cria_status_name(status), err->text);
}

/* Compares got[i] - before[i] (NULL: zeros) with the derivative of f by x[i], for all i. */
static void check(const char *what, const struct function *f, const float *x, const float *got, const float *before) {
    static double at[MAX_NUMBERS], wanted[MAX_NUMBERS];
    double largest = 0;
    assert_true(f->n <= MAX_NUMBERS);
    for (int i = 0; i < f->n; i++) at[i] = (double)x[i];
    for (int i = 0; i < f->n; i++) {
        const double here = at[i];
        at[i] = here + STEP;
        const double above = f->value(f, at);
        at[i] = here - STEP;
        wanted[i] = (above - f->value(f, at)) / (2 * STEP);
        at[i] = here;
        largest = fmax(largest, fabs(wanted[i]));
    }
    for (int i = 0; i < f->n; i++) {
        const double is = (double)got[i] - (before ? (double)before[i] : 0);
        if (!(fabs(is - wanted[i]) <= TOLERANCE * (1 + largest)))
            fail_msg("%s: derivative %d is %.9g, expected %.9g", what, i, is, wanted[i]);
    }
}

struct bench {
    device *dev;      /* owned */
    uint8_t *scratch; /* owned */
};

static int open_bench(void **state) {
    struct cria_error err = {0};
    static struct bench b;
    must(device_create_cpu(&b.dev, &(struct device_options){.n_threads = 2}, &err), &err);
    b.scratch = aligned_alloc(64, (device_scratch_bytes(b.dev, 4096) + 63) / 64 * 64);
    assert_non_null(b.scratch);
    device_set_scratch(b.dev, b.scratch, 4096);
    device_begin(b.dev);
    *state = &b;
    return 0;
}

static int close_bench(void **state) {
    struct bench *b = *state;
    device_end(b->dev);
    device_destroy(&b->dev);
    free(b->scratch);
    return 0;
}

/* ---- norm ---- */

enum { ROWS = 5, WIDTH = 37 };
static const double eps = 1e-3;

static double norm_value(const struct function *f, const double *x, const double *gain) {
    double sum = 0;
    for (int row = 0; row < ROWS; row++, x += WIDTH) {
        double squares = 0;
        for (int i = 0; i < WIDTH; i++) squares += x[i] * x[i];
        for (int i = 0; i < WIDTH; i++)
            sum += (double)f->d_out[row * WIDTH + i] * x[i] / sqrt(squares / WIDTH + eps) * gain[i];
    }
    return sum;
}

static double norm_of_x(const struct function *f, const double *x) {
    double gain[WIDTH];
    for (int i = 0; i < WIDTH; i++) gain[i] = (double)f->other[i];
    return norm_value(f, x, gain);
}

static double norm_of_gain(const struct function *f, const double *gain) {
    double x[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (double)f->other[i];
    return norm_value(f, x, gain);
}

/* Catches a term of the derivative that is lost, a gain that is applied twice, and rows that share a sum. */
static void test_rmsnorm(void **state) {
    const struct bench *b = *state;
    struct cria_error err = {0};
    float x[ROWS * WIDTH], dy[ROWS * WIDTH], dx[ROWS * WIDTH], dx_0[ROWS * WIDTH], gain[WIDTH], dgain[WIDTH],
        dgain_0[WIDTH], scratch[ROWS];
    fill(x, ROWS * WIDTH), fill(dy, ROWS * WIDTH), fill(dx_0, ROWS * WIDTH), fill(gain, WIDTH), fill(dgain_0, WIDTH);
    memcpy(dx, dx_0, sizeof dx);
    memcpy(dgain, dgain_0, sizeof dgain);
    const struct nn_norm_bwd a = {.x = {x, ROWS, WIDTH, WIDTH},
                                  .dy = {dy, ROWS, WIDTH, WIDTH},
                                  .dx = {dx, ROWS, WIDTH, WIDTH},
                                  .gain = gain,
                                  .eps = (float)eps,
                                  .dgain = dgain,
                                  .scratch = scratch};
    must(nn_rmsnorm_bwd(b->dev, &a, &err), &err);
    check("dx", &(struct function){.value = norm_of_x, .n = ROWS * WIDTH, .d_out = dy, .other = gain}, x, dx, dx_0);
    check("dgain", &(struct function){.value = norm_of_gain, .n = WIDTH, .d_out = dy, .other = x}, gain, dgain,
          dgain_0);
    struct nn_norm_bwd wrong = a;
    wrong.dy.width--;
    assert_int_equal(nn_rmsnorm_bwd(b->dev, &wrong, &err), CRIA_SHAPE);
}

/* ---- products ---- */

enum { N_0 = 35, N_1 = 20, N_2 = 7, N_ALL = N_0 + N_1 + N_2, K = 41 };

static double product_of_x(const struct function *f, const double *x) {
    double sum = 0;
    for (int row = 0; row < ROWS; row++)
        for (int n = 0; n < N_ALL; n++)
            for (int k = 0; k < K; k++)
                sum += (double)f->d_out[row * N_ALL + n] * (double)f->other[n * K + k] * x[row * K + k];
    return sum;
}

static double product_of_w(const struct function *f, const double *w) {
    double sum = 0;
    for (int row = 0; row < ROWS; row++)
        for (int n = 0; n < N_ALL; n++)
            for (int k = 0; k < K; k++)
                sum += (double)f->d_out[row * N_ALL + n] * w[n * K + k] * (double)f->other[row * K + k];
    return sum;
}

/* Catches parts or shards that are taken in another place than their columns, and a transposition. */
static void test_linear(void **state) {
    const struct bench *b = *state;
    struct cria_error err = {0};
    float w[N_ALL * K], x[ROWS * K], dy[ROWS * N_ALL], dx[ROWS * K], dw[N_ALL * K], dw_0[N_ALL * K];
    fill(w, N_ALL * K), fill(x, ROWS * K), fill(dy, ROWS * N_ALL), fill(dw_0, N_ALL * K);
    memcpy(dw, dw_0, sizeof dw);
    const struct device_gradient_source source = {.w = {w, w + N_0 * K, w + (N_0 + N_1) * K},
                                                  .n_rows = {N_0, N_1, N_2},
                                                  .n_columns = K,
                                                  .n_parts = 3,
                                                  .n_shards = 2,
                                                  .shard_row = {{0, 32, N_0}, {0, 10, N_1}, {0, 3, N_2}},
                                                  .f32 = true};
    struct device_gradient_matrix g;
    device_gradient_plan(b->dev, &source, &g);
    uint8_t *memory = aligned_alloc(64, (g.m.n_bytes + 63) / 64 * 64);
    const size_t row_bytes = device_row_bytes(b->dev, &g.m),
                 outer_bytes = device_outer_bytes(b->dev, ROWS, N_ALL, K, true);
    uint8_t *packed = aligned_alloc(64, (row_bytes * ROWS + 63) / 64 * 64);
    uint8_t *scratch = aligned_alloc(64, (outer_bytes + 63) / 64 * 64);
    assert_true(memory && packed && scratch);
    memset(memory, 0, g.m.n_bytes);
    device_gradient_pack(b->dev, &source, &g, memory);
    const struct nn_floats dy_rows = {dy, ROWS, N_ALL, N_ALL}, dx_rows = {dx, ROWS, K, K};
    const struct nn_packed rows = {{packed, row_bytes}, ROWS, row_bytes};
    must(nn_linear_bwd_input(b->dev, dy_rows, &g, rows, dx_rows, &err), &err);
    check("dx", &(struct function){.value = product_of_x, .n = ROWS * K, .d_out = dy, .other = w}, x, dx, NULL);
    struct nn_outer outer = {dy_rows, {x, ROWS, K, K}, dw, true, scratch, outer_bytes};
    must(nn_linear_bwd_weight(b->dev, &outer, &err), &err);
    check("dw", &(struct function){.value = product_of_w, .n = N_ALL * K, .d_out = dy, .other = x}, w, dw, dw_0);
    outer.scratch_bytes--;
    assert_int_equal(nn_linear_bwd_weight(b->dev, &outer, &err), CRIA_SHAPE);
    outer = (struct nn_outer){dy_rows, {x, ROWS - 1, K, K}, dw, true, scratch, outer_bytes};
    assert_int_equal(nn_linear_bwd_weight(b->dev, &outer, &err), CRIA_SHAPE);
    assert_int_equal(nn_linear_bwd_input(b->dev, dx_rows, &g, rows, dx_rows, &err), CRIA_SHAPE);
    free(memory), free(packed), free(scratch);
}

/* ---- gate ---- */

static double gate_of(const struct function *f, const double *x) {
    double sum = 0;
    for (int row = 0; row < ROWS; row++)
        for (int i = 0; i < WIDTH; i++) {
            const double g = x[row * 2 * WIDTH + i], u = x[row * 2 * WIDTH + WIDTH + i];
            sum += (double)f->d_out[row * WIDTH + i] * g / (1 + exp(-g)) * u;
        }
    return sum;
}

/* Catches a derivative of the gate without its second term, and gate and up exchanged. */
static void test_gated(void **state) {
    const struct bench *b = *state;
    struct cria_error err = {0};
    float x[ROWS * 2 * WIDTH], dx[ROWS * 2 * WIDTH], dh[ROWS * WIDTH], h[ROWS * WIDTH];
    fill(x, ROWS * 2 * WIDTH), fill(dh, ROWS * WIDTH);
    for (int i = 0; i < ROWS * 2 * WIDTH; i++) x[i] *= 4;
    memcpy(dx, x, sizeof dx);
    memcpy(h, dh, sizeof h);
    const struct nn_floats gate_up = {dx, ROWS, 2 * WIDTH, 2 * WIDTH}, hidden = {h, ROWS, WIDTH, WIDTH};
    must(nn_gated_bwd(b->dev, gate_up, hidden, &err), &err);
    check("gate and up", &(struct function){.value = gate_of, .n = ROWS * 2 * WIDTH, .d_out = dh}, x, dx, NULL);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        const double g = (double)x[i / WIDTH * 2 * WIDTH + i % WIDTH],
                     u = (double)x[i / WIDTH * 2 * WIDTH + WIDTH + i % WIDTH];
        assert_true(fabs((double)h[i] - g / (1 + exp(-g)) * u) < 1e-5);
    }
    assert_int_equal(nn_gated_bwd(b->dev, hidden, hidden, &err), CRIA_SHAPE);
}

/* ---- attention ---- */

enum { HEADS = 4, KV_HEADS = 2, SIZE = 6, QKV = (HEADS + 2 * KV_HEADS) * SIZE, TOKENS = 41, FIRST = 8, PAGES = 4 };
static const int documents[2] = {FIRST, TOKENS - FIRST};

static double angle_of(int position, int i) { return position * pow(100, -2.0 * i / SIZE); }

static void rotated(const double *z, int position, double *out) {
    for (int i = 0; i < SIZE / 2; i++) {
        const double c = cos(angle_of(position, i)), s = sin(angle_of(position, i));
        out[i] = z[i] * c - z[i + SIZE / 2] * s;
        out[i + SIZE / 2] = z[i + SIZE / 2] * c + z[i] * s;
    }
}

/* One row of one head: positions count from the document's first row. */
static double attend(const double *qkv, int first, int row, int head, const float *d_out) {
    double q[SIZE], scores[TOKENS], sum = 0, value = 0;
    rotated(qkv + row * QKV + head * SIZE, row - first, q);
    const int kv_head = HEADS + head / (HEADS / KV_HEADS);
    for (int j = first; j <= row; j++) {
        double k[SIZE], dot = 0;
        rotated(qkv + j * QKV + kv_head * SIZE, j - first, k);
        for (int i = 0; i < SIZE; i++) dot += q[i] * k[i];
        scores[j] = exp(dot / sqrt(SIZE));
        sum += scores[j];
    }
    for (int j = first; j <= row; j++)
        for (int i = 0; i < SIZE; i++)
            value += scores[j] / sum * qkv[j * QKV + (kv_head + KV_HEADS) * SIZE + i] *
                     (double)d_out[(row * HEADS + head) * SIZE + i];
    return value;
}

static double attention_of(const struct function *f, const double *qkv) {
    double sum = 0;
    for (int d = 0, first = 0; d < 2; first += documents[d++])
        for (int row = first; row < first + documents[d]; row++)
            for (int head = 0; head < HEADS; head++) sum += attend(qkv, first, row, head, f->d_out);
    return sum;
}

/* Everything that attention needs of a device. */
struct attention {
    struct device_kv kv;
    uint8_t *cache, *q, *scratch, *back_scratch, *packed; /* owned */
    float cosines[TOKENS * SIZE / 2], sines[TOKENS * SIZE / 2], stats[TOKENS * HEADS * 2], rows[TOKENS * HEADS * SIZE];
    int32_t pages[PAGES];
    struct device_run runs[2];
    struct device_matrix next;
};

static uint8_t *zeroed(size_t n) {
    uint8_t *p = aligned_alloc(64, (n + 63) / 64 * 64);
    assert_non_null(p);
    return memset(p, 0, n);
}

static void attention_open(struct attention *a, const device *d) {
    *a = (struct attention){.pages = {0, 1, 2, 3}, .runs = {{0, FIRST, 0, NULL}, {FIRST, TOKENS - FIRST, 0, NULL}}};
    const struct device_attention_backward shape = {
        .n_heads = HEADS, .n_kv_heads = KV_HEADS, .head_size = SIZE, .kv_dtype = DTYPE_F32, .max_context = TOKENS};
    const struct device_matrix_source next = {.stored = DTYPE_F32, .n_rows = 1, .n_columns = HEADS * SIZE};
    a->runs[0].pages = a->pages;
    a->runs[1].pages = a->pages + 1;
    device_kv_plan(d, DTYPE_F32, KV_HEADS, SIZE, &a->kv);
    device_matrix_plan(d, &next, true, 1, NULL, &a->next);
    a->cache = zeroed(a->kv.page_bytes * PAGES);
    a->q = zeroed(device_q_bytes(d, &a->kv, HEADS) * TOKENS);
    a->scratch = zeroed(device_attention_bytes(d, &a->kv, HEADS, TOKENS));
    a->back_scratch = zeroed(device_attention_backward_bytes(d, &shape));
    a->packed = zeroed(device_row_bytes(d, &a->next) * TOKENS);
    for (int i = 0; i < TOKENS * SIZE / 2; i++) {
        a->cosines[i] = (float)cos(angle_of(i / (SIZE / 2), i % (SIZE / 2)));
        a->sines[i] = (float)sin(angle_of(i / (SIZE / 2), i % (SIZE / 2)));
    }
}

static void attention_close(struct attention *a) {
    free(a->cache), free(a->q), free(a->scratch), free(a->back_scratch), free(a->packed);
}

/* qkv becomes rotated; a->rows and a->stats are made. */
static void attention_forward(struct attention *a, device *d, float *qkv) {
    struct cria_error err = {0};
    const size_t row_bytes = device_row_bytes(d, &a->next);
    const struct device_rotate rotate = {.qkv = qkv,
                                         .qkv_stride = QKV,
                                         .n_heads = HEADS,
                                         .kv = &a->kv,
                                         .cosines = a->cosines,
                                         .sines = a->sines,
                                         .runs = a->runs,
                                         .n_runs = 2,
                                         .n_rows = TOKENS,
                                         .cache = a->cache,
                                         .page_stride = a->kv.page_bytes,
                                         .q = {a->q, 0}};
    const struct device_attention attention = {.n_heads = HEADS,
                                               .kv = &a->kv,
                                               .runs = a->runs,
                                               .n_runs = 2,
                                               .n_rows = TOKENS,
                                               .cache = a->cache,
                                               .page_stride = a->kv.page_bytes,
                                               .q = {a->q, 0},
                                               .out = {a->packed, row_bytes},
                                               .m = &a->next,
                                               .rows = a->rows,
                                               .stats = a->stats,
                                               .scratch = a->scratch,
                                               .max_context = TOKENS};
    const struct nn_packed out = {{a->packed, row_bytes}, TOKENS, row_bytes};
    must(nn_attention_fwd(d, (struct nn_floats){qkv, TOKENS, QKV, QKV}, &rotate, &attention, out, &err), &err);
}

/* Catches heads of a group that are not added, a scale that is lost or applied twice, a rotation turned the wrong way,
 * and attention or positions across documents. */
static void test_attention(void **state) {
    const struct bench *b = *state;
    struct cria_error err = {0};
    static float qkv[TOKENS * QKV], x[TOKENS * QKV], d_qkv[TOKENS * QKV], d_out[TOKENS * HEADS * SIZE];
    static struct attention a;
    fill(x, TOKENS * QKV), fill(d_out, TOKENS * HEADS * SIZE);
    for (int i = 0; i < TOKENS * QKV; i++) x[i] *= 2;
    memcpy(qkv, x, sizeof qkv);
    attention_open(&a, b->dev);
    attention_forward(&a, b->dev, qkv);
    const struct device_attention_backward back = {.qkv = qkv,
                                                   .out = a.rows,
                                                   .d_out = d_out,
                                                   .stats = a.stats,
                                                   .dqkv = d_qkv,
                                                   .qkv_stride = QKV,
                                                   .out_stride = HEADS * SIZE,
                                                   .d_out_stride = HEADS * SIZE,
                                                   .dqkv_stride = QKV,
                                                   .n_heads = HEADS,
                                                   .n_kv_heads = KV_HEADS,
                                                   .head_size = SIZE,
                                                   .kv_dtype = DTYPE_F32,
                                                   .runs = a.runs,
                                                   .n_runs = 2,
                                                   .max_context = TOKENS,
                                                   .scratch = a.back_scratch};
    struct device_rotate_backward rotate = {d_qkv, QKV, HEADS, KV_HEADS, SIZE, a.cosines, a.sines, a.runs, 2};
    must(nn_attention_bwd(b->dev, &back, &rotate, &err), &err);
    check("dqkv", &(struct function){.value = attention_of, .n = TOKENS * QKV, .d_out = d_out}, x, d_qkv, NULL);
    rotate.n_kv_heads = HEADS;
    assert_int_equal(nn_attention_bwd(b->dev, &back, &rotate, &err), CRIA_SHAPE);
    attention_close(&a);
}

/* ---- loss and embedding ---- */

enum { VOCAB = 300 };
static const int32_t targets[ROWS] = {3, -1, 0, VOCAB - 1, 150};

static double loss_of(const struct function *f, const double *z) {
    double sum = 0;
    (void)f;
    for (int row = 0; row < ROWS; row++, z += VOCAB) {
        double all = 0;
        for (int i = 0; i < VOCAB; i++) all += exp(z[i]);
        if (targets[row] >= 0) sum += log(all) - z[targets[row]];
    }
    return sum;
}

/* Catches a gradient without the target's one, a row without a target that has one, and a loss of another sign. */
static void test_cross_entropy(void **state) {
    const struct bench *b = *state;
    struct cria_error err = {0};
    static float z[ROWS * VOCAB], dz[ROWS * VOCAB];
    static double at[ROWS * VOCAB];
    float losses[ROWS];
    double sum = 0;
    fill(z, ROWS * VOCAB);
    for (int i = 0; i < ROWS * VOCAB; i++) at[i] = (double)(z[i] *= 5);
    memcpy(dz, z, sizeof dz);
    const struct nn_floats logits = {dz, ROWS, VOCAB, VOCAB};
    must(nn_cross_entropy(b->dev, logits, targets, losses, &err), &err);
    const struct function f = {.value = loss_of, .n = ROWS * VOCAB};
    check("dz", &f, z, dz, NULL);
    for (int i = 0; i < ROWS; i++) sum += (double)losses[i];
    assert_true(losses[1] == 0 && fabs(sum - loss_of(&f, at)) < 1e-5 * sum);
    const int32_t wrong[ROWS] = {0, 0, VOCAB, 0, 0};
    assert_int_equal(nn_cross_entropy(b->dev, logits, wrong, losses, &err), CRIA_RANGE);
}

/* Catches an id whose second gradient replaces the first, and a slot without a token that has one. */
static void test_embedding(void **state) {
    const struct bench *b = *state;
    struct cria_error err = {0};
    const int32_t ids[ROWS] = {2, 0, -1, 2, 1}, wrong[ROWS] = {0, 1, 2, 3, 0};
    float dx[ROWS * WIDTH], table[3 * WIDTH], before[3 * WIDTH];
    fill(dx, ROWS * WIDTH), fill(before, 3 * WIDTH);
    memcpy(table, before, sizeof table);
    const struct nn_floats rows = {dx, ROWS, WIDTH, WIDTH};
    must(nn_embedding_bwd(b->dev, ids, ROWS, rows, 3, table, &err), &err);
    for (int i = 0; i < WIDTH; i++) {
        assert_true(table[i] == before[i] + dx[WIDTH + i]);
        assert_true(table[WIDTH + i] == before[WIDTH + i] + dx[4 * WIDTH + i]);
        assert_true(table[2 * WIDTH + i] == (before[2 * WIDTH + i] + dx[i]) + dx[3 * WIDTH + i]);
    }
    assert_int_equal(nn_embedding_bwd(b->dev, wrong, ROWS, rows, 3, table, &err), CRIA_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rmsnorm),       cmocka_unit_test(test_linear),    cmocka_unit_test(test_gated),
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_embedding), cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
