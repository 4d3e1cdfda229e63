/* tokenizer_test.c: the contract of tokenizer.h on a small byte-level vocabulary that is written here: what may become
 * a special token, what decoding gives, what happens at every failing allocation and in several threads at once.
 *
 * Whether ids equal those of the reference libraries is tests/tokenizer/test_reference.py's question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/random.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

#define SEED 7

/* Ids 0 .. 255 are the bytes in order; then he ll hell hello " w"; 261 <|eot|> 262 <|x|> special, 263 <tool> added. */
enum { ID_HELLO = 259, ID_EOT = 261, ID_X = 262, ID_TOOL = 263, ID_COUNT = 264 };

static void append_letter(struct buffer *b, int byte) {
    char bytes[4];
    bool plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    uint32_t code = (uint32_t)byte;
    if (!plain) {
        code = 0x100;
        for (int i = 0; i < byte; i++) code += !((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174);
    }
    if (byte == '"' || byte == '\\') buffer_append_char(b, '\\');
    buffer_append(b, bytes, (size_t)utf8_encode(code, bytes));
}

/* A whole tokenizer.json; `missing` is a byte without a token (-1: none), `steps` the pre-tokenizer. */
static struct buffer small_json(int missing, const char *steps) {
    struct buffer b = buffer_make(1 << 20);
    buffer_append_text(
        &b,
        "{\"version\":\"1.0\",\"truncation\":{\"max_length\":4},\"padding\":null,\"added_tokens\":["
        "{\"id\":261,\"content\":\"<|eot|>\",\"special\":true},{\"id\":262,\"content\":\"<|x|>\",\"special\":true},"
        "{\"id\":263,\"content\":\"<tool>\",\"special\":false}],\"normalizer\":null,\"pre_tokenizer\":");
    buffer_append_text(&b, steps);
    buffer_append_text(&b, ",\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int i = 0; i < 256; i++) {
        if (i == missing) continue;
        buffer_append_char(&b, '"');
        append_letter(&b, i);
        buffer_append_format(&b, "\":%d,", i);
    }
    buffer_append_text(&b,
                       "\"he\":256,\"ll\":257,\"hell\":258,\"hello\":259,\"\xC4\xA0w\":260},"
                       "\"merges\":[\"h e\",\"l l\",\"he ll\",\"hell o\",\"\xC4\xA0 w\"]}}");
    return b;
}

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"

static tokenizer *open_small(int missing) {
    struct buffer b = small_json(missing, BYTE_LEVEL);
    struct cria_error err = {0};
    tokenizer *t = NULL;
    if (tokenizer_from_json(&t, buffer_text(&b), b.n_bytes, &err) != CRIA_OK) fail_msg("%s", err.text);
    buffer_free(&b);
    return t;
}

static struct token_list encode(const tokenizer *t, const char *text, size_t n, const struct tokenizer_options *o) {
    struct token_list list = {0};
    struct cria_error err = {0};
    if (tokenizer_encode(t, text, n, o, &list, NULL, &err) != CRIA_OK) fail_msg("%s", err.text);
    return list;
}

static int count_id(const struct token_list *list, int32_t id) {
    int n = 0;
    for (size_t i = 0; i < list->n; i++) n += list->ids[i] == id;
    return n;
}

/* Catches a merge that is lost, and a byte that is not what it stands for. */
static void test_encode(void **state) {
    (void)state;
    tokenizer *t = open_small(-1);
    struct token_list list = encode(t, "hello hell w", 12, NULL);
    const int32_t wanted[] = {ID_HELLO, ' ', 258, 260};
    assert_int_equal(list.n, 4);
    assert_memory_equal(list.ids, wanted, sizeof wanted);
    token_list_free(&list);
    assert_int_equal(tokenizer_size(t), ID_COUNT);
    assert_string_equal(tokenizer_kind(t), "tokenizer.json, byte-level BPE");
    assert_non_null(strstr(tokenizer_note(t, 0), "truncation"));
    assert_null(tokenizer_note(t, 1));
    assert_int_equal(tokenizer_token(t, ID_HELLO).n, 5);
    assert_int_equal(tokenizer_token(t, ID_COUNT).n, 0);
    int32_t stops[4];
    assert_int_equal(tokenizer_stop_ids(t, stops, 4), 1);
    assert_int_equal(stops[0], ID_EOT);
    tokenizer_destroy(&t);
    assert_null(t);
    tokenizer_destroy(&t);
}

/* T06: malformed UTF-8, NUL, surrogates, overlong forms and everything else come back byte for byte. */
static void test_round_trip(void **state) {
    (void)state;
    static const char *const texts[] = {"\xED\xA0\x80", "\xC0\x80", "\xF4\x8F\xBF\xBF",
                                        "\xF5\x80",     "\xE2\x82", "\xFF\xFE a\x80"};
    tokenizer *t = open_small(-1);
    print_message("seed %d\n", SEED);
    for (uint64_t round = 0; round < 500; round++) {
        char random[64];
        for (uint64_t i = 0; i < 64; i++) random[i] = (char)random_u64(SEED, RANDOM_TEST, round * 64 + i);
        const char *text = round < 6 ? texts[round] : random;
        size_t n = round < 6 ? strlen(text) : round % 65;
        struct token_list list = encode(t, text, n, NULL);
        struct buffer out = buffer_make(1024);
        assert_int_equal(tokenizer_decode(t, list.ids, list.n, false, &out, NULL), CRIA_OK);
        assert_int_equal(out.n_bytes, n);
        if (n) assert_memory_equal(out.data, text, n);
        buffer_free(&out);
        token_list_free(&list);
    }
    tokenizer_destroy(&t);
}

/* T04, T05: content never makes a special token; the caller's permission is for all bytes of its text or for nothing.
 */
static void test_specials(void **state) {
    (void)state;
    static const char text[] = "hello<|eot|><tool>a<|eot|>";
    tokenizer *t = open_small(-1);
    struct token_list plain = encode(t, text, strlen(text), NULL);
    assert_int_equal(count_id(&plain, ID_EOT), 0);
    assert_int_equal(count_id(&plain, ID_TOOL), 1); /* not special: matched in any text */
    struct token_list special = encode(t, text, strlen(text), &(struct tokenizer_options){.special = true});
    assert_int_equal(count_id(&special, ID_EOT), 2);
    uint8_t trusted[sizeof text] = {0};
    memset(trusted + 5, 1, 7); /* the first <|eot|> */
    struct token_list masked = encode(t, text, strlen(text), &(struct tokenizer_options){.trusted = trusted});
    assert_int_equal(count_id(&masked, ID_EOT), 1);
    assert_int_equal(masked.ids[1], ID_EOT);
    for (int hole = 0; hole < 7; hole++) {
        trusted[5 + hole] = 0;
        struct token_list list = encode(t, text, strlen(text), &(struct tokenizer_options){.trusted = trusted});
        assert_int_equal(count_id(&list, ID_EOT), 0);
        trusted[5 + hole] = 1;
        token_list_free(&list);
    }
    token_list_free(&plain);
    token_list_free(&special);
    token_list_free(&masked);
    tokenizer_destroy(&t);
}

/* Catches a cut of the text where trust begins: what is no special token is one run, merged across it. */
static void test_trust_does_not_cut(void **state) {
    (void)state;
    tokenizer *t = open_small(-1);
    const uint8_t trusted[5] = {1, 1, 0, 0, 1};
    struct token_list list = encode(t, "hello", 5, &(struct tokenizer_options){.trusted = trusted});
    assert_int_equal(list.n, 1);
    assert_int_equal(list.ids[0], ID_HELLO);
    token_list_free(&list);
    tokenizer_destroy(&t);
}

/* T07: an id that is no token is an error, and nothing is added. */
static void test_ids_out_of_range(void **state) {
    (void)state;
    static const int32_t bad[] = {-1, ID_COUNT, INT32_MAX, INT32_MIN};
    tokenizer *t = open_small(-1);
    for (int i = 0; i < 4; i++) {
        const int32_t ids[] = {ID_HELLO, bad[i]};
        struct buffer out = buffer_make(100);
        struct tokenizer_stream s = {0};
        struct cria_error err = {0};
        assert_int_equal(tokenizer_decode(t, ids, 2, true, &out, &err), CRIA_RANGE);
        assert_non_null(strstr(err.text, "expected 0 to 263"));
        assert_int_equal(tokenizer_stream_add(t, &s, bad[i], true, &out, NULL), CRIA_RANGE);
        assert_int_equal(out.n_bytes, 0);
        assert_false(tokenizer_is_special(t, bad[i]));
        buffer_free(&out);
    }
    tokenizer_destroy(&t);
}

/* Catches a stream that shows half a character, or loses or doubles bytes around malformed ones. */
static void test_stream(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *shown;
    } rows[] = {
        {"a\xE2\x82\xAC z", "a\xE2\x82\xAC z"},
        {"\xF0\x9F\x99\x82\xF0\x9F", "\xF0\x9F\x99\x82\xEF\xBF\xBD"},
        {"\xE2\x82(", "\xEF\xBF\xBD("},
        {"\xFF\xFE"
         "a",
         "\xEF\xBF\xBD\xEF\xBF\xBD"
         "a"},
        {"\xE2\xE2\x82\xAC", "\xEF\xBF\xBD\xE2\x82\xAC"},
        {"\xF0\x90\x80\xC3\xA9", "\xEF\xBF\xBD\xC3\xA9"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xC3", "\xEF\xBF\xBD"},
    };
    tokenizer *t = open_small(-1);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct buffer out = buffer_make(100);
        struct tokenizer_stream s = {0};
        for (const char *p = rows[r].bytes; *p; p++) {
            assert_int_equal(tokenizer_stream_add(t, &s, (uint8_t)*p, false, &out, NULL), CRIA_OK);
            assert_int_equal(tokenizer_stream_add(t, &s, ID_EOT, false, &out, NULL), CRIA_OK); /* adds nothing */
            assert_true(utf8_is_valid(buffer_text(&out), out.n_bytes));
        }
        tokenizer_stream_end(&s, &out);
        assert_string_equal(buffer_text(&out), rows[r].shown);
        buffer_free(&out);
    }
    tokenizer_destroy(&t);
}

/* A byte without a token is dropped before merging, as the reference does, and counted. */
static void test_dropped_bytes(void **state) {
    (void)state;
    tokenizer *t = open_small(4);
    struct token_list list = {0};
    size_t n_dropped = 0;
    assert_int_equal(tokenizer_encode(t, "\x04\x04\x04", 3, NULL, &list, &n_dropped, NULL), CRIA_OK);
    assert_int_equal(n_dropped, 3);
    assert_int_equal(list.n, 0);
    token_list_free(&list);
    tokenizer_destroy(&t);
    struct buffer b = small_json('-', "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}");
    assert_int_equal(tokenizer_from_json(&t, b.data, b.n_bytes, NULL), CRIA_OK);
    /* merging goes across the hole, in short pieces and in long ones */
    assert_int_equal(tokenizer_encode(t, "hel--lo", 7, NULL, &list, &n_dropped, NULL), CRIA_OK);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.ids[0], ID_HELLO);
    list.n = 0;
    static const char text[] = "hel--lohel-lohel-lohel-lohel-lohel-lohel-lo";
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, &list, &n_dropped, NULL), CRIA_OK);
    assert_int_equal(n_dropped, 8);
    assert_int_equal(list.n, 7);
    assert_int_equal(count_id(&list, ID_HELLO), 7);
    token_list_free(&list);
    buffer_free(&b);
    tokenizer_destroy(&t);
}

static uint32_t draw(uint64_t *at, uint32_t n) { return (uint32_t)(random_u64(SEED, RANDOM_TEST, (*at)++) % n); }

/* Merging by the textbook: ids in a list, the leftmost pair of the lowest rank first. */
static size_t merge_plainly(int32_t *ids, size_t n) {
    static const int32_t merges[][3] = {
        {'h', 'e', 256}, {'l', 'l', 257}, {256, 257, 258}, {258, 'o', 259}, {' ', 'w', 260}};
    for (;;) {
        size_t best = n, rank = 5;
        for (size_t i = 0; i + 1 < n; i++) {
            for (size_t r = 0; r < rank; r++) {
                if (ids[i] == merges[r][0] && ids[i + 1] == merges[r][1]) {
                    rank = r;
                    best = i;
                }
            }
        }
        if (best == n) return n;
        ids[best] = merges[rank][2];
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        n--;
    }
}

/* Catches a fault of the queue for long pieces, of the short loop, or of the cuts between them. */
static void test_long_pieces(void **state) {
    (void)state;
    struct buffer b = small_json(-1, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}");
    tokenizer *t = NULL;
    uint64_t at = 1000000;
    assert_int_equal(tokenizer_from_json(&t, b.data, b.n_bytes, NULL), CRIA_OK);
    for (int round = 0; round < 2000; round++) {
        char text[200];
        int32_t wanted[200];
        size_t n = 1 + draw(&at, 200);
        for (size_t i = 0; i < n; i++) text[i] = "helo w"[draw(&at, 6)];
        for (size_t i = 0; i < n; i++) wanted[i] = text[i];
        size_t n_wanted = merge_plainly(wanted, n);
        struct token_list list = encode(t, text, n, NULL);
        assert_int_equal(list.n, n_wanted);
        assert_memory_equal(list.ids, wanted, n_wanted * sizeof *wanted);
        token_list_free(&list);
    }
    buffer_free(&b);
    tokenizer_destroy(&t);
}

/* Every allocation of loading and encoding fails once: an error each time, nothing lost (under a sanitizer), and the
 * list as it was. */
static void test_failing_allocations(void **state) {
    (void)state;
    struct buffer b =
        small_json(-1, "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a+|[^a]+\"},\"behavior\":\"Isolated\"}");
    char text[300];
    memset(text, 'l', sizeof text); /* one long piece */
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        assert_true(n < 10000);
        tokenizer *t = NULL;
        struct token_list list = {0};
        struct cria_error err = {0};
        alloc_fail_at(n);
        cria_status status = tokenizer_from_json(&t, b.data, b.n_bytes, &err);
        if (status == CRIA_OK) {
            struct tokenizer_options o = {.special = true};
            status = tokenizer_encode(t, text, sizeof text, &o, &list, NULL, &err);
            if (status != CRIA_OK) assert_int_equal(list.n, 0);
            done = status == CRIA_OK;
        }
        alloc_fail_at(0);
        assert_true(status == CRIA_OK || status == CRIA_NOMEM);
        token_list_free(&list);
        tokenizer_destroy(&t);
    }
    buffer_free(&b);
}

static void *encode_often(void *arg) {
    const tokenizer *t = arg;
    for (int i = 0; i < 300; i++) {
        struct token_list list = {0};
        cria_status status = tokenizer_encode(t, "hello hell w", 12, NULL, &list, NULL, NULL);
        bool right = status == CRIA_OK && list.n == 4 && list.ids[0] == ID_HELLO;
        token_list_free(&list);
        if (!right) return arg;
    }
    return NULL;
}

/* Catches state that is not safe to share, under the thread sanitizer: what encoding remembers of whole pieces. */
static void test_threads(void **state) {
    (void)state;
    tokenizer *t = open_small(-1);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = t;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    tokenizer_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_specials),
        cmocka_unit_test(test_trust_does_not_cut),
        cmocka_unit_test(test_ids_out_of_range),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_dropped_bytes),
        cmocka_unit_test(test_long_pieces),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
