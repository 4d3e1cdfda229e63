/* llama_trainer_test.c: the contracts of llama_train.h that no number of a gradient shows: where weights lie, what they
 * are at first, what is refused, what is counted, and what a trainer says it will need. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "llama/llama_train.h"

enum { ROW_TOKENS = 64, VOCAB = 90 };

static struct arch_config config_of(bool tied) {
    struct arch_config c = {.d_model = 44,
                            .n_layers = 3,
                            .n_heads = 4,
                            .n_kv_heads = 2,
                            .head_size = 12,
                            .d_ff = 101,
                            .n_vocab = VOCAB,
                            .n_context = 128,
                            .norm_eps = 1e-5,
                            .tied = tied,
                            .rope = {.kind = ARCH_ROPE_PLAIN, .theta = 10000},
                            .bos_id = -1};
    assert_int_equal(arch_config_check(&c, NULL), CRIA_OK);
    return c;
}

static const struct llama_trainer_options usual = {
    .compute = LLAMA_COMPUTE_BF16, .max_row_tokens = ROW_TOKENS, .max_rows = 2, .max_pieces = 4, .n_leaves = 3};

/* A configuration with its layout, weights and a device. */
struct model {
    struct arch_config config;
    llama_layout *layout; /* owned */
    float *w;             /* owned */
    device *dev;          /* owned */
};

static struct model make_model(bool tied, bool null_device) {
    struct model m = {.config = config_of(tied)};
    assert_int_equal(llama_layout_create(&m.layout, &m.config, NULL), CRIA_OK);
    m.w = alloc_zeroed((size_t)llama_layout_floats(m.layout), sizeof *m.w);
    assert_non_null(m.w);
    llama_weights_init(m.layout, &m.config, 5, m.w);
    if (null_device) assert_int_equal(device_create_null(&m.dev, NULL), CRIA_OK);
    else assert_int_equal(device_create_cpu(&m.dev, &(struct device_options){.n_threads = 2}, NULL), CRIA_OK);
    return m;
}

static void free_model(struct model *m) {
    llama_layout_destroy(&m->layout);
    alloc_free(m->w);
    device_destroy(&m->dev);
}

static llama_trainer *make_trainer(const struct model *m) {
    llama_trainer *t = NULL;
    assert_int_equal(llama_trainer_create(&t, &m->config, m->layout, m->w, m->dev, &usual, NULL), CRIA_OK);
    return t;
}

/* ---- layout and weights ---- */

/* Catches tensors that overlap, an order other than the table's, a tied head with a place of its own. */
static void test_layout(void **state) {
    (void)state;
    for (int tied = 0; tied < 2; tied++) {
        struct model m = make_model(tied, false);
        int64_t end = 0, n = 0;
        for (int i = 0; i < llama_layout_count(m.layout); i++) {
            const struct llama_tensor *t = llama_layout_at(m.layout, i);
            assert_true(t->offset % 16 == 0 && t->offset >= end && t->offset < end + 16);
            assert_true(t->n == t->n_rows * t->n_columns);
            assert_ptr_equal(llama_layout_find(m.layout, t->weight, t->layer), t);
            if (i > 0) assert_true(t->weight >= llama_layout_at(m.layout, i - 1)->weight);
            end = t->offset + t->n;
            n += t->n;
        }
        assert_true(llama_layout_floats(m.layout) >= end && llama_layout_floats(m.layout) < end + 16);
        assert_int_equal(n, arch_parameters(&m.config));
        assert_true((llama_layout_find(m.layout, ARCH_W_HEAD, -1) == NULL) == tied);
        free_model(&m);
    }
}

static void check_deviation(const struct model *m, const struct llama_tensor *t) {
    double sum = 0, squares = 0;
    const double wanted = arch_init_deviation(&m->config, t->weight), n = (double)t->n;
    for (int64_t i = t->offset; i < t->offset + t->n; i++) {
        sum += (double)m->w[i];
        squares += (double)m->w[i] * (double)m->w[i];
    }
    if (wanted <= 0) {
        assert_true(sum == n && squares == n);
        return;
    }
    /* Five standard deviations of the mean and of the deviation over so many numbers. */
    assert_true(fabs(sum / n) < 5 * wanted / sqrt(n));
    assert_true(fabs(sqrt(squares / n) / wanted - 1) < 5 / sqrt(2 * n));
}

/* Catches a deviation of another row, a padding that is written, numbers that come again in the next tensor, and a
 * seed that is ignored. */
static void test_init(void **state) {
    (void)state;
    struct model m = make_model(false, false);
    for (int i = 0; i < llama_layout_count(m.layout); i++) {
        const struct llama_tensor *t = llama_layout_at(m.layout, i);
        check_deviation(&m, t);
        const int64_t next = i + 1 < llama_layout_count(m.layout) ? llama_layout_at(m.layout, i + 1)->offset
                                                                  : llama_layout_floats(m.layout);
        for (int64_t j = t->offset + t->n; j < next; j++) assert_true(m.w[j] == 0);
    }
    const struct llama_tensor *first = llama_layout_find(m.layout, ARCH_W_GATE, 0),
                              *second = llama_layout_find(m.layout, ARCH_W_GATE, 1);
    assert_true(m.w[first->offset] != m.w[second->offset]);
    assert_true(arch_init_deviation(&m.config, ARCH_W_DOWN) == 0.02 / sqrt(6.0));
    const float before = m.w[first->offset];
    llama_weights_init(m.layout, &m.config, 6, m.w);
    assert_true(m.w[first->offset] != before);
    llama_weights_init(m.layout, &m.config, 5, m.w);
    assert_true(m.w[first->offset] == before);
    free_model(&m);
}

/* Catches a digest that does not see a bit, and one that sees the padding. */
static void test_digest(void **state) {
    (void)state;
    struct model m = make_model(false, false);
    uint8_t a[LLAMA_DIGEST_BYTES], b[LLAMA_DIGEST_BYTES];
    assert_int_equal(llama_weights_digest(m.layout, m.w, a, NULL), CRIA_OK);
    const struct llama_tensor *up = llama_layout_find(m.layout, ARCH_W_UP, 2);
    assert_int_not_equal(up->n % 16, 0);
    float *last = &m.w[up->offset + up->n - 1], *padding = last + 1;
    *padding = 1;
    assert_int_equal(llama_weights_digest(m.layout, m.w, b, NULL), CRIA_OK);
    assert_memory_equal(a, b, sizeof a);
    *last = nextafterf(*last, 1);
    assert_int_equal(llama_weights_digest(m.layout, m.w, b, NULL), CRIA_OK);
    assert_memory_not_equal(a, b, sizeof a);
    free_model(&m);
}

/* ---- refusals ---- */

static void refuse_options(const struct model *m, struct llama_trainer_options o, cria_status wanted,
                           const char *word) {
    struct cria_error err = {0};
    llama_trainer *t = NULL;
    struct llama_trainer_bytes bytes;
    assert_int_equal(llama_trainer_create(&t, &m->config, m->layout, m->w, m->dev, &o, &err), wanted);
    assert_null(t);
    if (!strstr(err.text, word)) fail_msg("'%s' does not say '%s'", err.text, word);
    assert_int_equal(llama_trainer_plan(&m->config, m->dev, &o, &bytes, &err), wanted);
}

/* Catches options that are believed: each of these would be an overrun or a table of no size. */
static void test_options(void **state) {
    (void)state;
    struct model m = make_model(true, false);
    struct llama_trainer_options o = usual;
#define REFUSE(change, word)                     \
    do {                                         \
        o = usual;                               \
        change;                                  \
        refuse_options(&m, o, CRIA_RANGE, word); \
    } while (0)
    REFUSE(o.max_row_tokens = 129, "128");
    REFUSE(o.max_row_tokens = 0, "0 tokens");
    REFUSE(o.max_rows = 0, "0 rows");
    REFUSE(o.max_rows = 1 << 20, "1048576 rows");
    REFUSE(o.max_pieces = 1, "1 documents");
    REFUSE(o.n_leaves = 0, "0 leaves");
    REFUSE(o.n_leaves = 5000, "5000 leaves");
    REFUSE(o.rope_theta = -1, "-1");
    o = usual;
    o.compute = LLAMA_COMPUTE_DEFAULT;
    refuse_options(&m, o, CRIA_UNSUPPORTED, "neither");
    free_model(&m);
}

static int32_t ids[ROW_TOKENS], targets[ROW_TOKENS];
static const struct llama_piece whole = {0, ROW_TOKENS}, halves[2] = {{0, 32}, {32, 32}}, gap[2] = {{0, 31}, {32, 32}},
                                over[2] = {{0, 32}, {32, 33}};

static struct llama_data_row row_of(const struct llama_piece *pieces, int n_pieces) {
    for (int i = 0; i < ROW_TOKENS; i++) {
        ids[i] = i * 7 % VOCAB;
        targets[i] = i % 5 ? (i * 11 + 3) % VOCAB : -1;
    }
    return (struct llama_data_row){ids, targets, ROW_TOKENS, pieces, n_pieces};
}

static void refuse_row(llama_trainer *t, const struct llama_data_row *rows, int n_rows, cria_status wanted,
                       const char *word) {
    struct cria_error err = {0};
    float losses[2 * ROW_TOKENS];
    assert_int_equal(llama_trainer_rows(t, rows, n_rows, NULL, &err), wanted);
    if (!strstr(err.text, word)) fail_msg("'%s' does not say '%s'", err.text, word);
    assert_int_equal(llama_trainer_score(t, rows, n_rows, losses, &err), wanted);
}

/* Catches rows that are believed, and a refusal that leaves something in the step. */
static void test_rows(void **state) {
    (void)state;
    struct model m = make_model(false, false);
    llama_trainer *t = make_trainer(&m);
    struct llama_data_row row = row_of(&whole, 1), rows[3] = {row, row, row};
    assert_int_equal(llama_trainer_rows(t, &row, 1, NULL, NULL), CRIA_OK);
    const int64_t n = llama_layout_floats(m.layout);
    float *alone = alloc_array((size_t)n, sizeof *alone);
    assert_non_null(alone);
    memcpy(alone, llama_trainer_finish(t), (size_t)n * sizeof *alone);
    alloc_forbid(); /* a step allocates nothing */
    llama_trainer_begin(t);
    assert_int_equal(llama_trainer_rows(t, &row, 1, NULL, NULL), CRIA_OK);
    alloc_allow();
    refuse_row(t, rows, 3, CRIA_LIMIT, "3 rows");
    refuse_row(t, rows, 0, CRIA_LIMIT, "0 rows");
    rows[1] = row_of(gap, 2);
    refuse_row(t, rows, 2, CRIA_SHAPE, "row 1: document 1");
    rows[1] = row_of(over, 2);
    refuse_row(t, rows, 2, CRIA_SHAPE, "33 tokens from 32");
    rows[1] = row_of(halves, 1);
    refuse_row(t, rows, 2, CRIA_SHAPE, "its documents have 32 tokens");
    rows[1].n_tokens = ROW_TOKENS + 1;
    refuse_row(t, rows, 2, CRIA_LIMIT, "65 tokens");
    row = row_of(&whole, 1);
    ids[9] = VOCAB;
    refuse_row(t, &row, 1, CRIA_RANGE, "token id 90 at place 9");
    row = row_of(&whole, 1);
    targets[10] = -2;
    refuse_row(t, &row, 1, CRIA_RANGE, "target -2 at place 10");
    assert_memory_equal(alone, llama_trainer_finish(t), (size_t)n * sizeof *alone);
    alloc_free(alone);
    llama_trainer_destroy(&t);
    free_model(&m);
}

/* ---- totals ---- */

/* Catches predictions that are not counted or counted where nothing is predicted, a NaN that poisons the sum or is
 * hidden, and totals that outlive their step. */
static void test_totals(void **state) {
    (void)state;
    struct model m = make_model(true, false);
    llama_trainer *t = make_trainer(&m);
    const struct llama_data_row row = row_of(halves, 2);
    float losses[ROW_TOKENS];
    double sum = 0;
    struct exact_sum total;
    int64_t n = 0, n_wanted = 0;
    assert_int_equal(llama_trainer_rows(t, &row, 1, losses, NULL), CRIA_OK);
    llama_trainer_totals(t, &total, &n);
    for (int i = 0; i < ROW_TOKENS; i++) {
        sum += (double)losses[i];
        n_wanted += targets[i] >= 0;
        assert_true((losses[i] == 0) == (targets[i] < 0));
    }
    assert_int_equal(n, n_wanted);
    assert_true(fabs(exact_sum_value(&total) - sum) < 1e-9 * sum);
    assert_true(fabs(sum / (double)n - log(VOCAB)) < 0.2); /* a fresh model knows nothing */
    m.w[llama_layout_find(m.layout, ARCH_W_FINAL_NORM, -1)->offset] = NAN;
    llama_trainer_begin(t);
    assert_int_equal(llama_trainer_rows(t, &row, 1, NULL, NULL), CRIA_OK);
    llama_trainer_totals(t, &total, &n);
    assert_int_equal(n, n_wanted);
    assert_int_equal(llama_trainer_not_finite(t), n_wanted);
    assert_true(exact_sum_value(&total) == 0);
    llama_trainer_destroy(&t);
    free_model(&m);
}

/* Catches a formula that no longer describes the step, and a product that is left out or done twice: the null device
 * counts a whole step. Backward's attention makes the scores again, which the formula does not count. */
static void test_flops(void **state) {
    (void)state;
    struct model m = make_model(false, true);
    llama_trainer *t = make_trainer(&m);
    const struct llama_data_row row = row_of(halves, 2);
    assert_int_equal(llama_trainer_rows(t, &row, 1, NULL, NULL), CRIA_OK);
    const double again = 2.0 * (32.0 * 33 / 2) * 2 * 48 * 3, foretold = llama_train_flops(&m.config, halves, 2) + again;
    const double counted = device_null_counts(m.dev).flops;
    if (counted != foretold) fail_msg("counted %.0f operations, foretold %.0f", counted, foretold);
    llama_trainer_destroy(&t);
    free_model(&m);
}

/* ---- memory ---- */

/* Catches kept rows that no policy frees, leaves without buffers for their tree, and a plan that depends on anything
 * but its arguments. */
static void test_plan(void **state) {
    (void)state;
    struct model m = make_model(true, false);
    struct llama_trainer_options o = usual;
    struct llama_trainer_bytes none, ffn, all, leaves;
    assert_int_equal(llama_trainer_plan(&m.config, m.dev, &o, &none, NULL), CRIA_OK);
    o.recompute = LLAMA_RECOMPUTE_FFN;
    assert_int_equal(llama_trainer_plan(&m.config, m.dev, &o, &ffn, NULL), CRIA_OK);
    o.recompute = LLAMA_RECOMPUTE_ALL;
    assert_int_equal(llama_trainer_plan(&m.config, m.dev, &o, &all, NULL), CRIA_OK);
    o.n_leaves = 8;
    assert_int_equal(llama_trainer_plan(&m.config, m.dev, &o, &leaves, NULL), CRIA_OK);
    const uint64_t slots = 2 * ROW_TOKENS, gate = slots * 2 * 101 * 4, residual = slots * 44 * 4;
    const uint64_t rest = slots * 4 * (44 + 96 + 48 + 8); /* ffn_residual, qkv, attn_rows, attn_stats */
    assert_int_equal(none.kept, 3 * (residual + rest + gate));
    assert_int_equal(ffn.kept, 3 * (residual + rest) + gate);
    assert_int_equal(all.kept, 3 * residual + rest + gate);
    /* Three leaves: one waits while the next runs. Eight: three wait. A tied head has a place of its own. */
    const uint64_t floats = (uint64_t)llama_layout_floats(m.layout) + VOCAB * 44 + 8; /* a multiple of 16 */
    assert_int_equal(none.gradients, 2 * floats * 4);
    assert_int_equal(leaves.gradients, 4 * floats * 4);
    assert_int_equal(none.scratch, all.scratch);
    free_model(&m);
}

/* Catches a leak or a crash where memory ends while a trainer is made. */
static void test_no_memory(void **state) {
    (void)state;
    struct model m = make_model(true, false);
    for (uint64_t n = 1;; n++) {
        llama_trainer *t = NULL;
        alloc_fail_at(n);
        const cria_status status = llama_trainer_create(&t, &m.config, m.layout, m.w, m.dev, &usual, NULL);
        const bool is_through = alloc_fail_at(0) < n;
        assert_true((status == CRIA_OK) == (t != NULL) && (t != NULL) == is_through);
        llama_trainer_destroy(&t);
        if (is_through) break;
        assert_int_equal(status, CRIA_NOMEM);
        assert_true(n < 100);
    }
    free_model(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),  cmocka_unit_test(test_init), cmocka_unit_test(test_digest),
        cmocka_unit_test(test_options), cmocka_unit_test(test_rows), cmocka_unit_test(test_totals),
        cmocka_unit_test(test_flops),   cmocka_unit_test(test_plan), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
