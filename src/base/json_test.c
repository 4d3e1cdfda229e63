/* json_test.c: the JSON reader against well-formed, malformed and hostile text, and the writer against the reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"

static cria_status check_bytes(const char *text, size_t n, struct cria_error *err) {
    json_reader r;
    json_reader_init(&r, text, n);
    cria_status status = json_skip(&r, err);
    if (status == CRIA_OK) status = json_end(&r, err);
    json_reader_deinit(&r);
    return status;
}

static cria_status check(const char *text) { return check_bytes(text, strlen(text), NULL); }

/* Catches a grammar that refuses legal text. */
static void test_well_formed(void **state) {
    (void)state;
    static const char *const texts[] = {
        "null",
        " true\n",
        "false",
        "0",
        "-0",
        "1.5e+3",
        "-1E-2",
        "\"\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[1,2]",
        "[1 , [2 ]\t]",
        "{\"a\":1,\"b\":[{}],\"\":null}",
        "\"\\u0000\\ud83d\\ude00\\/\\\"\"",
        "\"\x7f\"",
        "{\"a\":{\"a\":1}}",
        "[\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) assert_int_equal(check(texts[i]), CRIA_OK);
}

/* Catches a grammar that lets broken text through. */
static void test_malformed(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "1 2",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "[1",
        "[}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{1:2}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "'a'",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\u",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\x41\"",
        "\"\n\"",
        "\"\x01\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc3\"",
        "\"\xe2\x82\"",
        "\xef\xbb\xbf{}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[1]\f",
        "[1],",
        "// x\n1",
        "[1]/**/",
        "{\"k\":[{\"b\":1,\"c\":2,\"b\":3}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cria_error err = {0};
        const cria_status status = check_bytes(texts[i], strlen(texts[i]), &err);
        if (status != CRIA_FORMAT) fail_msg("%s: %s", texts[i], cria_status_name(status));
        assert_non_null(strstr(err.text, "line 1, column ")); /* "// x\n1" fails on its first line too */
    }
    assert_int_equal(check_bytes("[\0]", 3, NULL), CRIA_FORMAT);
    assert_int_equal(check_bytes("1\0", 2, NULL), CRIA_FORMAT);
    assert_int_equal(check_bytes("\"\\\0\"", 4, NULL), CRIA_FORMAT);
}

/* Catches reads behind the end: every cut of a text lies at the end of its own heap block, where ASan sees them. */
static void test_every_cut(void **state) {
    (void)state;
    static const char text[] =
        " {\"k\\u00e9y\\ud83d\\ude00\":[1.5e-3,true,false,null,\"\xe2\x82\xac long plain text\"],\"z\":{\"\":-12}}";
    const size_t n = sizeof text - 1;
    for (size_t cut = 0; cut < n; cut++) {
        char *part = alloc_array(cut, 1);
        memcpy(part, text, cut);
        assert_int_equal(check_bytes(part, cut, NULL), CRIA_FORMAT);
        alloc_free(part);
    }
    assert_int_equal(check_bytes(text, n, NULL), CRIA_OK);
}

/* Catches a crash or a hang on text that nobody thought of: random bytes changed in a good text. */
static void test_random_damage(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\":[1,2.5e3,{\"b\":\"x\\n\\u20ac\"}],\"c\":null,\"d\":\"\xe2\x82\xac\",\"e\":[[],[[]]]}";
    const uint64_t seed = 20240611;
    print_message("seed %llu\n", (unsigned long long)seed);
    char damaged[sizeof text];
    for (uint64_t round = 0; round < 200000; round++) {
        memcpy(damaged, text, sizeof text);
        for (uint64_t k = 0; k < 3; k++) {
            const uint64_t draw = random_u64(seed, RANDOM_TEST, 3 * round + k);
            damaged[draw % (sizeof text - 1)] =
                (draw >> 32) % 2 ? (char)(draw >> 40) : text[(draw >> 40) % (sizeof text - 1)];
        }
        const cria_status status = check_bytes(damaged, sizeof text - 1, NULL);
        assert_true(status == CRIA_OK || status == CRIA_FORMAT);
    }
}

static char *nested(size_t depth, char open, char close) {
    char *text = alloc_array(2 * depth + 1, 1);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    text[2 * depth] = '\0';
    return text;
}

static void *check_deep(void *arg) {
    struct cria_error err;
    return (void *)(intptr_t)check_bytes(arg, strlen(arg), &err);
}

/* Catches recursion: depth 64 is right, 65 is refused, and a million levels end at once on a thread with little stack.
 */
static void test_depth(void **state) {
    (void)state;
    char *text = nested(JSON_MAX_DEPTH, '[', ']');
    assert_int_equal(check(text), CRIA_OK);
    alloc_free(text);
    text = nested(JSON_MAX_DEPTH + 1, '[', ']');
    assert_int_equal(check(text), CRIA_LIMIT);
    alloc_free(text);
    text = nested(1000000, '[', ']');
    pthread_attr_t attributes;
    pthread_t thread;
    void *result;
    const double begin = clock_seconds();
    assert_int_equal(pthread_attr_init(&attributes), 0);
#if defined(__SANITIZE_ADDRESS__)
    const size_t stack_bytes = 256 * 1024; /* red zones need room of their own */
#else
    const size_t stack_bytes = 64 * 1024;
#endif
    assert_int_equal(pthread_attr_setstacksize(&attributes, stack_bytes), 0);
    assert_int_equal(pthread_create(&thread, &attributes, check_deep, text), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    pthread_attr_destroy(&attributes);
    assert_int_equal((intptr_t)result, CRIA_LIMIT);
    assert_true(clock_seconds() - begin < 0.1);
    alloc_free(text);
}

/* Catches messages that lead to the wrong place. */
static void test_positions(void **state) {
    (void)state;
    struct cria_error err;
    static const char text[] = "{\n  \"a\": 1,\n  \"b\": tru\n}";
    assert_int_equal(check_bytes(text, sizeof text - 1, &err), CRIA_FORMAT);
    assert_string_equal(err.text, "line 3, column 8 (byte 19): expected true or false, found an unknown word");
    json_reader r;
    json_reader_init(&r, "[7,\n8]", 6);
    bool more;
    int64_t value;
    assert_int_equal(json_begin_array(&r, NULL), CRIA_OK);
    assert_int_equal(json_next_element(&r, &more, NULL), CRIA_OK);
    assert_int_equal(json_read_i64(&r, 0, 9, &value, NULL), CRIA_OK);
    assert_int_equal(json_next_element(&r, &more, NULL), CRIA_OK);
    assert_int_equal(json_read_i64(&r, 0, 9, &value, NULL), CRIA_OK);
    assert_int_equal(json_fail(&r, &err, "%d is odd", 8), CRIA_FORMAT);
    assert_string_equal(err.text, "line 2, column 1 (byte 4): 8 is odd");
    json_reader_deinit(&r);
}

static cria_status read_i64(const char *text, int64_t min, int64_t max, int64_t *ret) {
    json_reader r;
    json_reader_init(&r, text, strlen(text));
    const cria_status status = json_read_i64(&r, min, max, ret, NULL);
    json_reader_deinit(&r);
    return status;
}

static cria_status read_u64(const char *text, uint64_t max, uint64_t *ret) {
    json_reader r;
    json_reader_init(&r, text, strlen(text));
    const cria_status status = json_read_u64(&r, max, ret, NULL);
    json_reader_deinit(&r);
    return status;
}

static cria_status read_f64(const char *text, double *ret) {
    json_reader r;
    json_reader_init(&r, text, strlen(text));
    const cria_status status = json_read_f64(&r, ret, NULL);
    json_reader_deinit(&r);
    return status;
}

/* Catches integers that go through a double, wrap, or accept what is no integer. */
static void test_integers(void **state) {
    (void)state;
    int64_t i = 42;
    uint64_t u = 42;
    assert_int_equal(read_i64("1.0", INT64_MIN, INT64_MAX, &i), CRIA_FORMAT);
    assert_int_equal(read_i64("1e2", INT64_MIN, INT64_MAX, &i), CRIA_FORMAT);
    assert_int_equal(read_i64("\"5\"", INT64_MIN, INT64_MAX, &i), CRIA_FORMAT);
    assert_int_equal(read_i64("NaN", INT64_MIN, INT64_MAX, &i), CRIA_FORMAT);
    assert_int_equal(read_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i), CRIA_RANGE);
    assert_int_equal(read_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &i), CRIA_RANGE);
    assert_int_equal(read_i64("11", 0, 10, &i), CRIA_RANGE);
    assert_int_equal(read_i64("-1", 0, 10, &i), CRIA_RANGE);
    assert_int_equal(i, 42);
    assert_int_equal(read_i64("9007199254740993", INT64_MIN, INT64_MAX, &i), CRIA_OK);
    assert_true(i == 9007199254740993);
    assert_int_equal(read_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), CRIA_OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(read_i64("-0", INT64_MIN, INT64_MAX, &i), CRIA_OK);
    assert_true(i == 0);
    assert_int_equal(read_u64("18446744073709551616", UINT64_MAX, &u), CRIA_RANGE);
    assert_int_equal(read_u64("99999999999999999999999999", UINT64_MAX, &u), CRIA_RANGE);
    assert_int_equal(read_u64("-1", UINT64_MAX, &u), CRIA_RANGE);
    assert_true(u == 42);
    assert_int_equal(read_u64("18446744073709551615", UINT64_MAX, &u), CRIA_OK);
    assert_true(u == UINT64_MAX);
}

/* Catches doubles that are off by a bit: against hexadecimal constants of hard cases, and strtod() on random ones. */
static void test_doubles(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0.0},
        {"-0", -0.0},
        {"-0.0e5", -0.0},
        {"1e22", 1e22},
        {"1e23", 1e23},
        {"0.1", 0.1},
        {"123456.789", 123456.789},
        {"2.2250738585072014e-308", 0x1p-1022},
        {"4.9e-324", 0x1p-1074},
        {"2.4e-324", 0.0},
        {"1e-99999999999999", 0.0},
        {"0e99999999999999999", 0.0},
        {"1.7976931348623157e308", 0x1.fffffffffffffp1023},
        {"9007199254740993", 9007199254740992.0},
        {"9007199254740993.00000000000000000000000000001", 9007199254740994.0},
        {"100000000000000000000000000000000000000000000e-44", 1.0},
    };
    double value = 42;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_f64(cases[i].text, &value), CRIA_OK);
        if (memcmp(&value, &cases[i].value, sizeof value) != 0) fail_msg("%s gave %a", cases[i].text, value);
    }
    value = 42;
    assert_int_equal(read_f64("1e309", &value), CRIA_RANGE);
    assert_int_equal(read_f64("-1.8e308", &value), CRIA_RANGE);
    assert_true(value == 42);
    const uint64_t seed = 7;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 100000; i++) {
        char text[64];
        const uint64_t draw = random_u64(seed, RANDOM_TEST, i);
        double original;
        memcpy(&original, &draw, sizeof original);
        if (!isfinite(original)) continue;
        snprintf(text, sizeof text, "%.*g", (int)(draw % 21) + 1, original);
        if (!isfinite(strtod(text, NULL))) continue;
        assert_int_equal(read_f64(text, &value), CRIA_OK);
        assert_true(value == strtod(text, NULL));
    }
}

/* Catches the loss of digits in very long numbers: a midpoint between two doubles, decided by digit 1,200. */
static void test_long_number(void **state) {
    (void)state;
    char text[1300];
    const int n = snprintf(text, sizeof text, "9007199254740993.");
    memset(text + n, '0', 1200);
    text[n + 1200] = '\0';
    double value;
    assert_int_equal(read_f64(text, &value), CRIA_OK);
    assert_true(value == 9007199254740992.0);
    text[n + 1199] = '1';
    assert_int_equal(read_f64(text, &value), CRIA_OK);
    assert_true(value == 9007199254740994.0);
}

/* Catches wrong escapes, and a string's bytes that die too early: keys last until their object is closed. */
static void test_strings(void **state) {
    (void)state;
    static const char text[] = "{\"k\\n1\":\"v\\u20ac\",\"k\\n2\":\"\\ud83d\\ude00\\u0000z\"}";
    json_reader r;
    struct json_text key1, key2, value;
    bool more;
    json_reader_init(&r, text, sizeof text - 1);
    assert_int_equal(json_begin_object(&r, NULL), CRIA_OK);
    assert_int_equal(json_next_key(&r, &key1, &more, NULL), CRIA_OK);
    assert_int_equal(json_read_string(&r, &value, NULL), CRIA_OK);
    assert_true(json_text_is(value, "v\xe2\x82\xac"));
    assert_int_equal(json_next_key(&r, &key2, &more, NULL), CRIA_OK);
    assert_int_equal(json_read_string(&r, &value, NULL), CRIA_OK);
    assert_int_equal(value.n, 6);
    assert_memory_equal(value.bytes, "\xf0\x9f\x98\x80\0z", 6);
    assert_true(json_text_is(key1, "k\n1"));
    assert_true(json_text_is(key2, "k\n2"));
    assert_int_equal(json_next_key(&r, &key1, &more, NULL), CRIA_OK);
    assert_false(more);
    assert_int_equal(json_end(&r, NULL), CRIA_OK);
    json_reader_deinit(&r);
}

/* Catches a reader that can be read on after an error, which would turn broken text into data. */
static void test_failure_stays(void **state) {
    (void)state;
    json_reader r;
    bool value = true;
    double number = 1;
    json_reader_init(&r, "tru 1", 5);
    assert_int_equal(json_read_bool(&r, &value, NULL), CRIA_FORMAT);
    assert_int_equal(json_read_bool(&r, &value, NULL), CRIA_FORMAT);
    r.at = 4;
    assert_int_equal(json_read_f64(&r, &number, NULL), CRIA_FORMAT);
    assert_true(value && number == 1);
    json_reader_deinit(&r);
}

/* Catches a quadratic check of duplicate keys and a table that loses keys: many keys, then one of them again. */
static void test_many_keys(void **state) {
    (void)state;
    struct buffer text = buffer_make(64u << 20);
    const int n = 200000;
    buffer_append_char(&text, '{');
    for (int i = 0; i < n; i++) buffer_append_format(&text, "\"%s%d\":%d,", i % 7 ? "" : "\\n", i, i);
    const size_t end = text.n_bytes;
    const double begin = clock_seconds();
    buffer_append_text(&text, "\"x\":0}");
    assert_int_equal(check_bytes(text.data, text.n_bytes, NULL), CRIA_OK);
    for (int again = 1; again < n; again += 40000) {
        buffer_cut(&text, end);
        buffer_append_format(&text, "\"%s%d\":0}", again % 7 ? "" : "\\n", again);
        struct cria_error err;
        assert_int_equal(check_bytes(text.data, text.n_bytes, &err), CRIA_FORMAT);
        assert_non_null(strstr(err.text, "twice"));
    }
    assert_true(clock_seconds() - begin < 5);
    buffer_free(&text);
}

/* Catches a leak or an untold failure when memory runs out at any point of reading. */
static void test_every_allocation_fails(void **state) {
    (void)state;
    struct buffer text = buffer_make(1u << 20);
    buffer_append_char(&text, '{');
    for (int i = 0; i < 40; i++) buffer_append_format(&text, "\"\\t%d\":[\"\\n%d\"],", i, i);
    buffer_append_text(&text, "\"x\":0}");
    cria_status status = CRIA_NOMEM;
    uint64_t n = 1;
    for (; status != CRIA_OK; n++) {
        alloc_fail_at(n);
        status = check_bytes(text.data, text.n_bytes, NULL);
        assert_true(status == CRIA_OK || status == CRIA_NOMEM);
    }
    alloc_fail_at(0);
    assert_true(n > 40);
    buffer_free(&text);
}

/* Catches a writer whose text does not read back, and escapes that are missing. */
static void test_writer(void **state) {
    (void)state;
    struct buffer out = buffer_make(4096);
    json_writer w = json_writer_make(&out);
    json_write_begin_object(&w);
    json_write_key(&w, "a\"b");
    json_write_begin_array(&w);
    json_write_i64(&w, INT64_MIN);
    json_write_u64(&w, UINT64_MAX);
    json_write_bool(&w, true);
    json_write_null(&w);
    json_write_begin_array(&w);
    json_write_end_array(&w);
    json_write_begin_object(&w);
    json_write_end_object(&w);
    json_write_end_array(&w);
    json_write_key(&w, "s");
    json_write_string(&w, "\\\n\0\x1f\x7f\xff\xe2\x82\xac\xe2\x82", 11);
    json_write_key(&w, "f");
    json_write_f32(&w, 0.1f);
    json_write_key(&w, "d");
    json_write_f64(&w, 0.1);
    json_write_key(&w, "n");
    json_write_f64(&w, NAN);
    json_write_end_object(&w);
    assert_string_equal(buffer_text(&out),
                        "{\"a\\\"b\":[-9223372036854775808,18446744073709551615,true,null,[],{}],"
                        "\"s\":\"\\\\\\n\\u0000\\u001f\x7f\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\","
                        "\"f\":0.100000001,\"d\":0.1,\"n\":null}");
    assert_int_equal(check_bytes(out.data, out.n_bytes, NULL), CRIA_OK);
    buffer_free(&out);
}

/* Catches numbers that do not come back with the same bits. */
static void test_number_round_trip(void **state) {
    (void)state;
    const uint64_t seed = 11;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct buffer out = buffer_make(4096);
    for (uint64_t i = 0; i < 50000; i++) {
        const uint64_t draw = random_u64(seed, RANDOM_TEST, i);
        const uint32_t half = (uint32_t)draw;
        double d, back;
        float f;
        memcpy(&d, &draw, sizeof d);
        memcpy(&f, &half, sizeof f);
        if (isfinite(d)) {
            json_writer w = json_writer_make(&out);
            json_write_f64(&w, d);
            assert_int_equal(read_f64(buffer_text(&out), &back), CRIA_OK);
            assert_memory_equal(&back, &d, sizeof d);
            buffer_cut(&out, 0);
        }
        if (isfinite(f)) {
            json_writer w = json_writer_make(&out);
            json_write_f32(&w, f);
            assert_int_equal(read_f64(buffer_text(&out), &back), CRIA_OK);
            const float narrow = (float)back;
            assert_memory_equal(&narrow, &f, sizeof f);
            buffer_cut(&out, 0);
        }
    }
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_long_number),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_failure_stays),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_number_round_trip),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
