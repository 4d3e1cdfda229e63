/* near_test.c: runs of words and the signatures made of them. */
#include "data/near.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "data/gram.h"

/* Catches: a hash that sees case, space or punctuation, that depends on what stood before, or that ignores order. */
static void grams_see_words_alone(void **state) {
    (void)state;
    static const char a[] = "One two, three FOUR\n\nfive", b[] = "zero!  one TWO three four (five) six";
    struct gram_walk wa = gram_walk_make(a, sizeof a - 1, 5), wb = gram_walk_make(b, sizeof b - 1, 5);
    struct gram ga, gb;
    assert_true(gram_next(&wa, &ga));
    assert_true(ga.begin == 0 && ga.end == sizeof a - 1);
    assert_false(gram_next(&wa, &gb));
    assert_true(gram_next(&wb, &gb));
    assert_true(ga.hash != gb.hash);
    assert_true(gram_next(&wb, &gb));
    assert_true(ga.hash == gb.hash);
    assert_memory_equal(b + gb.begin, "one TWO three four (five", gb.end - gb.begin);
    assert_true(gram_next(&wb, &gb));
    assert_true(ga.hash != gb.hash);
    struct gram_walk wc = gram_walk_make("five four three two one", 23, 5);
    assert_true(gram_next(&wc, &gb));
    assert_true(ga.hash != gb.hash);
    uint64_t rest, again;
    struct gram_walk wd = gram_walk_make("two words", 9, 5), we = gram_walk_make("Two; words!", 11, 5);
    assert_false(gram_next(&wd, &gb) || gram_next(&we, &gb));
    assert_true(gram_rest(&wd, &rest) && gram_rest(&we, &again) && rest == again);
    struct gram_walk wf = gram_walk_make(" .,- ", 5, 5);
    assert_false(gram_next(&wf, &gb) || gram_rest(&wf, &rest));
}

/* n random words, the first `same` of them those of every other call with this seed. */
static size_t make_text(char *out, size_t room, int n, int same, uint64_t seed) {
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const uint64_t word = random_u64(i < same ? 1 : seed, RANDOM_TEST, (uint64_t)i);
        at += (size_t)snprintf(out + at, room - at, "w%llx ", (unsigned long long)(word & 0xffffff));
    }
    return at;
}

/* Catches: an estimate away from the true share of runs in common, for texts shorter and longer than a signature. */
static void similarity_is_estimated(void **state) {
    (void)state;
    static char a[100000], b[100000];
    static const int lengths[] = {30, 200, 5000};
    for (size_t l = 0; l < 3; l++)
        for (int percent = 0; percent <= 100; percent += 20) {
            double sum = 0;
            const int n = lengths[l], same = n * percent / 100, trials = 40;
            const double common = same > 4 ? same - 4 : 0, all = 2.0 * (n - 4) - common;
            for (int t = 0; t < trials; t++) {
                struct near_signature sa, sb;
                /* Other words in front of each pair: texts differ from trial to trial. */
                const size_t na = make_text(a, sizeof a, n, 0, (uint64_t)(100 + t));
                memcpy(b, a, na);
                char *cut = b;
                for (int w = 0; w < same; w++) cut = strchr(cut, ' ') + 1;
                const size_t nb =
                    (size_t)(cut - b) + make_text(cut, sizeof b - (size_t)(cut - b), n - same, 0, (uint64_t)(9000 + t));
                assert_true(near_sign(a, na, &sa) && near_sign(b, nb, &sb));
                sum += near_similarity(&sa, &sb);
            }
            assert_true(fabs(sum / trials - common / all) < 0.04);
        }
}

/* Catches: bands that do not meet where signatures are equal, or that meet where they are not. */
static void bands_meet(void **state) {
    (void)state;
    char text[4000];
    struct near_signature a, b;
    assert_true(near_sign(text, make_text(text, sizeof text, 100, 0, 5), &a));
    b = a;
    b.places[0]++;
    for (int i = 0; i < NEAR_BANDS; i++) assert_int_equal(near_band(&a, i) == near_band(&b, i), i > 0);
    assert_false(near_sign("...", 3, &a));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(grams_see_words_alone),
                                       cmocka_unit_test(similarity_is_estimated), cmocka_unit_test(bands_meet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
