/* api_test.c: libcria from outside: its calls over a tiny model, the caller's floating point state, and the example. */
#include <cria/cria.h>

#include <fcntl.h>
#include <immintrin.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/tiny.h"

extern char **environ;

struct fixture {
    char *folder, *path; /* owned */
    cria_model *model;
};

static const struct tiny_model tiny = {
    .d_model = 64,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_size = 16,
    .d_ff = 96,
    .n_vocab = 260,
    .n_context = 256,
    .dtype = DTYPE_BF16,
    .seed = 9,
    .has_tokenizer = true,
};

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s", err->text);
}

static int set_up(void **state) {
    static struct fixture f;
    struct cria_error err;
    f.folder = tiny_folder();
    f.path = f.folder ? file_join(f.folder, "model") : NULL;
    if (!f.path) return -1;
    must(tiny_write_directory(&tiny, f.path, &err), &err);
    must(cria_model_open(&f.model, f.path, NULL, &err), &err);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    cria_model_close(&f->model);
    cria_model_close(&f->model); /* takes NULL */
    tiny_remove(f->folder);
    alloc_free(f->path);
    alloc_free(f->folder);
    return 0;
}

struct stream {
    char text[1024];
    size_t n;
    unsigned state; /* of floating point, as the callback saw it */
    int n_wanted;
};

static int collect(void *arg, const char *text, size_t n_bytes) {
    struct stream *s = arg;
    memcpy(s->text + s->n, text, n_bytes);
    s->n += n_bytes;
    s->text[s->n] = '\0';
    s->state = _mm_getcsr();
    return s->n_wanted && --s->n_wanted == 0;
}

static cria_answer *generate(const struct fixture *f, struct stream *s, int64_t max_tokens) {
    struct cria_generate_options options = cria_generate_defaults();
    struct cria_error err;
    cria_answer *answer = NULL;
    options.max_tokens = max_tokens;
    options.temperature = 1;
    options.seed = 3;
    options.on_text = collect;
    options.arg = s;
    must(cria_generate(f->model, "A small model", &options, &answer, &err), &err);
    return answer;
}

/* Catches: streamed text that is not the answer's, ids and text that give other bits, a finish that is wrong. */
static void generates_and_streams(void **state) {
    const struct fixture *f = *state;
    struct stream s = {.n = 0};
    struct cria_error err;
    cria_answer *answer = generate(f, &s, 30), *again = NULL;
    size_t n_bytes, n_tokens, n_logprobs;
    assert_string_equal(cria_answer_text(answer, &n_bytes), s.text);
    assert_int_equal(n_bytes, s.n);
    cria_answer_tokens(answer, &n_tokens);
    cria_answer_logprobs(answer, &n_logprobs);
    assert_int_equal(n_tokens, n_logprobs);
    assert_int_equal(cria_answer_prompt_tokens(answer), 1 + 13); /* bos */
    assert_true(n_tokens == 30 ? strcmp(cria_answer_finish(answer), "length") == 0 : n_tokens < 30);
    int32_t *ids;
    size_t n_ids;
    must(cria_tokenize(cria_model_tokenizer(f->model), "A small model", 13, CRIA_WITH_BOS, &ids, &n_ids, &err), &err);
    struct cria_generate_options options = cria_generate_defaults();
    options.max_tokens = 30;
    options.temperature = 1;
    options.seed = 3;
    must(cria_generate_tokens(f->model, ids, n_ids, &options, &again, &err), &err);
    assert_string_equal(cria_answer_digest(answer), cria_answer_digest(again));
    assert_string_equal(cria_answer_text(answer, NULL), cria_answer_text(again, NULL));
    cria_free(ids);
    cria_answer_destroy(&answer);
    cria_answer_destroy(&again);
}

static void a_receiver_can_stop(void **state) {
    const struct fixture *f = *state;
    struct stream s = {.n_wanted = 2};
    cria_answer *answer = generate(f, &s, 100);
    assert_string_equal(cria_answer_finish(answer), "cancelled");
    cria_answer_destroy(&answer);
}

/* Catches: a chat that does not end at the model's end token or leaks it, a dialogue that is not checked. */
static void chats(void **state) {
    const struct fixture *f = *state;
    struct cria_generate_options options = cria_generate_defaults();
    struct cria_error err;
    cria_answer *answer = NULL;
    options.max_tokens = 5;
    must(cria_chat(f->model, "[{\"role\": \"user\", \"content\": \"hi <|end_of_text|>\"}]", &options, &answer, &err),
         &err);
    /* bos, "user: hi ", the spelling of a special token as plain bytes, the template's own end of the message */
    assert_int_equal(cria_answer_prompt_tokens(answer), 1 + 9 + 15 + 1);
    cria_answer_destroy(&answer);
    assert_true(cria_chat(f->model, "[{\"role\"", &options, &answer, &err) != CRIA_OK);
    assert_null(answer);
}

static void scores(void **state) {
    const struct fixture *f = *state;
    const int32_t ids[] = {TINY_BOS, 70, 71, 72};
    struct cria_error err;
    cria_answer *answer = NULL;
    must(cria_score(f->model, ids, 4, &answer, &err), &err);
    size_t n;
    const float *logprobs = cria_answer_logprobs(answer, &n);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) assert_true(logprobs[i] < 0);
    cria_answer_destroy(&answer);
}

static void text_and_ids_round_trip(void **state) {
    const struct fixture *f = *state;
    const char text[] = "na\xc3\xafve \xf0\x9f\xa6\x99\n\xff";
    struct cria_error err;
    int32_t *ids;
    char *back;
    size_t n_ids, n_back;
    const cria_tokenizer *t = cria_model_tokenizer(f->model);
    must(cria_tokenize(t, text, sizeof text - 1, CRIA_WITH_BOS, &ids, &n_ids, &err), &err);
    assert_int_equal(ids[0], TINY_BOS);
    must(cria_detokenize(t, ids, n_ids, 0, &back, &n_back, &err), &err);
    assert_int_equal(n_back, sizeof text - 1);
    assert_memory_equal(back, text, n_back);
    cria_free(ids);
    cria_free(back);
    must(cria_tokenize(t, "", 0, 0, &ids, &n_ids, &err), &err);
    assert_int_equal(n_ids, 0);
    cria_free(ids);
    assert_int_equal(cria_tokenize(t, "", 0, 64, &ids, &n_ids, &err), CRIA_UNSUPPORTED);
}

/* Catches: results that depend on the caller's rounding or flushing, and calls that leave their own state behind. */
static void the_callers_float_state_is_kept_and_does_not_matter(void **state) {
    const struct fixture *f = *state;
    struct stream s = {.n = 0};
    cria_answer *plain = generate(f, &s, 20), *odd = NULL;
    const unsigned before = _mm_getcsr(), strange = 0x1f80u | 0x4000u; /* rounds upwards, keeps subnormals */
    _mm_setcsr(strange);
    s = (struct stream){.n = 0};
    odd = generate(f, &s, 20);
    const unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    assert_int_equal(after & ~0x3fu, strange);
    assert_int_equal(s.state & ~0x3fu, strange);
    assert_string_equal(cria_answer_digest(plain), cria_answer_digest(odd));
    cria_answer_destroy(&plain);
    cria_answer_destroy(&odd);
}

/* Catches: options of an older or newer caller that are misread. */
static void options_of_other_versions(void **state) {
    const struct fixture *f = *state;
    struct cria_error err;
    cria_answer *answer = NULL;
    struct {
        struct cria_generate_options known;
        int64_t newer;
    } options = {cria_generate_defaults(), 0};
    const int32_t id = 65;
    options.known.max_tokens = 2;
    options.known.size = sizeof options;
    must(cria_generate_tokens(f->model, &id, 1, &options.known, &answer, &err), &err);
    cria_answer_destroy(&answer);
    options.newer = 1;
    assert_int_equal(cria_generate_tokens(f->model, &id, 1, &options.known, &answer, &err), CRIA_UNSUPPORTED);
    /* A caller that knows max_tokens and nothing behind it. */
    options.known.size = offsetof(struct cria_generate_options, temperature);
    options.known.top_p = -5;
    must(cria_generate_tokens(f->model, &id, 1, &options.known, &answer, &err), &err);
    cria_answer_destroy(&answer);
    options.known.size = 0;
    assert_int_equal(cria_generate_tokens(f->model, &id, 1, &options.known, &answer, &err), CRIA_USAGE);
}

static void errors_explain_themselves(void **state) {
    const struct fixture *f = *state;
    struct cria_error err;
    cria_model *none = NULL;
    assert_true(cria_model_open(&none, "/nowhere/at/all", NULL, &err) != CRIA_OK);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    struct cria_model_options options = cria_model_defaults();
    options.cpu = "z80";
    assert_int_equal(cria_model_open(&none, f->path, &options, &err), CRIA_USAGE);
    assert_non_null(strstr(err.text, "z80"));
    assert_null(none);
    cria_answer *answer = NULL;
    int32_t ids[300] = {0};
    assert_int_equal(cria_score(f->model, ids, 300, &answer, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "300"));
    assert_non_null(strstr(err.text, "256"));
    assert_int_equal(cria_model_context(f->model), 256);
    assert_int_equal(cria_model_vocabulary(f->model), 260);
    assert_int_equal(cria_arithmetic(), 1);
    assert_non_null(strchr(cria_version(), '.'));
}

/* Runs the example, which the build put beside this test; returns its exit status. */
static int run_example(const struct fixture *f, const char *out_path) {
    char program[4096];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 32);
    assert_true(n > 0);
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    assert_non_null(slash);
    snprintf(slash + 1, 31, "example_generate");
    char prompt[] = "Once upon", count[] = "12";
    char *const argv[] = {program, f->path, prompt, count, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child;
    const int failed = posix_spawn(&child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(failed, 0);
    int exit_status = -1;
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    return WIFEXITED(exit_status) ? WEXITSTATUS(exit_status) : -1;
}

/* Catches: an archive that lacks a symbol, a header that does not stand alone, an example that rots. */
static void the_example_runs(void **state) {
    const struct fixture *f = *state;
    char *out_path = file_join(f->folder, "out.txt"), *text = NULL;
    size_t n;
    struct cria_error err;
    assert_non_null(out_path);
    assert_int_equal(run_example(f, out_path), 0);
    must(file_read(out_path, 1 << 20, &text, &n, &err), &err);
    assert_non_null(strstr(text, "\n10 + "));
    assert_non_null(strstr(text, "digest "));
    alloc_free(text);
    alloc_free(out_path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generates_and_streams),
        cmocka_unit_test(a_receiver_can_stop),
        cmocka_unit_test(chats),
        cmocka_unit_test(scores),
        cmocka_unit_test(text_and_ids_round_trip),
        cmocka_unit_test(the_callers_float_state_is_kept_and_does_not_matter),
        cmocka_unit_test(options_of_other_versions),
        cmocka_unit_test(errors_explain_themselves),
        cmocka_unit_test(the_example_runs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
