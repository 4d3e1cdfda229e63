/* stop_text_test.c: stop strings over a model that says any bytes, with a real tokenizer.
 *
 * A tiny model of bytes at a high temperature gives broken and whole UTF-8. Its free answer is the truth: with a piece
 * of that text as stop string, the answer must be the same up to the first place where the piece stands, and end there.
 * Catches: a stop string that leaks or is overlooked where it begins or ends inside a token or beside a malformed byte,
 * other text that is lost, an event that is not UTF-8, tokens that change because somebody looks for a stop string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/random.h"
#include "base/utf8.h"
#include "infer/infer.h"
#include "kit/tiny.h"

#define SEED 31u
#define N_ANSWERS 40
#define N_TOKENS 60

static const struct tiny_model tiny = {
    .d_model = 32,
    .n_layers = 1,
    .n_heads = 2,
    .n_kv_heads = 1,
    .head_size = 16,
    .d_ff = 32,
    .n_vocab = 264, /* some ids beyond the tokenizer's */
    .n_context = 128,
    .dtype = DTYPE_BF16,
    .seed = 6,
    .has_tokenizer = true,
};

struct fixture {
    char *folder; /* owned, as all of it */
    device *dev;
    tokenizer *tok;
    llama_model *model;
    engine *eng;
};

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s", err->text);
}

static int set_up(void **state) {
    static struct fixture f;
    struct cria_error err;
    model_files *files = NULL;
    f.folder = tiny_folder();
    if (!f.folder) return -1;
    must(tiny_write_directory(&tiny, f.folder, &err), &err);
    must(device_create_cpu(&f.dev, &(struct device_options){.n_threads = 1}, &err), &err);
    must(model_files_open(&files, f.folder, &(struct model_open_options){.check_tensors = false}, &err), &err);
    must(model_files_tokenizer(files, &f.tok, &err), &err);
    must(llama_model_load(&f.model, files, f.dev, &(struct llama_model_options){LLAMA_COMPUTE_BF16}, &err), &err);
    must(engine_create(&f.eng, f.model, &(struct engine_options){.max_batch = 1}, &err), &err);
    model_files_close(&files);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    engine_destroy(&f->eng);
    llama_model_destroy(&f->model);
    tokenizer_destroy(&f->tok);
    device_destroy(&f->dev);
    tiny_remove(f->folder);
    alloc_free(f->folder);
    return 0;
}

static int collect(void *arg, const struct engine_event *event) {
    if (!utf8_is_valid(event->text, event->n_text)) fail_msg("an event's text is not UTF-8");
    buffer_append(arg, event->text, event->n_text);
    return 0;
}

static void answer(const struct fixture *f, int i, const char *stop, struct engine_result *ret,
                   struct buffer *streamed) {
    const int32_t prompt[2] = {TINY_BOS, i};
    struct engine_request request = {
        .prompt = prompt,
        .n_prompt = 2,
        .max_tokens = N_TOKENS,
        .sampling = sampling_greedy(),
        .stop_strings = &stop,
        .n_stop_strings = stop ? 1 : 0,
        .ignore_stop_ids = true,
        .tok = f->tok,
        .on_event = collect,
        .arg = streamed,
    };
    struct cria_error err;
    request.sampling.temperature = i % 2 ? 2 : 0.8f;
    request.sampling.seed = (uint64_t)i;
    must(engine_run(f->eng, &request, ret, &err), &err);
    assert_int_equal(streamed->n_bytes, ret->n_text);
    assert_memory_equal(buffer_text(streamed), ret->text, ret->n_text);
}

/* A piece of the text: 1 to 6 characters from a random place; false for one that holds a NUL. */
static bool choose_piece(const char *text, size_t n, uint64_t draw, char *out) {
    size_t at = random_u64(SEED, RANDOM_TEST, 2 * draw) % n, n_out = 0;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    const size_t n_characters = 1 + random_u64(SEED, RANDOM_TEST, 2 * draw + 1) % 6;
    for (size_t c = 0; c < n_characters && at < n; c++) {
        const size_t bytes = (size_t)utf8_sequence_bytes(text + at, n - at);
        memcpy(out + n_out, text + at, bytes);
        n_out += bytes;
        at += bytes;
    }
    out[n_out] = '\0';
    return strlen(out) == n_out;
}

static void check_stop(const struct fixture *f, int i, const struct engine_result *whole, const char *stop) {
    struct buffer streamed = buffer_make(1 << 16);
    struct engine_result got;
    answer(f, i, stop, &got, &streamed);
    const char *place = memmem(whole->text, whole->n_text, stop, strlen(stop));
    assert_non_null(place);
    const size_t n_wanted = (size_t)(place - whole->text);
    if (got.n_text != n_wanted || memcmp(got.text, whole->text, n_wanted) != 0 || got.finish != FINISH_STOP)
        fail_msg("answer %d (seed %u): %zu bytes, expected %zu; finish %s", i, SEED, got.n_text, n_wanted,
                 finish_reason_name(got.finish));
    assert_memory_equal(got.tokens, whole->tokens, (size_t)got.n_tokens * sizeof *got.tokens);
    engine_result_free(&got);
    buffer_free(&streamed);
}

static void answers_are_cut_at_the_first_stop_string(void **state) {
    const struct fixture *f = *state;
    int n_checked = 0, n_replaced = 0;
    for (int i = 0; i < N_ANSWERS; i++) {
        struct buffer streamed = buffer_make(1 << 16);
        struct engine_result whole;
        char stop[32];
        answer(f, i, NULL, &whole, &streamed);
        n_replaced += memmem(whole.text, whole.n_text, "\xef\xbf\xbd", 3) != NULL;
        for (int k = 0; k < 12; k++) {
            if (!choose_piece(whole.text, whole.n_text, (uint64_t)(i * 12 + k), stop)) continue;
            check_stop(f, i, &whole, stop);
            n_checked++;
        }
        engine_result_free(&whole);
        buffer_free(&streamed);
    }
    assert_true(n_checked > N_ANSWERS * 6);
    assert_true(n_replaced > N_ANSWERS / 4); /* else malformed bytes were not tried */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_cut_at_the_first_stop_string)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
