/* safetensors_mutation_test.c: what broken, hostile and odd safetensors files do, and that the writer's files are
 * right.
 *
 * S01 to S05 are rows of the list of bad input in docs/FORMATS.md, "Bad input". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "format/format.h"
#include "format/safetensors.h"

#define SEED 20251123u

/* Length, header, data: as safetensors_open() reads a file, from memory. */
static cria_status parse_file(const uint8_t *bytes, size_t n_bytes, struct safetensors *s, struct cria_error *err) {
    size_t n = 0;
    if (n_bytes < 8) return CRIA_FORMAT;
    const cria_status status = safetensors_header_bytes(bytes, n_bytes, &n, err);
    return status == CRIA_OK ? safetensors_parse(s, (const char *)bytes + 8, n, n_bytes - 8 - n, err) : status;
}

static struct buffer make_file(const char *header, size_t n_header, size_t n_data) {
    struct buffer b = buffer_make((size_t)1 << 28);
    for (int i = 0; i < 8; i++) buffer_append_char(&b, (char)((uint64_t)n_header >> (8 * i)));
    buffer_append(&b, header, n_header);
    for (size_t i = 0; i < n_data; i++) buffer_append_char(&b, (char)i);
    return b;
}

/* A file with this header and so much data has to fail with a message that holds word; a NULL word: it has to parse. */
static void expect_bytes(const char *header, size_t n_header, size_t n_data, const char *word) {
    struct buffer b = make_file(header, n_header, n_data);
    struct safetensors s = {0};
    struct cria_error err = {0};
    const cria_status status = parse_file((const uint8_t *)b.data, b.n_bytes, &s, &err);
    safetensors_free(&s);
    buffer_free(&b);
    if (!word && status != CRIA_OK) fail_msg("%s: expected to parse, got %s", header, err.text);
    if (word && status == CRIA_OK) fail_msg("%s: expected an error about \"%s\", but it parses", header, word);
    if (word && !strstr(err.text, word))
        fail_msg("%s: expected an error about \"%s\", got: %s", header, word, err.text);
}

static void expect(const char *header, size_t n_data, const char *word) {
    expect_bytes(header, strlen(header), n_data, word);
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define B "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]}"

static void test_right_files(void **state) {
    (void)state;
    expect("{" A "," B "}", 20, NULL);
    expect("{" B "," A "}   ", 20, NULL);
    expect("{}", 0, NULL);
    expect("{\"__metadata__\":{\"format\":\"pt\"}," A "}", 8, NULL);
    expect("{\"a\":{\"dtype\":\"F32\",\"more\":{\"x\":[1]},\"shape\":[2],\"data_offsets\":[0,8],\"y\":[]}}", 8, NULL);
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, NULL);
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807,9223372036854775807],\"data_offsets\":[0,0]}}",
           0, NULL);
    struct safetensors s = {0};
    const char *escaped = "{\"\\u0061\\n\":{\"dtype\":\"F16\",\"shape\":[3,1,2],\"data_offsets\":[0,12]}}";
    assert_int_equal(safetensors_parse(&s, escaped, strlen(escaped), 12, NULL), CRIA_OK);
    assert_true(s.n_tensors == 1 && s.tensors[0].name_bytes == 2 && memcmp(s.tensors[0].name, "a\n", 2) == 0);
    assert_true(s.tensors[0].rank == 3 && s.tensors[0].dims[0] == 3 && s.tensors[0].dims[1] == 1);
    assert_int_equal(safetensors_dtype(&s.tensors[0]), DTYPE_F16);
    safetensors_free(&s);
}

static void test_S01_header_length(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        const char *word;
    } cases[] = {{0, "length 0"},
                 {93, "only 92 follow"},
                 {LIMIT_SAFETENSORS_HEADER_BYTES, "only 92 follow"},
                 {LIMIT_SAFETENSORS_HEADER_BYTES + 1, "at most 100000000"},
                 {UINT64_MAX, "18446744073709551615"}};
    uint8_t file[100] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cria_error err = {0};
        struct safetensors s = {0};
        for (int k = 0; k < 8; k++) file[k] = (uint8_t)(cases[i].length >> (8 * k));
        assert_int_not_equal(parse_file(file, sizeof file, &s, &err), CRIA_OK);
        if (!strstr(err.text, cases[i].word)) fail_msg("expected \"%s\", got %s", cases[i].word, err.text);
        safetensors_free(&s);
    }
}

static void test_S02_header_text(void **state) {
    (void)state;
    expect(" {" A "}", 8, "begin");
    expect("[]", 0, "begin");
    expect("{" A "}\n", 8, "only blanks");
    expect("{" A "} {", 8, "only blanks");
    expect_bytes("{" A "}\0", sizeof "{" A "}\0" - 1, 8, "only blanks");
    expect("{" A, 8, "byte");
    expect("{\"\xff\":1}", 8, "UTF-8");
    expect("{" A "," A "}", 8, "\"a\"");
    expect("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype");
    expect("{\"a\":{\"dtype\":\"F32\",\"more\":{\"x\":[[1]]},\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
           "nested deeper than 4");
    expect("{\"__metadata__\":{\"format\":1}}", 0, "string");
    expect("{\"__metadata__\":5}", 0, "object");
    expect("{\"a\":5}", 0, "\"a\"");
}

static void test_S03_places(void **state) {
    (void)state;
    expect("{" A "}", 9, "9 bytes are there");
    expect("{" A "}", 7, "data_offsets");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "hole");
    expect("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[9,13]}}", 13, "hole");
    expect("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[7,11]}}", 11, "overlapping");
    expect("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "overlapping");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,0]}}", 8, "in order");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8,16]}}", 8, "two numbers");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0]}}", 8, "two numbers");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[-1,7]}}", 8, "\"a\"");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8.0]}}", 8, "\"a\"");
    expect("{}", 1, "1 bytes are there");
}

static void test_S04_shapes(void **state) {
    (void)state;
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "more elements");
    expect("{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, "elements");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "3 elements of F32");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8, "\"a\"");
    expect("{\"a\":{\"dtype\":\"Q4\",\"shape\":[16],\"data_offsets\":[0,8]}}", 8, "\"Q4\" is unknown");
    expect("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "\"F4\" is unknown");
    expect("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "shape is missing");
    expect("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype is missing");
    expect("{\"a\":{\"shape\":[2],\"dtype\":\"F32\"}}", 8, "data_offsets is missing");
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, NULL);
    expect("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, "8 dimensions");
}

/* S05: catches work that grows with the square of the entries. */
static void test_S05_many_entries(void **state) {
    (void)state;
    enum { ENTRIES = 1000000 };
    struct buffer text = buffer_make((size_t)1 << 27);
    buffer_append_char(&text, '{');
    for (int i = 0; i < ENTRIES; i++) {
        char entry[96];
        const int n =
            snprintf(entry, sizeof entry, "%s\"tensor.%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                     i ? "," : "", i);
        buffer_append(&text, entry, (size_t)n);
    }
    buffer_append_char(&text, '}');
    struct safetensors s = {0};
    struct cria_error err = {0};
    const double start = clock_cpu_seconds();
    assert_int_equal(safetensors_parse(&s, text.data, text.n_bytes, 0, &err), CRIA_OK);
    const double seconds = clock_cpu_seconds() - start;
    assert_int_equal(s.n_tensors, ENTRIES);
    safetensors_free(&s);
    buffer_free(&text);
    print_message("%d entries: %.2f s\n", ENTRIES, seconds);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__)
    assert_true(seconds < 2.0);
#endif
}

/* Catches a name or a count just above its limit that is accepted, and one at the limit that is not. */
static void test_limits(void **state) {
    (void)state;
    for (size_t n = LIMIT_SAFETENSORS_NAME_BYTES; n <= LIMIT_SAFETENSORS_NAME_BYTES + 1; n++) {
        struct buffer text = buffer_make(1 << 16);
        buffer_append_text(&text, "{\"");
        for (size_t i = 0; i < n; i++) buffer_append_char(&text, 'n');
        buffer_append_text(&text, "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        expect(buffer_text(&text), 0, n > LIMIT_SAFETENSORS_NAME_BYTES ? "at most 1024" : NULL);
        buffer_free(&text);
    }
}

/* What parses has to cover the data without overlap, whatever was done to the bytes. */
static void check_mutant(const uint8_t *bytes, size_t n_bytes) {
    struct safetensors s = {0};
    struct cria_error err = {0};
    const cria_status status = parse_file(bytes, n_bytes, &s, &err);
    if (status == CRIA_OK) {
        uint64_t sum = 0;
        for (size_t i = 0; i < s.n_tensors; i++) sum += s.tensors[i].end - s.tensors[i].begin;
        assert_int_equal(sum, s.data_bytes);
    } else {
        assert_int_not_equal(status, CRIA_INTERNAL);
    }
    safetensors_free(&s);
}

/* Catches a read outside the file: every prefix (in a block of its own size), every bit flip, random pieces moved. */
static void test_mutants(void **state) {
    (void)state;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"}," A "," B
                         ",\"\\u0063\":{\"dtype\":\"U8\",\"shape\":[4],"
                         "\"data_offsets\":[20,24],\"x\":{\"y\":[null,true]}}}  ";
    struct buffer b = make_file(header, strlen(header), 24);
    for (size_t n = 0; n <= b.n_bytes; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, b.data, n);
        check_mutant(exact, n);
        free(exact);
    }
    for (size_t bit = 0; bit < 8 * b.n_bytes; bit++) {
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
        check_mutant((const uint8_t *)b.data, b.n_bytes);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
    }
    print_message("seed %u\n", SEED);
    uint32_t random = SEED;
    uint8_t *mutant = malloc(b.n_bytes);
    for (int round = 0; round < 20000; round++) {
        memcpy(mutant, b.data, b.n_bytes);
        for (int k = 0; k < 3; k++) {
            random = random * 1664525u + 1013904223u;
            const size_t at = 8 + (random >> 8) % (b.n_bytes - 8), from = 8 + (random >> 16) % (b.n_bytes - 8);
            const size_t n = (random >> 4) % 16, high = at > from ? at : from;
            if (high + n <= b.n_bytes) memmove(mutant + at, mutant + from, n);
        }
        check_mutant(mutant, b.n_bytes);
    }
    free(mutant);
    buffer_free(&b);
}

static void test_no_memory(void **state) {
    (void)state;
    const char *header = "{" A "," B ",\"\\u0063\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[20,24]}}";
    for (uint64_t n = 1;; n++) {
        struct safetensors s = {0};
        alloc_fail_at(n);
        const cria_status status = safetensors_parse(&s, header, strlen(header), 24, NULL);
        const uint64_t count = alloc_fail_at(0);
        safetensors_free(&s);
        if (count < n) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

/* Catches a writer whose file our reader does not take, a changed bit, and a file that appears before it is complete.
 */
static void test_writer(void **state) {
    (void)state;
    char folder[] = "/tmp/cria-safetensors-XXXXXX", path[96];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/logits.safetensors", folder);
    struct cria_error err = {0};
    struct safetensors_writer *w = NULL;
    const float rows[3][5] = {{1, -0.0f, NAN, INFINITY, 1e-45f}, {5, 6, 7, 8, 9}, {3.14159274f}};
    assert_int_equal(safetensors_writer_create(&w, path, "logits", 3, 5, &err), CRIA_OK);
    assert_int_equal(safetensors_writer_rows(w, rows[0], 2, &err), CRIA_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(safetensors_writer_rows(w, rows[2], 1, &err), CRIA_OK);
    assert_int_equal(safetensors_writer_finish(&w, true, &err), CRIA_OK);
    assert_null(w);
    struct file_map *map = NULL;
    struct safetensors s = {0};
    assert_int_equal(file_map_open(&map, path, &err), CRIA_OK);
    assert_int_equal(safetensors_open(&s, map, &err), CRIA_OK);
    assert_true(s.n_tensors == 1 && s.tensors[0].dims[0] == 3 && s.tensors[0].dims[1] == 5 && s.data_start % 8 == 0);
    assert_true(s.tensors[0].name_bytes == 6 && memcmp(s.tensors[0].name, "logits", 6) == 0);
    assert_memory_equal(map->data + s.data_start, rows, sizeof rows);
    safetensors_free(&s);
    file_map_close(&map);
    assert_int_equal(unlink(path), 0);
    /* Given up: nothing stays, not even the temporary file. */
    assert_int_equal(safetensors_writer_create(&w, path, "logits", 3, 5, &err), CRIA_OK);
    assert_int_equal(safetensors_writer_finish(&w, false, &err), CRIA_OK);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(safetensors_writer_create(&w, path, "logits", 3, 5, &err), CRIA_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(safetensors_writer_create(&w, path, "logits", INT64_MAX, 5, &err), CRIA_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_files),     cmocka_unit_test(test_S01_header_length),
        cmocka_unit_test(test_S02_header_text), cmocka_unit_test(test_S03_places),
        cmocka_unit_test(test_S04_shapes),      cmocka_unit_test(test_S05_many_entries),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_mutants),
        cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
