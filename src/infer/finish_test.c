/* finish_test.c: the search for stop strings against a search of the whole text. */
#include "infer/finish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define SEED 77u

/* Where the first complete stop string ends and how long it is, by looking at each end in turn; 0: none. */
static size_t plain_search(const char *const *strings, int n, const char *text, size_t n_text, size_t *ret_end) {
    for (size_t end = 1; end <= n_text; end++) {
        size_t found = 0;
        for (int i = 0; i < n; i++) {
            const size_t length = strlen(strings[i]);
            if (length <= end && length > found && memcmp(text + end - length, strings[i], length) == 0) found = length;
        }
        if (found) {
            *ret_end = end;
            return found;
        }
    }
    return 0;
}

/* The longest end of the text that is a proper beginning of a stop string. */
static size_t plain_held(const char *const *strings, int n, const char *text, size_t n_text) {
    for (size_t held = n_text; held > 0; held--)
        for (int i = 0; i < n; i++)
            if (held < strlen(strings[i]) && memcmp(text + n_text - held, strings[i], held) == 0) return held;
    return 0;
}

/* Catches a match that is missed after a false start, text held for nothing, and text shown that a stop string then
 * takes. */
static void pieces_give_what_the_whole_text_gives(void **state) {
    (void)state;
    uint64_t draws = 0;
    for (int round = 0; round < 20000; round++) {
        char text[41], words[3][8];
        const char *strings[3] = {words[0], words[1], words[2]};
        const int n_strings = (int)(random_u64(SEED, RANDOM_TEST, draws++) % 3) + 1;
        for (int i = 0; i < n_strings; i++) {
            const size_t n = random_u64(SEED, RANDOM_TEST, draws++) % 6 + 1;
            for (size_t k = 0; k < n; k++) words[i][k] = (char)('a' + random_u64(SEED, RANDOM_TEST, draws++) % 2);
            words[i][n] = '\0';
        }
        for (int k = 0; k < 40; k++) text[k] = (char)('a' + random_u64(SEED, RANDOM_TEST, draws++) % 100 / 48);
        text[40] = '\0';
        struct finish_search f;
        assert_int_equal(finish_search_init(&f, strings, n_strings, NULL), CRIA_OK);
        size_t wanted_end = 0, at = 0, found = 0, end = 0;
        const size_t wanted = plain_search(strings, n_strings, text, 40, &wanted_end);
        while (at < 40 && !found) {
            size_t n = random_u64(SEED, RANDOM_TEST, draws++) % 4 + 1;
            if (n > 40 - at) n = 40 - at;
            found = finish_search_add(&f, text + at, n, &end);
            if (found) end += at;
            at += n;
            if (!found) assert_int_equal(finish_search_held(&f), plain_held(strings, n_strings, text, at));
        }
        if (found != wanted || end != wanted_end)
            fail_msg("round %d (seed %u): \"%s\" found %zu at %zu, expected %zu at %zu", round, SEED, text, found, end,
                     wanted, wanted_end);
        finish_search_deinit(&f);
    }
}

static void bad_stop_strings_are_refused(void **state) {
    (void)state;
    static char long_text[ENGINE_MAX_STOP_BYTES + 2];
    const char *strings[1] = {long_text};
    struct finish_search f;
    struct cria_error err;
    assert_int_equal(finish_search_init(&f, strings, 1, &err), CRIA_RANGE); /* empty */
    memset(long_text, 'x', ENGINE_MAX_STOP_BYTES);
    assert_int_equal(finish_search_init(&f, strings, 1, &err), CRIA_OK);
    finish_search_deinit(&f);
    long_text[ENGINE_MAX_STOP_BYTES] = 'x';
    assert_int_equal(finish_search_init(&f, strings, 1, &err), CRIA_RANGE);
    strings[0] = "\xc3";
    assert_int_equal(finish_search_init(&f, strings, 1, &err), CRIA_RANGE);
    assert_int_equal(finish_search_init(&f, strings, ENGINE_MAX_STOP_STRINGS + 1, &err), CRIA_RANGE);
}

/* Catches a reason without a name. */
static void reasons_have_names(void **state) {
    (void)state;
    assert_string_equal(finish_reason_name(FINISH_STOP), "stop");
    assert_string_equal(finish_reason_name(FINISH_LENGTH), "length");
    assert_string_equal(finish_reason_name(FINISH_CONTEXT), "context");
    assert_string_equal(finish_reason_name(FINISH_CANCELLED), "cancelled");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_give_what_the_whole_text_gives),
        cmocka_unit_test(bad_stop_strings_are_refused),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
