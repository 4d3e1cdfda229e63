/* tokenizer_parallel_test.c: a long text on several threads gives the ids that one thread gives.
 *
 * The vocabularies are learned here, one for each splitter; the texts are random and full of what meets at the places
 * where a text may be cut. The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "text/tokenizer_parallel.h"
#include "text/trainer.h"

#define SEED 41
#define TEXT_BYTES ((size_t)5 * TOKENIZER_PARALLEL_BYTES)

static uint64_t draws;

static uint32_t below(uint32_t n) { return (uint32_t)(random_u64(SEED, RANDOM_TEST, draws++) % n); }

/* Random parts; few spaces between letters where `rare`, so that a cut has to be looked for. */
static void append_text(struct buffer *b, size_t n, bool rare) {
    static const char *const parts[] = {"a",    "be",   "'s",      "'r",       "E",        "the",      "\n",
                                        "\n\n", "\r\n", "  ",      "\t",       "1",        "2345",     "!",
                                        "...",  "/",    "'",       "_",        "\xC3\xA9", "\xC2\xA0", "\xE4\xBD\xA0",
                                        "\xFF", "\xC3", "<|end|>", "\xCC\x81", "-"};
    while (b->n_bytes < n) {
        buffer_append_text(b, parts[below(sizeof parts / sizeof parts[0])]);
        if (below(rare ? 20000 : 2) == 0) buffer_append_char(b, ' ');
    }
}

static tokenizer *learn(enum trainer_splitter splitter, const struct buffer *text) {
    static const char *const special[] = {"<|begin|>", "<|end|>"};
    const struct trainer_options o = {
        .splitter = splitter, .vocabulary = 1000, .special = special, .n_special = 2, .bos = special[0], .threads = 1};
    struct cria_error err = {0};
    struct buffer json = buffer_make((size_t)1 << 24);
    trainer *learner = NULL;
    tokenizer *t = NULL;
    assert_int_equal(trainer_create(&learner, &o, &err), CRIA_OK);
    assert_int_equal(trainer_add(learner, text->data, text->n_bytes, &err), CRIA_OK);
    assert_int_equal(trainer_learn(learner, &err), CRIA_OK);
    assert_int_equal(trainer_write_json(learner, &json, &err), CRIA_OK);
    assert_int_equal(tokenizer_from_json(&t, json.data, json.n_bytes, &err), CRIA_OK);
    trainer_destroy(&learner);
    buffer_free(&json);
    return t;
}

/* One text with the caller's thread alone and with others: the same ids behind what the list held. */
static void compare(const tokenizer *t, const struct buffer *text, struct tokenizer_options options, int n_parts) {
    struct token_list alone = {0}, together = {0};
    struct cria_error err = {0};
    size_t dropped[2] = {9, 9};
    assert_int_equal(token_list_add(&together, 7, &err), CRIA_OK);
    options.threads = 0;
    assert_int_equal(tokenizer_encode(t, text->data, text->n_bytes, &options, &alone, &dropped[0], &err), CRIA_OK);
    options.threads = n_parts;
    assert_int_equal(tokenizer_encode(t, text->data, text->n_bytes, &options, &together, &dropped[1], &err), CRIA_OK);
    assert_int_equal(together.n, alone.n + 1);
    assert_int_equal(together.ids[0], 7);
    assert_memory_equal(together.ids + 1, alone.ids, alone.n * sizeof *alone.ids);
    assert_int_equal(dropped[0], dropped[1]);
    token_list_free(&alone);
    token_list_free(&together);
}

/* Catches a cut inside a piece, or one that changes the pieces beside it; ids out of order; bos in the middle. */
static void test_parts_give_the_same_ids(void **state) {
    (void)state;
    print_message("seed %d\n", SEED);
    for (int splitter = 0; splitter < TRAINER_SPLITTER_COUNT; splitter++) {
        for (int rare = 0; rare < 2; rare++) {
            struct buffer text = buffer_make((size_t)1 << 24);
            append_text(&text, TEXT_BYTES, rare);
            tokenizer *t = learn((enum trainer_splitter)splitter, &text);
            for (int threads = 2; threads <= 5; threads++) {
                const struct tokenizer_options options = {.with_bos = threads % 2, .threads = threads};
                assert_int_equal(tokenizer_parallel_parts(t, text.n_bytes, &options), threads);
                compare(t, &text, options, threads);
            }
            tokenizer_destroy(&t);
            buffer_free(&text);
        }
    }
}

/* Catches a place to cut that is none: many short texts in many parts. */
static void test_every_place_to_cut(void **state) {
    (void)state;
    for (int splitter = 0; splitter < TRAINER_SPLITTER_COUNT; splitter++) {
        struct buffer text = buffer_make(1 << 20);
        append_text(&text, 20000, false);
        tokenizer *t = learn((enum trainer_splitter)splitter, &text);
        for (int round = 0; round < 400; round++) {
            const struct tokenizer_options options = {.threads = 9};
            struct token_list alone = {0}, together = {0};
            struct cria_error err = {0};
            buffer_cut(&text, 0);
            append_text(&text, 100 + below(100), false);
            const char *bytes = text.data;
            const size_t n = text.n_bytes;
            assert_int_equal(tokenizer_encode(t, bytes, n, NULL, &alone, NULL, &err), CRIA_OK);
            assert_int_equal(tokenizer_parallel_encode(t, bytes, n, &options, 9, &together, NULL, &err), CRIA_OK);
            assert_int_equal(together.n, alone.n);
            assert_memory_equal(together.ids, alone.ids, alone.n * sizeof *alone.ids);
            token_list_free(&alone);
            token_list_free(&together);
        }
        tokenizer_destroy(&t);
        buffer_free(&text);
    }
}

/* Catches texts that must not be cut and are: special tokens that may stand anywhere, and no place to cut. */
static void test_what_is_not_cut(void **state) {
    (void)state;
    struct buffer text = buffer_make((size_t)1 << 24);
    append_text(&text, TEXT_BYTES, false);
    tokenizer *t = learn(TRAINER_LLAMA3, &text);
    uint8_t *trusted = alloc_array(text.n_bytes, 1);
    assert_non_null(trusted);
    memset(trusted, 1, text.n_bytes);
    const struct tokenizer_options rows[] = {
        {.special = true, .threads = 4}, {.trusted = trusted, .threads = 4}, {.threads = 1}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tokenizer_parallel_parts(t, text.n_bytes, &rows[i]), 1);
        compare(t, &text, rows[i], rows[i].threads);
    }
    alloc_free(trusted);
    buffer_cut(&text, 0);
    while (text.n_bytes < TEXT_BYTES) buffer_append_text(&text, "one,");
    compare(t, &text, (struct tokenizer_options){0}, 5);
    tokenizer_destroy(&t);
    buffer_free(&text);
}

/* Catches a leak, or a list that keeps half of the ids, where memory ends on any thread. */
static void test_lack_of_memory(void **state) {
    (void)state;
    const struct tokenizer_options options = {.threads = 3};
    struct buffer text = buffer_make((size_t)1 << 24);
    struct cria_error err = {0};
    append_text(&text, TEXT_BYTES, false);
    tokenizer *t = learn(TRAINER_LLAMA3, &text);
    for (uint64_t i = 1;; i++) {
        struct token_list list = {0};
        (void)alloc_fail_at(i);
        cria_status status = tokenizer_encode(t, text.data, text.n_bytes, &options, &list, NULL, &err);
        const uint64_t n_made = alloc_fail_at(0);
        if (status != CRIA_OK) {
            assert_int_equal(status, CRIA_NOMEM);
            assert_int_equal(list.n, 0);
        }
        token_list_free(&list);
        if (n_made < i) break;
    }
    tokenizer_destroy(&t);
    buffer_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_give_the_same_ids),
        cmocka_unit_test(test_every_place_to_cut),
        cmocka_unit_test(test_what_is_not_cut),
        cmocka_unit_test(test_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
