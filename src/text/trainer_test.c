/* trainer_test.c: learning a vocabulary, against a trainer that recounts everything at every step.
 *
 * tests/tokenizer/test_trainer.py holds the same code to the reference library on megabytes of text; here are the small
 * and the hard cases: runs, ties, pruning, threads, lack of memory. The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer.h"
#include "text/trainer_parts.h"

#define SEED 31

static uint64_t draws;

static uint32_t below(uint32_t n) { return (uint32_t)(random_u64(SEED, RANDOM_TEST, draws++) % n); }

static const char *const specials[] = {"<|begin|>", "<|end|>", "<|turn|>"};

static struct trainer_options options_of(int64_t vocabulary) {
    return (struct trainer_options){.vocabulary = vocabulary,
                                    .special = specials,
                                    .n_special = 3,
                                    .bos = specials[0],
                                    .eos = specials[1],
                                    .threads = 1};
}

/* --- the slow trainer --- */

enum { SLOW_WORDS = 4096, SLOW_LENGTH = 64, SLOW_TOKENS = 512 };

struct slow {
    uint16_t ids[SLOW_WORDS][SLOW_LENGTH];
    uint16_t n[SLOW_WORDS]; /* a word for each occurrence: nothing is counted by bytes */
    int n_words;
    int64_t counts[SLOW_TOKENS][SLOW_TOKENS];
    struct trainer_merge merges[SLOW_TOKENS];
    int n_merges;
};

static void slow_add(struct slow *s, split_fn *split, const char *item, size_t n) {
    uint16_t byte_ids[256];
    for (int i = 0; i < 256; i++) byte_ids[byte_alphabet_nth(i)] = (uint16_t)(3 + i);
    for (size_t at = 0, end; at < n; at = end) {
        end = split(item, n, at);
        assert_true(end - at <= SLOW_LENGTH && s->n_words < SLOW_WORDS);
        for (size_t i = at; i < end; i++) s->ids[s->n_words][i - at] = byte_ids[(uint8_t)item[i]];
        s->n[s->n_words++] = (uint16_t)(end - at);
    }
}

static void slow_merge(struct slow *s, struct trainer_merge pair, uint16_t id) {
    for (int w = 0; w < s->n_words; w++) {
        uint16_t *ids = s->ids[w], kept = 0;
        for (int i = 0; i < s->n[w]; i++) {
            bool is_pair = i + 1 < s->n[w] && ids[i] == pair.left && ids[i + 1] == pair.right;
            ids[kept++] = is_pair ? id : ids[i];
            i += is_pair;
        }
        s->n[w] = kept;
    }
}

static void slow_learn(struct slow *s, int vocabulary, int64_t min_count) {
    for (int n_tokens = 259; n_tokens < vocabulary; n_tokens++) {
        memset(s->counts, 0, sizeof s->counts);
        for (int w = 0; w < s->n_words; w++) {
            for (int i = 0; i + 1 < s->n[w]; i++) s->counts[s->ids[w][i]][s->ids[w][i + 1]]++;
        }
        struct trainer_merge best = {0, 0};
        for (uint32_t a = 0; a < SLOW_TOKENS; a++) {
            for (uint32_t b = 0; b < SLOW_TOKENS; b++) {
                if (s->counts[a][b] > s->counts[best.left][best.right]) best = (struct trainer_merge){a, b};
            }
        }
        if (s->counts[best.left][best.right] < min_count) break;
        s->merges[s->n_merges++] = best;
        slow_merge(s, best, (uint16_t)n_tokens);
    }
}

/* --- tests --- */

/* A text of few different letters, so that ties and runs abound. */
static size_t random_item(char *out, size_t max) {
    static const char letters[] = "aaabbc  1\n'.\xC3\xA9\xE4\xBD\xA0";
    size_t n = below((uint32_t)max);
    uint32_t kinds = 1 + below(sizeof letters - 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = letters[below(kinds)];
        if (i % 40 == 39) out[i] = '\n'; /* words stay short enough for the slow trainer */
    }
    return n;
}

/* Catches any other choice or order of merges: a wrong count beside a merge, in a run, at the ends of a word; ties
 * broken otherwise; a stale count; a word that crosses from one item to the next. */
static void test_merges_equal_those_of_recounting(void **state) {
    (void)state;
    print_message("seed %d\n", SEED);
    struct slow *slow = alloc_zeroed(1, sizeof *slow);
    char item[200];
    struct cria_error err = {0};
    for (int round = 0; round < 60; round++) {
        trainer *t = NULL;
        struct trainer_options o = options_of(259 + 1 + below(80));
        o.splitter = (enum trainer_splitter)(round % TRAINER_SPLITTER_COUNT);
        o.min_count = below(4);
        o.threads = 1 + round % 3;
        assert_int_equal(trainer_create(&t, &o, &err), CRIA_OK);
        memset(slow, 0, sizeof *slow);
        for (uint32_t i = 1 + below(20); i > 0; i--) {
            size_t n = random_item(item, sizeof item);
            slow_add(slow, trainer_splitters[o.splitter].function, item, n);
            assert_int_equal(trainer_add(t, item, n, &err), CRIA_OK);
        }
        if (slow->n_words) {
            slow_learn(slow, (int)o.vocabulary, o.min_count ? o.min_count : 1);
            assert_int_equal(trainer_learn(t, &err), CRIA_OK);
            assert_int_equal(t->vocabulary.n_merges, slow->n_merges);
            assert_memory_equal(t->vocabulary.merges, slow->merges, (size_t)slow->n_merges * sizeof slow->merges[0]);
            assert_int_equal(trainer_report(t).words, slow->n_words);
        }
        trainer_destroy(&t);
    }
    alloc_free(slow);
}

/* Adds `bytes` of made-up words, a line an item. */
static void add_words(trainer *t, size_t bytes, uint64_t seed) {
    struct cria_error err = {0};
    char line[256];
    for (size_t done = 0, k = 0; done < bytes;) {
        size_t n = 0;
        while (n < 200) {
            uint64_t r = random_u64(seed, RANDOM_TEST, k++);
            /* Squaring makes some words frequent and most rare. */
            uint64_t word = (r % 3000) * (r / 3000 % 3000) / 300;
            for (uint64_t left = word; left; left /= 26) line[n++] = (char)('a' + left % 26);
            n += (size_t)snprintf(line + n, sizeof line - n, "%s ", word % 7 == 0 ? "averyverylongending" : "");
        }
        line[n++] = '\n';
        assert_int_equal(trainer_add(t, line, n, &err), CRIA_OK);
        done += n;
    }
}

static void learn_words(struct trainer_options o, int threads, struct buffer *ret_json,
                        struct trainer_report *ret_report) {
    struct cria_error err = {0};
    trainer *t = NULL;
    o.threads = threads;
    assert_int_equal(trainer_create(&t, &o, &err), CRIA_OK);
    add_words(t, (size_t)5 << 20, SEED);
    assert_int_equal(trainer_learn(t, &err), CRIA_OK);
    *ret_json = buffer_make((size_t)1 << 24);
    assert_int_equal(trainer_write_json(t, ret_json, &err), CRIA_OK);
    *ret_report = trainer_report(t);
    trainer_destroy(&t);
}

/* Catches a result that depends on who counted which block: tables that are not all added up, a round that ends
 * elsewhere, pruning before all threads are done. */
static void test_threads_and_rounds_give_one_result(void **state) {
    (void)state;
    struct trainer_options o = options_of(700);
    struct buffer first, other;
    struct trainer_report first_report, report;
    for (int pruned = 0; pruned < 2; pruned++) {
        o.round_bytes = 1 << 21;
        o.max_words = pruned ? 3000 : 0;
        learn_words(o, 1, &first, &first_report);
        assert_int_equal(first_report.tokens, 700);
        assert_int_equal(first_report.forgotten_words > 0, pruned);
        if (pruned) assert_true(first_report.distinct_words <= 3000);
        for (int threads = 2; threads <= 5; threads += 3) {
            learn_words(o, threads, &other, &report);
            assert_string_equal(buffer_text(&first), buffer_text(&other));
            assert_memory_equal(&report, &first_report, sizeof report);
            buffer_free(&other);
        }
        buffer_free(&first);
    }
}

/* Catches rounds that lose or double words where nothing has to be forgotten. */
static void test_rounds_do_not_change_counts(void **state) {
    (void)state;
    struct trainer_options o = options_of(600);
    struct buffer whole, rounds;
    struct trainer_report a, b;
    learn_words(o, 2, &whole, &a);
    o.round_bytes = 1;
    learn_words(o, 2, &rounds, &b);
    assert_string_equal(buffer_text(&whole), buffer_text(&rounds));
    assert_memory_equal(&a, &b, sizeof a);
    buffer_free(&whole);
    buffer_free(&rounds);
}

/* Catches a table that confuses words: zero bytes, prefixes of each other, the edge between short and long ones. */
static void test_words_are_told_apart(void **state) {
    (void)state;
    struct trainer_words w = {0};
    struct cria_error err = {0};
    char text[64 + TRAINER_WORDS_PAD];
    for (int fill = 0; fill < 2; fill++) {
        memset(text, fill ? 'x' : 0, sizeof text);
        for (size_t n = 1; n <= 64; n++) {
            for (size_t k = 0; k < n; k++) {
                assert_int_equal(trainer_words_add(&w, text, n, n, &err), CRIA_OK);
            }
        }
    }
    assert_int_equal(w.n_words, 128);
    for (size_t i = 0; i < w.n_slots; i++) {
        char room[16];
        if (!w.slots[i].count) continue;
        struct text_span s = trainer_words_bytes(&w, &w.slots[i], room);
        assert_int_equal(w.slots[i].count, s.n * s.n);
        for (size_t k = 1; k < s.n; k++) assert_int_equal(s.bytes[k], s.bytes[0]);
    }
    trainer_words_deinit(&w);
}

/* Catches pruning that forgets a more frequent word before a rarer one, or only some of equal count. */
static void test_pruning_forgets_the_rarest(void **state) {
    (void)state;
    static const uint64_t factors[] = {1, 5000, 100000000};
    struct cria_error err = {0};
    char text[8 + TRAINER_WORDS_PAD] = {0};
    for (int f = 0; f < 3; f++) {
        struct trainer_words w = {0};
        struct trainer_pruned pruned = {0};
        uint64_t all = 0;
        for (uint32_t i = 1; i <= 100; i++) {
            memcpy(text, &i, 4);
            assert_int_equal(trainer_words_add(&w, text, 4, (1 + i / 10) * factors[f], &err), CRIA_OK);
            all += (1 + i / 10) * factors[f];
        }
        assert_int_equal(trainer_words_prune(&w, 100, &pruned, &err), CRIA_OK);
        assert_int_equal(w.n_words, 100);
        assert_int_equal(trainer_words_prune(&w, 99, &pruned, &err), CRIA_OK);
        assert_true(w.n_words <= 49 && w.n_words >= 40);
        assert_int_equal(w.n_words % 10, 1); /* whole groups of equal count; the last has one word */
        uint64_t kept = 0;
        for (size_t i = 0; i < w.n_slots; i++) {
            kept += w.slots[i].count;
            assert_true(w.slots[i].count == 0 || w.slots[i].count > pruned.count);
        }
        assert_int_equal(pruned.words, 100 - w.n_words);
        assert_int_equal(pruned.occurrences, all - kept);
        trainer_words_deinit(&w);
    }
}

/* Catches a file that our own reader refuses or reads otherwise: names of bytes, special tokens, the splitter. */
static void test_the_file_is_read_back(void **state) {
    (void)state;
    struct cria_error err = {0};
    for (int splitter = 0; splitter < TRAINER_SPLITTER_COUNT; splitter++) {
        struct trainer_options o = options_of(500);
        struct buffer json = buffer_make((size_t)1 << 24), config = buffer_make(4096);
        struct buffer back = buffer_make((size_t)1 << 24);
        struct token_list ids = {0};
        trainer *t = NULL;
        tokenizer *read = NULL;
        char every_byte[256];
        o.splitter = (enum trainer_splitter)splitter;
        assert_int_equal(trainer_create(&t, &o, &err), CRIA_OK);
        add_words(t, 100000, 5);
        assert_int_equal(trainer_learn(t, &err), CRIA_OK);
        assert_int_equal(trainer_write_json(t, &json, &err), CRIA_OK);
        assert_int_equal(trainer_write_config(t, &config, &err), CRIA_OK);
        assert_non_null(strstr(buffer_text(&config), "\"eos_token\":\"<|end|>\""));
        assert_int_equal(tokenizer_from_json(&read, json.data, json.n_bytes, &err), CRIA_OK);
        assert_int_equal(tokenizer_size(read), 500);
        assert_int_equal(tokenizer_bos(read), 0);
        assert_true(tokenizer_adds_bos(read));
        for (int32_t id = 0; id < 500; id++) {
            struct text_span a = tokenizer_token(read, id), b = token_table_bytes(&t->vocabulary.table, (uint32_t)id);
            assert_int_equal(a.n, b.n);
            assert_memory_equal(a.bytes, b.bytes, a.n);
        }
        for (int i = 0; i < 256; i++) every_byte[i] = (char)i;
        assert_int_equal(tokenizer_encode(read, every_byte, 256, NULL, &ids, NULL, &err), CRIA_OK);
        assert_int_equal(tokenizer_decode(read, ids.ids, ids.n, false, &back, &err), CRIA_OK);
        assert_int_equal(back.n_bytes, 256);
        assert_memory_equal(back.data, every_byte, 256);
        token_list_free(&ids);
        buffer_free(&json);
        buffer_free(&config);
        buffer_free(&back);
        tokenizer_destroy(&read);
        trainer_destroy(&t);
    }
}

/* Catches options that would make a vocabulary nobody can load. */
static void test_wrong_options_are_refused(void **state) {
    (void)state;
    static const char *const twice[] = {"<|a|>", "<|a|>"}, *const word[] = {"hello"}, *const empty[] = {""};
    static const char *const broken[] = {"<|\xFF|>"};
    const struct {
        const char *const *special;
        int n;
        const char *says;
    } rows[] = {{twice, 2, "given twice"},
                {word, 1, "a word that text may hold"},
                {empty, 1, "bytes of UTF-8"},
                {broken, 1, "bytes of UTF-8"}};
    trainer *t = NULL;
    struct cria_error err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trainer_options o = {
            .vocabulary = 300, .special = rows[i].special, .n_special = rows[i].n, .threads = 1};
        assert_int_equal(trainer_create(&t, &o, &err), CRIA_USAGE);
        assert_non_null(strstr(err.text, rows[i].says));
    }
    struct trainer_options o = options_of(258);
    assert_int_equal(trainer_create(&t, &o, &err), CRIA_USAGE);
    assert_non_null(strstr(err.text, "at least 259"));
    o = options_of(300);
    o.eos = "<|stop|>";
    assert_int_equal(trainer_create(&t, &o, &err), CRIA_USAGE);
    assert_non_null(strstr(err.text, "<|stop|>"));
    o = options_of(300);
    assert_int_equal(trainer_create(&t, &o, &err), CRIA_OK);
    assert_int_equal(trainer_add(t, "", 0, &err), CRIA_OK);
    assert_int_equal(trainer_learn(t, &err), CRIA_FORMAT);
    trainer_destroy(&t);
    assert_null(t);
}

/* Everything from creation to the file; the status of the first failure. */
static cria_status run_all(int threads, struct cria_error *err) {
    struct trainer_options o = options_of(300);
    struct buffer json = buffer_make((size_t)1 << 24);
    trainer *t = NULL;
    cria_status status;
    o.threads = threads;
    TRY(trainer_create(&t, &o, err));
    for (int i = 0; i < 3; i++) TRY(trainer_add(t, "some words and averyveryverylongword again and again", 52, err));
    TRY(trainer_learn(t, err));
    TRY(trainer_write_json(t, &json, err));
out:
    trainer_destroy(&t);
    buffer_free(&json);
    return status;
}

/* Catches leaks, crashes and hangs where the n-th allocation fails, on the caller's thread or a worker's. */
static void test_lack_of_memory(void **state) {
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        struct cria_error err = {0};
        (void)alloc_fail_at(0);
        assert_int_equal(run_all(threads, &err), CRIA_OK);
        uint64_t n = alloc_fail_at(0);
        assert_true(n > 10);
        for (uint64_t i = 1; i <= n; i++) {
            (void)alloc_fail_at(i);
            assert_int_equal(run_all(threads, &err), CRIA_NOMEM);
        }
        (void)alloc_fail_at(0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges_equal_those_of_recounting),
        cmocka_unit_test(test_threads_and_rounds_give_one_result),
        cmocka_unit_test(test_rounds_do_not_change_counts),
        cmocka_unit_test(test_words_are_told_apart),
        cmocka_unit_test(test_pruning_forgets_the_rarest),
        cmocka_unit_test(test_the_file_is_read_back),
        cmocka_unit_test(test_wrong_options_are_refused),
        cmocka_unit_test(test_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
