/* gradients_test.c: the gradients of tiny models of every shape against PyTorch (fixtures: make_gradients.py,
 * README.md).
 *
 * Compute f32 gives each tensor's gradient to 1e-4 of its norm, under every policy of what is computed again; compute
 * bf16 gives it within the spread of its rounding. Rows are packed documents, fed one row a call or all in one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/ids.h"
#include "llama/llama_train.h"

#define FOLDER CRIA_SOURCE_DIR "/tests/golden/gradients/"
#define F32_TOLERANCE 1e-4 /* of the norm of a tensor's gradient */
#define BF16_TOLERANCE 0.06
#define LOSS_TOLERANCE 2e-5
#define MAX_TOKENS 1024
#define MAX_VOCAB 64
#define MAX_ROWS 8

struct fixture {
    struct arch_config config;
    llama_layout *layout;         /* owned, as the following */
    float *w, *expected, *losses; /* weights, gradients, losses of all tokens */
    struct ids ids, targets, rows, documents;
    struct llama_piece pieces[MAX_ROWS * 4];
    struct llama_data_row data[MAX_ROWS];
    int most_tokens, n_tokens;
};

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s: %s", cria_status_name(status), err->text);
}

static cria_status read_value(json_reader *r, struct json_text key, struct fixture *f, struct cria_error *err) {
    if (json_text_is(key, "ids")) return ids_read(r, 0, MAX_VOCAB, MAX_TOKENS, &f->ids, err);
    if (json_text_is(key, "targets")) return ids_read(r, -1, MAX_VOCAB, MAX_TOKENS, &f->targets, err);
    if (json_text_is(key, "rows")) return ids_read(r, 1, MAX_TOKENS, MAX_ROWS, &f->rows, err);
    if (json_text_is(key, "documents")) return ids_read(r, 1, MAX_TOKENS, MAX_ROWS * 4, &f->documents, err);
    return json_fail(r, err, "an unknown key");
}

static cria_status read_rows(const char *path, struct fixture *f, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *text = NULL;
    size_t n = 0;
    json_reader r = {0};
    TRY(file_read(path, 1 << 20, &text, &n, err));
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        struct json_text key;
        bool more = false;
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_value(&r, key, f, err));
    }
    TRY(json_end(&r, err));
out:
    json_reader_deinit(&r);
    alloc_free(text);
    return status;
}

/* Data rows over the lists of the file. */
static void lay_rows(struct fixture *f) {
    int token = 0, document = 0;
    for (int i = 0; i < f->rows.n; i++) {
        struct llama_data_row *row = &f->data[i];
        *row = (struct llama_data_row){.ids = f->ids.at + token,
                                       .targets = f->targets.at + token,
                                       .n_tokens = f->rows.at[i],
                                       .pieces = f->pieces + document};
        for (int at = 0; at < row->n_tokens; at += f->documents.at[document++], row->n_pieces++)
            f->pieces[document] = (struct llama_piece){at, f->documents.at[document]};
        token += row->n_tokens;
        if (row->n_tokens > f->most_tokens) f->most_tokens = row->n_tokens;
    }
    f->n_tokens = token;
    assert_int_equal(token, f->ids.n);
    assert_int_equal(token, f->targets.n);
    assert_int_equal(document, f->documents.n);
}

static float *read_weights(const struct fixture *f, const char *path) {
    struct cria_error err = {0};
    model_files *files = NULL;
    float *w = alloc_zeroed((size_t)llama_layout_floats(f->layout), sizeof *w);
    assert_non_null(w);
    must(model_files_open(&files, path, NULL, &err), &err);
    must(llama_weights_read(f->layout, files, w, &err), &err);
    model_files_close(&files);
    return w;
}

static void fixture_open(struct fixture *f, const char *name) {
    struct cria_error err = {0};
    char path[512], *losses = NULL;
    size_t n = 0;
    model_files *files = NULL;
    *f = (struct fixture){0};
    snprintf(path, sizeof path, FOLDER "%s/rows.json", name);
    must(read_rows(path, f, &err), &err);
    lay_rows(f);
    snprintf(path, sizeof path, FOLDER "%s/losses.f32", name);
    must(file_read(path, 1 << 20, &losses, &n, &err), &err);
    assert_int_equal(n, (size_t)f->n_tokens * sizeof(float));
    f->losses = (float *)(void *)losses;
    snprintf(path, sizeof path, FOLDER "%s", name);
    must(model_files_open(&files, path, NULL, &err), &err);
    f->config = *model_files_config(files);
    model_files_close(&files);
    must(llama_layout_create(&f->layout, &f->config, &err), &err);
    f->w = read_weights(f, path);
    snprintf(path, sizeof path, FOLDER "%s/expected", name);
    f->expected = read_weights(f, path);
}

static void fixture_close(struct fixture *f) {
    llama_layout_destroy(&f->layout);
    alloc_free(f->w);
    alloc_free(f->expected);
    alloc_free(f->losses);
    ids_free(&f->ids);
    ids_free(&f->targets);
    ids_free(&f->rows);
    ids_free(&f->documents);
}

/* The worst tensor's |got - expected| / |expected|, and its name. */
static double worst_tensor(const struct fixture *f, const float *got, char name[ARCH_NAME_BYTES]) {
    double worst = -1;
    for (int i = 0; i < llama_layout_count(f->layout); i++) {
        const struct llama_tensor *t = llama_layout_at(f->layout, i);
        double difference = 0, norm = 0;
        for (int64_t j = t->offset; j < t->offset + t->n; j++) {
            const double off = (double)got[j] - (double)f->expected[j];
            difference += off * off;
            norm += (double)f->expected[j] * (double)f->expected[j];
        }
        const double relative = sqrt(difference / norm);
        if (relative <= worst) continue;
        worst = relative;
        arch_weight_name(ARCH_NAMING_HF, t->weight, t->layer, name);
        if (!(relative < 1e9)) return relative; /* a NaN */
    }
    return worst;
}

struct way {
    enum llama_compute compute;
    enum llama_recompute recompute;
    bool at_once; /* all rows in one call, else one row a call */
};

static void check(const struct fixture *f, device *dev, const struct way *way) {
    struct cria_error err = {0};
    llama_trainer *t = NULL;
    char name[ARCH_NAME_BYTES] = "";
    float losses[MAX_TOKENS];
    const struct llama_trainer_options options = {.compute = way->compute,
                                                  .max_row_tokens = f->most_tokens,
                                                  .max_rows = way->at_once ? f->rows.n : 1,
                                                  .max_pieces = f->documents.n,
                                                  .n_leaves = 1,
                                                  .recompute = way->recompute};
    const bool is_f32 = way->compute == LLAMA_COMPUTE_F32;
    must(llama_trainer_create(&t, &f->config, f->layout, f->w, dev, &options, &err), &err);
    int token = 0;
    for (int i = 0; i < f->rows.n; i += options.max_rows) {
        must(llama_trainer_rows(t, f->data + i, options.max_rows, losses + token, &err), &err);
        token += f->rows.at[i];
    }
    const double worst = worst_tensor(f, llama_trainer_finish(t), name);
    print_message("  %s: %s is %.1e of its norm off\n", is_f32 ? "f32" : "bf16", name, worst);
    for (int i = 0; is_f32 && i < f->n_tokens; i++)
        if (!(fabsf(losses[i] - f->losses[i]) <= (float)LOSS_TOLERANCE * (1 + f->losses[i])))
            fail_msg("loss of token %d is %.9g, expected %.9g", i, (double)losses[i], (double)f->losses[i]);
    if (!(worst <= (is_f32 ? F32_TOLERANCE : BF16_TOLERANCE))) fail_msg("%s: %.3e off", name, worst);
    llama_trainer_destroy(&t);
}

/* Catches a wrong derivative anywhere in the model: a product the wrong way round, a forgotten residual, heads of a
 * group that are not added, attention or positions across documents, a rotation turned the wrong way, a tied head's
 * gradient lost, padding that counts, rows computed again from the wrong place. */
static void test_gradients(void **state) {
    static const struct way ways[] = {{LLAMA_COMPUTE_F32, LLAMA_RECOMPUTE_NONE, true},
                                      {LLAMA_COMPUTE_F32, LLAMA_RECOMPUTE_FFN, false},
                                      {LLAMA_COMPUTE_F32, LLAMA_RECOMPUTE_ALL, true},
                                      {LLAMA_COMPUTE_BF16, LLAMA_RECOMPUTE_NONE, true}};
    struct cria_error err = {0};
    struct fixture f;
    device *dev = NULL;
    fixture_open(&f, *state);
    must(device_create_cpu(&dev, &(struct device_options){.n_threads = 2}, &err), &err);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) check(&f, dev, &ways[i]);
    device_destroy(&dev);
    fixture_close(&f);
}

#define MODELS(X)              \
    X("mha")                   \
    X("gqa2-tied-odd")         \
    X("mqa8-llama3")           \
    X("gqa2-wide-linear-tied") \
    X("gqa2-long")             \
    X("two-shards")

int main(void) {
#define MODEL_TEST(name) {name, test_gradients, NULL, NULL, (void *)name},
    const struct CMUnitTest tests[] = {MODELS(MODEL_TEST)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
