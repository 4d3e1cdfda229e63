/* learning_bits_test.c: one gradient for each problem, whatever computed it; bits_test.c for learning.
 *
 * A problem is a model, a compute mode, and rows of packed documents in leaves. Its result is the losses of all tokens
 * and the gradients of all tensors. The plainest way to compute it is the reference: the canonical scalar kernels, one
 * thread, a row a call, everything kept. Then it goes other ways, and no bit may change:
 *
 *   instruction set   all that this machine has
 *   threads           1, 2, 3, 5
 *   rows a call       1, 2, 3
 *   recompute         nothing, the feed-forward half, all but the residual stream
 *   a trainer         fresh, or one whose weights were NaN when it learned before, and then came right
 *
 * The models cover what splits sums: products in two shards, attention over three spans, a vocabulary in eight shards
 * that is no multiple of 32, a tied head. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/random.h"
#include "kit/runner.h"
#include "kit/tiny.h"
#include "llama/llama_train.h"

#define SEED 23u
#define MAX_ROWS 6
#define MAX_PIECES 4

struct problem {
    const char *name;
    struct tiny_model model;
    enum llama_compute compute;
    int pieces[MAX_ROWS][MAX_PIECES + 1]; /* lengths of each row's documents, 0 behind the last */
    int leaf_ends[MAX_ROWS];              /* rows behind which a leaf ends, 0 behind the last */
    int max_row_tokens;
    int n_ways; /* for each instruction set */
};

static const struct problem problems[] = {
    {"gqa, untied, f32",
     {48, 2, 4, 2, 12, 70, 300, 128, false, DTYPE_F32, 1, false},
     LLAMA_COMPUTE_F32,
     {{40}, {7, 25, 9}, {64}, {1, 1, 50}, {33, 31}},
     {2, 4, 5},
     64,
     4},
    {"mqa, tied, bf16",
     {40, 2, 6, 1, 10, 66, 271, 128, true, DTYPE_BF16, 2, false},
     LLAMA_COMPUTE_BF16,
     {{20, 20, 8}, {70}, {5, 60}, {64}, {31}, {3}},
     {1, 2, 3, 5, 6},
     70,
     4},
    {"two shards, bf16",
     {32, 1, 16, 2, 128, 2100, 40, 128, false, DTYPE_BF16, 3, false},
     LLAMA_COMPUTE_BF16,
     {{20, 15}, {33}},
     {2},
     35,
     4},
    {"three spans, bf16",
     {32, 1, 2, 1, 16, 40, 50, 2048, true, DTYPE_BF16, 4, false},
     LLAMA_COMPUTE_BF16,
     {{30, 1100}, {40}},
     {1, 2},
     1130,
     3},
    {"three spans, f32",
     {32, 1, 2, 2, 8, 40, 50, 2048, false, DTYPE_F32, 5, false},
     LLAMA_COMPUTE_F32,
     {{1060, 20}},
     {1},
     1080,
     3},
    /* Logits come in chunks of 512 rows: a row is one and a part of the next. */
    {"many words, bf16",
     {8, 1, 1, 1, 8, 32, 33000, 640, false, DTYPE_BF16, 6, false},
     LLAMA_COMPUTE_BF16,
     {{520}, {20}},
     {2},
     520,
     1},
    /* Learning begins from the numbers that a quantised file stands for. */
    {"blocks of 4 bits, bf16",
     {64, 1, 2, 1, 32, 96, 300, 128, true, DTYPE_Q4_0, 7, false},
     LLAMA_COMPUTE_BF16,
     {{20, 15}, {33}},
     {2},
     35,
     1},
};

/* A problem with its weights and rows in memory. */
struct ready {
    const struct problem *p;
    struct arch_config config;
    char *folder, *path; /* owned, as the following */
    llama_layout *layout;
    float *w;
    int32_t *ids, *targets;
    struct llama_data_row rows[MAX_ROWS];
    struct llama_piece pieces[MAX_ROWS][MAX_PIECES];
    int n_rows, n_pieces, n_tokens;
};

struct way {
    enum kernel_isa isa;
    int n_threads, rows_a_call;
    enum llama_recompute recompute;
    bool is_used;
};

struct outcome {
    float *gradients, *losses; /* owned */
};

static void must(cria_status status, const struct cria_error *err, const char *what) {
    if (status != CRIA_OK) fail_msg("%s: %s: %s", what, cria_status_name(status), err->text);
}

static float *floats(int64_t n) {
    float *x = alloc_zeroed((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* ---- problems ---- */

static void lay_rows(struct ready *r) {
    for (; r->n_rows < MAX_ROWS && r->p->pieces[r->n_rows][0] > 0; r->n_rows++) {
        struct llama_data_row *row = &r->rows[r->n_rows];
        *row = (struct llama_data_row){.pieces = r->pieces[r->n_rows]};
        for (const int *n = r->p->pieces[r->n_rows]; *n > 0; n++) {
            r->pieces[r->n_rows][row->n_pieces++] = (struct llama_piece){row->n_tokens, *n};
            row->n_tokens += *n;
        }
        r->n_tokens += row->n_tokens;
        r->n_pieces += row->n_pieces;
    }
}

/* Random ids; the next one of the document is predicted, now and then nothing. */
static void fill_rows(struct ready *r) {
    int at = 0;
    const uint64_t n_vocab = (uint64_t)r->p->model.n_vocab;
    for (int i = 0; i < r->n_tokens; i++)
        r->ids[i] = (int32_t)(random_u64(SEED, RANDOM_TEST, r->p->model.seed << 32 | (uint64_t)i) % n_vocab);
    for (int i = 0; i < r->n_rows; i++) {
        r->rows[i].ids = r->ids + at;
        r->rows[i].targets = r->targets + at;
        for (int piece = 0; piece < r->rows[i].n_pieces; piece++)
            for (int t = 0; t < r->pieces[i][piece].n; t++, at++)
                r->targets[at] = t + 1 == r->pieces[i][piece].n || r->ids[at] % 9 == 0 ? -1 : r->ids[at + 1];
    }
}

static void make_ready(struct ready *r, const struct problem *p) {
    struct cria_error err = {0};
    model_files *files = NULL;
    *r = (struct ready){.p = p, .folder = tiny_folder()};
    assert_non_null(r->folder);
    const bool is_quantised = dtype_info(p->model.dtype)->block_elements > 1;
    r->path = file_join(r->folder, is_quantised ? "model.gguf" : "model");
    assert_non_null(r->path);
    must(is_quantised ? tiny_write_gguf(&p->model, r->path, &err) : tiny_write_directory(&p->model, r->path, &err),
         &err, p->name);
    must(model_files_open(&files, r->path, NULL, &err), &err, p->name);
    r->config = *model_files_config(files);
    must(llama_layout_create(&r->layout, &r->config, &err), &err, p->name);
    r->w = floats(llama_layout_floats(r->layout));
    must(llama_weights_read(r->layout, files, r->w, &err), &err, p->name);
    model_files_close(&files);
    lay_rows(r);
    r->ids = alloc_zeroed((size_t)r->n_tokens, sizeof *r->ids);
    r->targets = alloc_zeroed((size_t)r->n_tokens, sizeof *r->targets);
    assert_true(r->ids && r->targets);
    fill_rows(r);
}

static void free_ready(struct ready *r) {
    tiny_remove(r->folder);
    alloc_free(r->folder);
    alloc_free(r->path);
    llama_layout_destroy(&r->layout);
    alloc_free(r->w);
    alloc_free(r->ids);
    alloc_free(r->targets);
}

/* ---- ways ---- */

static llama_trainer *make_trainer(const struct ready *r, device *dev, const struct way *way, float *w, int n_leaves) {
    struct cria_error err = {0};
    llama_trainer *t = NULL;
    const struct llama_trainer_options options = {.compute = r->p->compute,
                                                  .max_row_tokens = r->p->max_row_tokens,
                                                  .max_rows = way->rows_a_call,
                                                  .max_pieces = r->n_pieces + MAX_ROWS,
                                                  .n_leaves = n_leaves,
                                                  .recompute = way->recompute};
    must(llama_trainer_create(&t, &r->config, r->layout, w, dev, &options, &err), &err, r->p->name);
    return t;
}

/* Rows first .. end - 1, so many a call as the way says. */
static void learn_rows(const struct ready *r, llama_trainer *t, const struct way *way, int first, int end,
                       float *losses) {
    struct cria_error err = {0};
    for (int row = first; row < end; row += way->rows_a_call) {
        const int left = end - row, n = left < way->rows_a_call ? left : way->rows_a_call;
        must(llama_trainer_rows(t, r->rows + row, n, losses, &err), &err, r->p->name);
        for (int i = row; losses && i < row + n; i++) losses += r->rows[i].n_tokens;
    }
}

static int count_leaves(const struct problem *p) {
    int n = 0;
    while (n < MAX_ROWS && p->leaf_ends[n] > 0) n++;
    return n;
}

static struct outcome compute(const struct ready *r, const struct way *way) {
    struct cria_error err = {0};
    const int64_t n = llama_layout_floats(r->layout);
    const struct outcome out = {floats(n), floats(r->n_tokens)};
    device *dev = NULL;
    must(device_create_cpu(&dev, &(struct device_options){way->n_threads, way->isa}, &err), &err, r->p->name);
    float *w = floats(n), *losses = out.losses;
    memcpy(w, r->w, (size_t)n * sizeof *w);
    for (int64_t i = 0; way->is_used && i < n; i++) w[i] = NAN;
    llama_trainer *t = make_trainer(r, dev, way, w, count_leaves(r->p));
    if (way->is_used) {
        learn_rows(r, t, way, 0, 1, NULL);
        memcpy(w, r->w, (size_t)n * sizeof *w);
        llama_trainer_update(t);
        llama_trainer_begin(t);
    }
    for (int leaf = 0, row = 0; leaf < count_leaves(r->p); row = r->p->leaf_ends[leaf++]) {
        learn_rows(r, t, way, row, r->p->leaf_ends[leaf], losses);
        for (int i = row; i < r->p->leaf_ends[leaf]; i++) losses += r->rows[i].n_tokens;
        llama_trainer_end_leaf(t);
    }
    memcpy(out.gradients, llama_trainer_finish(t), (size_t)n * sizeof(float));
    llama_trainer_destroy(&t);
    alloc_free(w);
    device_destroy(&dev);
    return out;
}

static void free_outcome(struct outcome *o) {
    alloc_free(o->gradients);
    alloc_free(o->losses);
}

static void compare(const struct ready *r, const struct way *way, const struct outcome *got,
                    const struct outcome *wanted) {
    const char *isa = kernel_isa_name(way->isa);
    if (memcmp(got->losses, wanted->losses, (size_t)r->n_tokens * sizeof(float)) != 0)
        fail_msg("%s: %s, %d threads, %d rows a call: other losses", r->p->name, isa, way->n_threads, way->rows_a_call);
    for (int i = 0; i < llama_layout_count(r->layout); i++) {
        const struct llama_tensor *t = llama_layout_at(r->layout, i);
        char name[ARCH_NAME_BYTES];
        arch_weight_name(ARCH_NAMING_HF, t->weight, t->layer, name);
        for (int64_t j = t->offset; j < t->offset + t->n; j++)
            if (memcmp(&got->gradients[j], &wanted->gradients[j], sizeof(float)) != 0)
                fail_msg("%s: %s, %d threads, %d rows a call, recompute %d, used %d: %s[%lld] is %.9g, expected %.9g",
                         r->p->name, isa, way->n_threads, way->rows_a_call, (int)way->recompute, way->is_used, name,
                         (long long)(j - t->offset), (double)got->gradients[j], (double)wanted->gradients[j]);
    }
}

static const struct way plain = {KERNEL_ISA_REF, 1, 1, LLAMA_RECOMPUTE_NONE, false};

/* Catches an order of additions that depends on how the work was done, a policy that gives other bits, padding that
 * counts, and anything that one step leaves for the next. */
static void test_ways(void **state) {
    static const int threads[] = {1, 2, 3, 5}, rows[] = {1, 2, 3, 2};
    const struct problem *p = *state;
    struct ready r;
    make_ready(&r, p);
    struct outcome wanted = compute(&r, &plain);
    int n_ways = 0;
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        const int n = isa == KERNEL_ISA_REF ? p->n_ways / 2 : p->n_ways; /* it is slow, and the reference already */
        for (int j = 0; kernel_isa_usable((enum kernel_isa)isa, &reason) && j < n; j++, n_ways++) {
            const struct way way = {(enum kernel_isa)isa, threads[(isa + j) % 4], rows[(isa + 2 * j + j / 2) % 4],
                                    (enum llama_recompute)((isa + j) % 3), j % 2 == 1};
            struct outcome got = compute(&r, &way);
            compare(&r, &way, &got, &wanted);
            free_outcome(&got);
        }
    }
    print_message("%s: %d ways\n", p->name, n_ways);
    free_outcome(&wanted);
    free_ready(&r);
}

/* Catches a packed document that sees its neighbours or other positions, and a trainer whose forward pass is not the
 * one of inference: its losses are the negative log-probabilities of llama_forward(), bit for bit. */
static void test_losses_are_those_of_inference(void **state) {
    const struct problem *p = *state;
    struct cria_error err = {0};
    struct ready r;
    make_ready(&r, p);
    const int64_t n_vocab = p->model.n_vocab;
    const struct way way = {KERNEL_ISA_NONE, 2, 2, LLAMA_RECOMPUTE_NONE, false};
    device *dev = NULL;
    must(device_create_cpu(&dev, &(struct device_options){way.n_threads, way.isa}, &err), &err, p->name);
    llama_trainer *t = make_trainer(&r, dev, &way, r.w, 1);
    float *losses = floats(p->max_row_tokens), *logits = floats(p->max_row_tokens * n_vocab);
    for (int row = 0; row < r.n_rows; row++) {
        must(llama_trainer_score(t, &r.rows[row], 1, losses, &err), &err, p->name);
        for (int piece = 0; piece < r.rows[row].n_pieces; piece++) {
            const struct llama_piece at = r.pieces[row][piece];
            struct runner run = {0};
            must(runner_open(&run, r.path, p->compute, 64, p->model.n_context, &err), &err, p->name);
            must(runner_append(&run, r.rows[row].ids + at.first, at.n, logits, &err), &err, p->name);
            for (int i = 0; i < at.n; i++) {
                const int32_t target = r.rows[row].targets[at.first + i];
                const float want = target < 0 ? 0 : -llama_logprob(run.session, logits + i * n_vocab, target);
                if (losses[at.first + i] != want)
                    fail_msg("%s: row %d, token %d: loss %.9g, inference says %.9g", p->name, row, at.first + i,
                             (double)losses[at.first + i], (double)want);
            }
            runner_close(&run);
        }
    }
    alloc_free(losses);
    alloc_free(logits);
    llama_trainer_destroy(&t);
    device_destroy(&dev);
    free_ready(&r);
}

/* Catches leaves that are added in another order than the tree's, a buffer that is given out twice, and one that is
 * not zeroed: five leaves against the sum of their gradients computed alone, ((0 + 1) + (2 + 3)) + 4. */
static void test_tree(void **state) {
    (void)state;
    enum { N = 5 };
    struct ready r;
    make_ready(&r, &problems[0]);
    assert_true(r.n_rows >= N);
    struct cria_error err = {0};
    device *dev = NULL;
    must(device_create_cpu(&dev, &(struct device_options){.n_threads = 2}, &err), &err, "device");
    const int64_t n = llama_layout_floats(r.layout);
    float *alone[N];
    llama_trainer *t = make_trainer(&r, dev, &plain, r.w, N);
    for (int i = 0; i < N; i++) {
        alone[i] = floats(n);
        llama_trainer_begin(t);
        learn_rows(&r, t, &plain, i, i + 1, NULL);
        memcpy(alone[i], llama_trainer_finish(t), (size_t)n * sizeof(float));
    }
    llama_trainer_begin(t);
    for (int i = 0; i < N; i++) {
        learn_rows(&r, t, &plain, i, i + 1, NULL);
        llama_trainer_end_leaf(t);
    }
    const float *all = llama_trainer_finish(t);
    for (int64_t i = 0; i < n; i++)
        assert_true(all[i] == ((alone[0][i] + alone[1][i]) + (alone[2][i] + alone[3][i])) + alone[4][i]);
    for (int i = 0; i < N; i++) alloc_free(alone[i]);
    llama_trainer_destroy(&t);
    device_destroy(&dev);
    free_ready(&r);
}

/* Catches query and key rows of a GGUF file that are not put back from pairs, and a row that is read into another's
 * place: both containers give the same weights. */
static void test_containers(void **state) {
    (void)state;
    struct cria_error err = {0};
    struct ready r;
    make_ready(&r, &problems[0]);
    char *path = file_join(r.folder, "model.gguf");
    assert_non_null(path);
    model_files *files = NULL;
    float *w = floats(llama_layout_floats(r.layout));
    must(tiny_write_gguf(&r.p->model, path, &err), &err, "GGUF");
    must(model_files_open(&files, path, NULL, &err), &err, "GGUF");
    must(llama_weights_read(r.layout, files, w, &err), &err, "GGUF");
    assert_memory_equal(w, r.w, (size_t)llama_layout_floats(r.layout) * sizeof *w);
    model_files_close(&files);
    alloc_free(path);
    alloc_free(w);
    free_ready(&r);
}

#define PROBLEM(test, i) \
    { #test " " #i, test, NULL, NULL, (void *)&problems[i] }

int main(void) {
    const struct CMUnitTest tests[] = {
        PROBLEM(test_ways, 0),
        PROBLEM(test_ways, 1),
        PROBLEM(test_ways, 2),
        PROBLEM(test_ways, 3),
        PROBLEM(test_ways, 4),
        PROBLEM(test_losses_are_those_of_inference, 0),
        PROBLEM(test_losses_are_those_of_inference, 1),
        PROBLEM(test_losses_are_those_of_inference, 2),
        PROBLEM(test_losses_are_those_of_inference, 3),
        PROBLEM(test_losses_are_those_of_inference, 4),
        PROBLEM(test_ways, 5),
        PROBLEM(test_losses_are_those_of_inference, 6),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
