/* train_progress_test.c: state.json gives back what was written, to the last bit.
 *
 * Catches a field that a resumed run would begin without, and a number that loses digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "train/train_progress.h"

static void test_round_trip(void **state) {
    (void)state;
    const struct train_progress p = {.step = 1234567,
                                     .n_updates = 1234560,
                                     .n_skipped = 7,
                                     .n_rewinds = 2,
                                     .n_tokens = INT64_C(15600000000000),
                                     .cursor = {.phase = 3, .number = UINT64_C(987654321987)},
                                     .mean = 2.1 / 3,
                                     .variance = 1e-17 / 3,
                                     .n_losses = 99,
                                     .seconds = 1e6 / 7,
                                     .joules = 1e9 / 11,
                                     .is_estimated = true};
    struct train_progress back;
    struct buffer text = buffer_make(1 << 16);
    memset(&back, 0, sizeof back);
    assert_int_equal(train_progress_write(&text, &p, NULL), CRIA_OK);
    assert_int_equal(train_progress_read(&back, text.data, text.n_bytes, NULL), CRIA_OK);
    assert_int_equal(back.step, p.step);
    assert_int_equal(back.n_updates, p.n_updates);
    assert_int_equal(back.n_skipped, p.n_skipped);
    assert_int_equal(back.n_rewinds, p.n_rewinds);
    assert_int_equal(back.n_tokens, p.n_tokens);
    assert_int_equal(back.cursor.phase, p.cursor.phase);
    assert_int_equal(back.cursor.number, p.cursor.number);
    assert_memory_equal(&back.mean, &p.mean, sizeof p.mean);
    assert_memory_equal(&back.variance, &p.variance, sizeof p.variance);
    assert_int_equal(back.n_losses, p.n_losses);
    assert_memory_equal(&back.seconds, &p.seconds, sizeof p.seconds);
    assert_memory_equal(&back.joules, &p.joules, sizeof p.joules);
    assert_true(back.is_estimated);
    buffer_free(&text);
}

static void test_broken(void **state) {
    (void)state;
    static const char *const texts[] = {"", "{", "{\"step\":-1}", "{\"step\":1.5}", "{\"phase\":1000}", "[]", "{}x"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct train_progress p = {.step = 5};
        assert_int_not_equal(train_progress_read(&p, texts[i], strlen(texts[i]), NULL), CRIA_OK);
        assert_int_equal(p.step, 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
