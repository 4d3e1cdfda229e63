/* build_test.c: a data folder from text, and the rows that come out of it. Each test names the failure it exists to
 * catch. The tokenizer is made here: a byte is a token. */
#include "data/build.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/random.h"
#include "data/data_rows.h"
#include "data/merkle.h"
#include "text/tokenizer.h"

enum { BOS = 256, EOS = 257, N_VOCAB = 258 };

static char folder[] = "/tmp/cria-build-XXXXXX";
static char tokenizer_path[64];

static char *at(const char *name) {
    static char paths[16][128];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *put(const char *name, const char *text, size_t n) {
    struct cria_error err;
    char *path = at(name);
    assert_int_equal(file_write_atomic(path, text, n, &err), CRIA_OK);
    return path;
}

static const char *put_text(const char *name, const char *text) { return put(name, text, strlen(text)); }

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) print_error("%s\n", err->text);
    assert_int_equal(status, CRIA_OK);
}

/* A byte-level vocabulary without merges: the id of a byte is its place in the alphabet below. */
static void make_tokenizer(void) {
    struct buffer b = buffer_make(1 << 20);
    int other = 0;
    buffer_append_text(&b, "{\"version\":\"1.0\",\"added_tokens\":[");
    const char *names[] = {"<|begin_of_text|>", "<|end_of_text|>"};
    for (int i = 0; i < 2; i++)
        buffer_append_format(&b,
                             "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                             "\"normalized\":false,\"special\":true}",
                             i ? "," : "", BOS + i, names[i]);
    buffer_append_text(&b,
                       "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                       "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":"
                       "\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},"
                       "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
                       "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
                       "\"byte_fallback\":false,\"vocab\":{");
    for (int i = 0; i < 256; i++) {
        const bool is_plain = (i >= 33 && i < 127) || (i >= 161 && i < 173) || i >= 174;
        buffer_append_format(&b, "%s\"\\u%04x\":%d", i ? "," : "", is_plain ? i : 256 + other++, i);
    }
    buffer_append_text(&b, "},\"merges\":[]}}");
    snprintf(tokenizer_path, sizeof tokenizer_path, "%s", put("tokenizer.json", b.data, b.n_bytes));
    buffer_free(&b);
}

static struct build_options options_for(const struct build_source *sources, int n, const char *out) {
    static const int lengths[] = {16, 64};
    struct build_options o;
    build_defaults(&o);
    o.sources = sources;
    o.n_sources = n;
    o.tokenizer = tokenizer_path;
    o.out = out;
    o.seq_lens = lengths;
    o.n_seq_lens = 2;
    o.threads = 2;
    return o;
}

/* Random documents of letters and spaces, one JSON line each; lengths 0 to 199. */
static const char *put_random(const char *name, int n_documents, uint64_t seed) {
    struct buffer b = buffer_make(1 << 24);
    uint64_t at_random = 0;
    for (int i = 0; i < n_documents; i++) {
        const int n = (int)(random_u64(seed, RANDOM_TEST, at_random++) % 200);
        buffer_append_text(&b, "{\"text\":\"");
        for (int c = 0; c < n; c++)
            buffer_append_char(&b, "abcdefghij klmnop"[random_u64(seed, RANDOM_TEST, at_random++) % 17]);
        buffer_append_text(&b, "\"}\n");
    }
    const char *path = put(name, b.data, b.n_bytes);
    buffer_free(&b);
    return path;
}

static struct rows_options one_phase(struct rows_phase_options *phase, int seq_len) {
    *phase = (struct rows_phase_options){.seq_len = seq_len};
    return (struct rows_options){.phases = phase, .n_phases = 1, .seed = 5};
}

/* Catches: ids lost, doubled or given wrong targets on the way through shards, packing and the order of rows; a piece
 * of two documents; bytes counted wrong. */
static void every_id_is_predicted_once(void **state) {
    (void)state;
    const char *a = put_random("a.jsonl", 300, 1), *b = put_random("b.jsonl", 50, 2);
    const struct build_source sources[] = {{.name = "a", .paths = &a, .n_paths = 1},
                                           {.name = "b", .paths = &b, .n_paths = 1}};
    struct build_options o = options_for(sources, 2, at("once"));
    struct build_result result;
    struct cria_error err;
    o.near_threshold = 0;
    o.shard_bytes = 4000;
    must(build_run(&o, &result, &err), &err);
    assert_int_equal(result.n_read, 350);
    assert_int_equal(result.n_kept + result.n_filtered[0] + result.n_exact, 350);
    assert_int_equal(result.n_tokens, result.n_bytes + 2 * result.n_kept);
    for (int length = 16; length <= 64; length += 48) {
        struct rows_phase_options phase;
        const struct rows_options ro = one_phase(&phase, length);
        struct rows_row row = {0};
        rows *r;
        uint64_t n_targets = 0, n_bytes = 0, n_begins = 0, n_ends = 0, n_tokens = 0;
        must(rows_open(&r, at("once"), &ro, &err), &err);
        must(rows_row_make(r, &row, &err), &err);
        for (uint64_t i = 0; i < rows_total(r); i++) {
            must(rows_get(r, (struct rows_cursor){0, i}, &row, &err), &err);
            int covered = 0;
            assert_in_range(row.n_tokens, 1, length);
            for (int p = 0; p < row.n_pieces; p++) {
                const struct rows_piece piece = row.pieces[p];
                assert_int_equal(piece.first, covered);
                covered += piece.n;
                for (int t = piece.first; t < piece.first + piece.n; t++) {
                    assert_true(t == piece.first || row.ids[t] != BOS);
                    assert_true(row.ids[t] != EOS && row.targets[t] != BOS && row.targets[t] >= 0);
                    if (t + 1 < piece.first + piece.n) assert_int_equal(row.targets[t], row.ids[t + 1]);
                    n_begins += row.ids[t] == BOS;
                    n_ends += row.targets[t] == EOS;
                }
            }
            assert_int_equal(covered, row.n_tokens);
            n_targets += (uint64_t)row.n_targets;
            n_bytes += (uint64_t)row.n_bytes;
            n_tokens += (uint64_t)row.n_tokens;
        }
        assert_int_equal(n_targets, result.n_tokens - result.n_kept);
        assert_int_equal(n_bytes, result.n_bytes);
        assert_int_equal(n_begins, result.n_kept);
        assert_int_equal(n_ends, result.n_kept);
        assert_int_equal(rows_phase_at(r, 0)->n_tokens, n_tokens);
        assert_true((double)n_tokens > 0.97 * (double)(rows_total(r) * (uint64_t)length)); /* rows are full */
        rows_row_free(&row);
        rows_close(&r);
    }
}

/* Catches: a result that depends on the number of threads or on what ran before. */
static void threads_change_nothing(void **state) {
    (void)state;
    char first[DIGEST_HEX_BYTES] = "";
    const char *a = put_random("threads.jsonl", 20000, 3);
    const struct build_source sources[] = {{.name = "a", .paths = &a, .n_paths = 1}};
    for (int threads = 1; threads <= 5; threads += 2) {
        struct build_options o = options_for(sources, 1, at(threads == 1 ? "t1" : threads == 3 ? "t3" : "t5"));
        struct build_result result;
        struct cria_error err;
        rows *r;
        struct rows_phase_options phase;
        const struct rows_options ro = one_phase(&phase, 16);
        o.threads = threads;
        o.held_out = 0.1;
        must(build_run(&o, &result, &err), &err);
        must(rows_open(&r, o.out, &ro, &err), &err);
        if (threads == 1) snprintf(first, sizeof first, "%s", rows_digest(r));
        assert_string_equal(rows_digest(r), first);
        assert_in_range(result.n_held_out, result.n_kept / 14, result.n_kept / 7);
        assert_true(rows_has_held_out(r, 16));
        rows_close(&r);
    }
}

static const char long_text[] =
    "It is a truth that rows of words, however long, are compared by runs of five words in "
    "a row, so that one changed word touches five runs and no more than five runs of all "
    "those that a longer text like this one has, which are about sixty by now if the count "
    "is right; and to be on the safe side here are some more of them, and then an end.";

/* Catches: copies that stay, the wrong one of two dropped, texts that differ taken for the same. */
static void copies_are_dropped(void **state) {
    (void)state;
    struct buffer b = buffer_make(1 << 16);
    buffer_append_format(&b, "%s<|cut|>%s<|cut|>\xef\xbb\xbf%s<|cut|>", long_text, long_text, long_text);
    buffer_append_format(&b, "%s And more.<|cut|>quite another text<|cut|>quite another text, too", long_text);
    const char *copies = put("copies.txt", b.data, b.n_bytes);
    const char *held = put_text("held.txt", "quite another text");
    const struct build_source sources[] = {{.name = "copies", .paths = &copies, .n_paths = 1, .separator = "<|cut|>"},
                                           {.name = "held", .paths = &held, .n_paths = 1, .is_held_out = true}};
    struct build_options o = options_for(sources, 2, at("copies"));
    struct build_result result;
    struct cria_error err;
    must(build_run(&o, &result, &err), &err);
    assert_int_equal(result.n_read, 7);
    assert_int_equal(result.n_cleaned[0], 1);
    assert_int_equal(result.n_exact, 3); /* two copies of the long text, and the held-out one's in the other source */
    assert_int_equal(result.n_near, 1);
    assert_int_equal(result.n_kept, 3);
    assert_int_equal(result.n_held_out, 1);
    buffer_free(&b);
}

/* Catches: a test's words left in, a long document lost for one passage, a text dropped for fewer words than asked,
 * what is held out cut by itself, a report without the reason. */
static void tests_are_kept_out(void **state) {
    (void)state;
    const char *test = put_text("test.jsonl", "{\"text\":\"one two three four five six\"}\n{\"text\":\"short\"}\n");
    struct buffer b = buffer_make(1 << 16);
    buffer_append_text(&b, "zero ONE, two\nthree four five! six<|cut|>one two three four six five<|cut|>");
    for (int i = 0; i < 100; i++) buffer_append_format(&b, "before%d ", i);
    buffer_append_text(&b, "two one two three four five six seven ");
    for (int i = 0; i < 100; i++) buffer_append_format(&b, "after%d ", i);
    const char *text = put("train.txt", b.data, b.n_bytes), *held = put_text("kept.txt", "one two three four five six");
    const struct build_source sources[] = {{.name = "t", .paths = &text, .n_paths = 1, .separator = "<|cut|>"},
                                           {.name = "held", .paths = &held, .n_paths = 1, .is_held_out = true}};
    struct build_options o = options_for(sources, 2, at("clean"));
    struct build_result result;
    struct cria_error err;
    char *report, *ids;
    size_t n;
    o.test_sets = &test;
    o.n_test_sets = 1;
    o.test_words = 5;
    must(build_run(&o, &result, &err), &err);
    assert_int_equal(result.n_contaminated, 1);
    assert_int_equal(result.n_cut, 1);
    assert_int_equal(result.n_test_short, 1);
    assert_int_equal(result.n_kept, 3);
    assert_int_equal(result.n_held_out, 1);
    must(file_read(at("clean/decontamination.jsonl"), 1 << 20, &report, &n, &err), &err);
    assert_non_null(strstr(report, "train.txt#1\",\"action\":\"dropped\",\"test\":"));
    assert_non_null(strstr(report, "train.txt#3\",\"action\":\"cut\",\"test\":"));
    assert_non_null(strstr(report, "test.jsonl:1"));
    assert_non_null(strstr(report, "\"ONE, two\\nthree four five\""));
    alloc_free(report);
    /* The ids are the bytes, two bytes each: what stays begins and ends as before, without the passage and its edges.
     */
    must(file_read(at("clean/shard-00000.bin"), 1 << 20, &ids, &n, &err), &err);
    char *plain = alloc_array(n / 2 + 1, 1);
    for (size_t i = 0; i < n / 2; i++) plain[i] = ids[2 * i + 1] ? '|' : ids[2 * i];
    plain[n / 2] = '\0';
    assert_non_null(strstr(plain, "|before0 before1 "));
    assert_non_null(strstr(plain, "after98 after99 |"));
    const char *joint = strstr(plain, "\n\n");
    assert_non_null(joint);
    assert_true(joint[-1] == ' ' && strstr(joint, "after2") != NULL);
    assert_null(strstr(plain, "two one"));
    alloc_free(plain);
    alloc_free(ids);
    buffer_free(&b);
}

static void expect_refused(const char *out, const char *name, cria_status wanted) {
    rows *r = NULL;
    struct cria_error err = {0};
    assert_int_equal(rows_open(&r, out, &(struct rows_options){.n_phases = 0}, &err), wanted);
    if (!strstr(err.text, name)) print_error("expected '%s' in: %s\n", name, err.text);
    assert_non_null(strstr(err.text, name));
    assert_null(r);
}

static void flip(const char *path, long offset, int whence) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, offset, whence);
    const int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 1, f);
    fclose(f);
}

/* Catches (C11): a flipped bit, a cut file, a changed manifest, a file changed while it is read, taken for the data. */
static void damage_is_refused_by_name(void **state) {
    (void)state;
    static const int length = 16;
    static const char *const names[] = {"shard-00000.bin", "rows-16.bin",    "pieces-16.bin",
                                        "token-bytes.bin", "tokenizer.json", "manifest.json"};
    const char *a = put_random("damage.jsonl", 100, 4), *out = at("damage");
    const struct build_source sources[] = {{.name = "a", .paths = &a, .n_paths = 1}};
    struct build_options o = options_for(sources, 1, out);
    struct build_result result;
    struct cria_error err;
    o.seq_lens = &length;
    o.n_seq_lens = 1;
    must(build_run(&o, &result, &err), &err);
    assert_int_equal(build_run(&o, &result, &err), CRIA_BUSY);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", out, names[i]);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        for (int k = 0; k < 8; k++) {
            const long where = (long)(random_u64(6, RANDOM_TEST, i * 8 + (size_t)k) % (uint64_t)st.st_size);
            flip(path, where, SEEK_SET);
            expect_refused(out, names[i], CRIA_FORMAT);
            flip(path, where, SEEK_SET);
        }
    }
    rows *r;
    struct rows_row row = {0};
    must(rows_open(&r, out, NULL, &err), &err);
    must(rows_row_make(r, &row, &err), &err);
    must(rows_get(r, (struct rows_cursor){0, 0}, &row, &err), &err);
    char path[200];
    snprintf(path, sizeof path, "%s/shard-00000.bin", out);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(rows_get(r, (struct rows_cursor){0, 1}, &row, &err), CRIA_IO);
    assert_non_null(strstr(err.text, "shard-00000.bin"));
    rows_row_free(&row);
    rows_close(&r);
    expect_refused(out, "shard-00000.bin", CRIA_FORMAT);
}

/* The whole row as a number, to tell rows apart. */
static uint64_t print_of(const struct rows_row *row) {
    uint64_t h = 1;
    for (int i = 0; i < row->n_tokens; i++) h = h * 0x9e3779b97f4a7c15u + (uint64_t)row->ids[i] + 1;
    return h;
}

/* Catches: a phase that repeats rows before all came, ignores weights or the seed, or begins the next phase at the
 * first row again; a cursor that goes past an end. */
static void phases_mix_and_go_on(void **state) {
    (void)state;
    const char *a = put_random("pa.jsonl", 400, 7), *b = put_random("pb.jsonl", 100, 8);
    const struct build_source sources[] = {{.name = "a", .paths = &a, .n_paths = 1},
                                           {.name = "b", .paths = &b, .n_paths = 1}};
    struct build_options o = options_for(sources, 2, at("phases"));
    struct build_result result;
    struct cria_error err;
    must(build_run(&o, &result, &err), &err);
    const double weights[] = {3, 1}, only_a[] = {1, 0};
    const struct rows_phase_options phases[] = {
        {.name = "mixed", .seq_len = 16, .weights = weights, .n_weights = 2, .n_rows = 400},
        {.name = "rest", .seq_len = 16, .weights = only_a, .n_weights = 2, .n_rows = 300, .rope_base = 5e5},
        {.name = "long", .seq_len = 64}};
    const struct rows_options ro = {.phases = phases, .n_phases = 3, .seed = 9};
    struct rows_row row = {0};
    rows *r;
    uint64_t prints[700];
    int n_of[2] = {0, 0};
    must(rows_open(&r, at("phases"), &ro, &err), &err);
    must(rows_row_make(r, &row, &err), &err);
    assert_int_equal(rows_max_length(r), 64);
    struct rows_cursor cursor = {0, 0};
    for (int i = 0; i < 700; i++, cursor = rows_advance(r, cursor, 1)) {
        must(rows_get(r, cursor, &row, &err), &err);
        assert_int_equal(cursor.phase, i >= 400);
        if (i < 400) n_of[row.source]++;
        else assert_int_equal(row.source, 0);
        prints[i] = print_of(&row);
        for (int j = 0; j < i; j++) assert_true(prints[j] != prints[i]);
    }
    assert_int_equal(n_of[0], 300);
    assert_int_equal(n_of[1], 100);
    assert_int_equal(cursor.phase, 2);
    assert_int_equal(cursor.number, 0);
    assert_true(rows_phase_at(r, 1)->rope_base == 5e5);
    must(rows_get(r, (struct rows_cursor){0, 523}, &row, &err), &err);
    assert_true(print_of(&row) == prints[523]);
    const struct rows_cursor end = rows_advance(r, (struct rows_cursor){0, 0}, rows_total(r));
    assert_int_equal(end.phase, 3);
    assert_int_equal(rows_get(r, end, &row, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "rows used up"));
    rows_row_free(&row);
    rows_close(&r);
}

/* Catches: rows of a file out of order, without the last id, past its end, or ids outside the vocabulary. */
static void lines_come_in_file_order(void **state) {
    (void)state;
    struct cria_error err;
    rows *r;
    struct rows_row row = {0};
    uint16_t bytes[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const char *path = put_text("rows.jsonl", "{\"ids\": [1, 2, 3]}\n\n{\"n\":{\"ids\":[]},\"ids\":[9,8]}");
    must(rows_open_lines(&r, path, 10, 8, bytes, &err), &err);
    must(rows_row_make(r, &row, &err), &err);
    assert_int_equal(rows_total(r), 2);
    must(rows_get(r, (struct rows_cursor){0, 0}, &row, &err), &err);
    assert_int_equal(row.n_tokens, 3);
    assert_true(row.targets[0] == 2 && row.targets[1] == 3 && row.targets[2] == -1);
    assert_true(row.n_targets == 2 && row.n_bytes == 5 && row.n_pieces == 1);
    must(rows_get(r, (struct rows_cursor){0, 1}, &row, &err), &err);
    assert_true(row.n_tokens == 2 && row.ids[0] == 9 && row.targets[0] == 8);
    assert_int_equal(rows_get(r, (struct rows_cursor){0, 2}, &row, &err), CRIA_RANGE);
    rows_row_free(&row);
    rows_close(&r);
    assert_int_equal(rows_open_lines(&r, path, 9, 8, NULL, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "rows.jsonl line 3"));
    assert_int_equal(rows_open_lines(&r, path, 10, 2, NULL, &err), CRIA_LIMIT);
}

/* Catches: a leak, a crash or a folder left behind where memory ends, in a build, in opening and in reading. */
static void test_no_memory(void **state) {
    (void)state;
    const char *a = put_random("memory.jsonl", 40, 12), *test = put_text("memory.txt", "a b c d e f g h i j k l m n o");
    const struct build_source sources[] = {{.name = "a", .paths = &a, .n_paths = 1}};
    const char *out = at("memory"), *building = at("memory.building");
    struct build_options o = options_for(sources, 1, out);
    struct build_result result;
    struct cria_error err;
    int n_failed = 0;
    o.test_sets = &test;
    o.n_test_sets = 1;
    for (uint64_t i = 1;; i += 1 + i / 6) {
        alloc_fail_at(i);
        const cria_status status = build_run(&o, &result, &err);
        alloc_fail_at(0);
        if (status == CRIA_OK) break;
        assert_int_equal(status, CRIA_NOMEM);
        assert_false(file_is_folder(out) || file_is_folder(building));
        n_failed++;
    }
    assert_true(n_failed > 20);
    for (uint64_t i = 1;; i++) {
        rows *r = NULL;
        struct rows_row row = {0};
        alloc_fail_at(i);
        struct rows_phase_options phase;
        const struct rows_options ro = one_phase(&phase, 64);
        cria_status status = rows_open(&r, out, &ro, &err);
        if (status == CRIA_OK) status = rows_row_make(r, &row, &err);
        if (status == CRIA_OK) status = rows_get(r, (struct rows_cursor){0, 0}, &row, &err);
        alloc_fail_at(0);
        rows_row_free(&row);
        rows_close(&r);
        if (status == CRIA_OK) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    make_tokenizer();
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place) {
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static int drop_folder(void **state) {
    (void)state;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_id_is_predicted_once), cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(copies_are_dropped),         cmocka_unit_test(tests_are_kept_out),
        cmocka_unit_test(damage_is_refused_by_name),  cmocka_unit_test(phases_mix_and_go_on),
        cmocka_unit_test(lines_come_in_file_order),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
