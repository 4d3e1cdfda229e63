/* source_test.c: documents out of files. Each test names the failure it exists to catch. */
#include "data/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/random.h"
#include "base/utf8.h"

static char folder[] = "/tmp/cria-source-XXXXXX";

static const char *put(const char *name, const void *bytes, size_t n) {
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    struct cria_error err;
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, bytes, n, &err), CRIA_OK);
    return path;
}

#define PUT(name, literal) put(name, literal, sizeof(literal) - 1)

static size_t gzip(const void *bytes, size_t n, char *out, size_t room) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)bytes;
    z.avail_in = (unsigned)n;
    z.next_out = (Bytef *)out;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t made = room - z.avail_out;
    deflateEnd(&z);
    return made;
}

/* All documents of the paths as "[name|text|replaced]" with the folder cut from names. */
static cria_status collect(struct buffer *out, const char *const *paths, int n_paths,
                           const struct source_options *options, struct cria_error *err) {
    source *s = NULL;
    struct source_document d;
    bool more;
    cria_status status = source_open(&s, paths, n_paths, options, err);
    while (status == CRIA_OK) {
        status = source_next(s, &d, &more, err);
        if (status != CRIA_OK || !more) break;
        buffer_append_format(out, "[%s|%.*s|%llu]", d.name + strlen(folder) + 1, (int)d.n, d.bytes,
                             (unsigned long long)d.n_replaced);
    }
    source_close(&s);
    return status;
}

static void expect(const char *const *paths, int n_paths, const struct source_options *options, const char *wanted) {
    struct buffer got = buffer_make(1 << 24);
    struct cria_error err = {0};
    const cria_status status = collect(&got, paths, n_paths, options, &err);
    if (status != CRIA_OK) print_error("%s\n", err.text);
    assert_int_equal(status, CRIA_OK);
    assert_string_equal(buffer_text(&got), wanted);
    buffer_free(&got);
}

static void expect_failure(const char *path, const struct source_options *options, cria_status wanted,
                           const char *part) {
    struct buffer got = buffer_make(1 << 24);
    struct cria_error err = {0};
    assert_int_equal(collect(&got, &path, 1, options, &err), wanted);
    if (!strstr(err.text, part)) print_error("expected '%s' in: %s\n", part, err.text);
    assert_non_null(strstr(err.text, part));
    buffer_free(&got);
}

/* Catches: an order taken from the file system, hidden files read, other files dropped without being counted. */
static void folders_are_walked_in_order(void **state) {
    (void)state;
    struct cria_error err;
    char path[256];
    snprintf(path, sizeof path, "%s/tree/sub", folder);
    assert_int_equal(file_make_folder(path, &err), CRIA_OK);
    PUT("tree/z.txt", "last");
    PUT("tree/b.jsonl", "{\"text\":\"one\"}\n\n{\"id\":7,\"text\":\"t\\u00e4o\"}");
    PUT("tree/sub/c.md", "mid");
    PUT("tree/.hidden.txt", "no");
    PUT("tree/picture.png", "no");
    snprintf(path, sizeof path, "%s/tree", folder);
    const char *paths[] = {path};
    expect(paths, 1, NULL, "[tree/b.jsonl:1|one|0][tree/b.jsonl:3|täo|0][tree/sub/c.md|mid|0][tree/z.txt|last|0]");
    source *s;
    assert_int_equal(source_open(&s, paths, 1, NULL, &err), CRIA_OK);
    assert_int_equal(source_files(s), 3);
    assert_int_equal(source_ignored(s), 2);
    source_close(&s);
}

/* Catches: malformed bytes passed on, dropped, or not counted. */
static void malformed_bytes_are_replaced_and_counted(void **state) {
    (void)state;
    const char *paths[] = {put("bad.txt",
                               "a\xff\xc3"
                               "b\xe2\x82",
                               6)};
    expect(paths, 1, NULL,
           "[bad.txt|a\xef\xbf\xbd\xef\xbf\xbd"
           "b\xef\xbf\xbd\xef\xbf\xbd|4]");
    paths[0] = PUT("bad.jsonl", "{\"text\":\"x\xfey\"}\n");
    expect(paths, 1, NULL, "[bad.jsonl:1|x\xef\xbf\xbdy|1]");
}

/* Catches: a separator inside a window's edge missed, an empty document made up behind the last one. */
static void separators_cut(void **state) {
    (void)state;
    const struct source_options options = {.separator = "<|end|>"};
    const char *paths[] = {PUT("sep.txt", "one<|end|>two<|en<|end|>")};
    expect(paths, 1, &options, "[sep.txt#1|one|0][sep.txt#2|two<|en|0]");
    paths[0] = PUT("empty.txt", "");
    expect(paths, 1, &options, "[empty.txt||0]");
}

/* Catches: long text held whole, bytes lost or doubled between parts, a character cut in two. */
static void long_text_comes_in_parts(void **state) {
    (void)state;
    const struct source_options options = {.max_document_bytes = 10};
    const char *paths[] = {
        PUT("long.txt", "abcd\n\nefgh\nijklmnopqrst\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4")};
    expect(paths, 1, &options,
           "[long.txt#1|abcd\n\n|0][long.txt#2|efgh\nijklm|0][long.txt#3|nopqrst\xc3\xa4|0]"
           "[long.txt#4|\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4|0]");
}

static const char *big(size_t *ret_n) {
    static char text[3000000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i % 61 == 60 ? '\n' : 'a' + random_u64(7, RANDOM_TEST, i / 3) % 26);
    *ret_n = sizeof text;
    return text;
}

/* Catches: compressed files cut at a block's or a member's end, or read as text. */
static void compressed_files_are_the_text(void **state) {
    (void)state;
    size_t n;
    const char *text = big(&n);
    char *packed = malloc(2 * n);
    const size_t half = n / 2;
    size_t n_packed = gzip(text, half, packed, 2 * n);
    n_packed += gzip(text + half, n - half, packed + n_packed, 2 * n - n_packed);
    const char *paths[3] = {put("big.txt.gz", packed, n_packed)};
    n_packed = ZSTD_compress(packed, 2 * n, text, half, 3);
    n_packed += ZSTD_compress(packed + n_packed, 2 * n - n_packed, text + half, n - half, 3);
    paths[1] = put("big.txt.zst", packed, n_packed);
    paths[2] = put("big.txt", text, n);
    struct cria_error err;
    source *s;
    struct source_document d;
    bool more;
    assert_int_equal(source_open(&s, paths, 3, NULL, &err), CRIA_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(source_next(s, &d, &more, &err), CRIA_OK);
        assert_true(more);
        assert_int_equal(d.n, n);
        assert_memory_equal(d.bytes, text, n);
    }
    assert_int_equal(source_next(s, &d, &more, &err), CRIA_OK);
    assert_false(more);
    assert_int_equal(source_bytes_read(s), source_bytes(s));
    source_rewind(s);
    assert_int_equal(source_next(s, &d, &more, &err), CRIA_OK);
    assert_true(more && d.n == n);
    source_close(&s);
    free(packed);
}

/* Catches: a cut or flipped archive taken for a shorter text. */
static void broken_compression_is_refused(void **state) {
    (void)state;
    size_t n;
    const char *text = big(&n);
    char *packed = malloc(n);
    const size_t n_packed = gzip(text, n / 4, packed, n);
    expect_failure(put("cut.txt.gz", packed, n_packed / 2), NULL, CRIA_FORMAT, "ends too early");
    packed[n_packed - 6] ^= 1; /* in the checksum */
    expect_failure(put("flip.txt.gz", packed, n_packed), NULL, CRIA_FORMAT, "incorrect data check");
    const size_t n_zstd = ZSTD_compress(packed, n, text, n / 4, 3);
    expect_failure(put("cut.txt.zst", packed, n_zstd - 1), NULL, CRIA_FORMAT, "ends too early");
    free(packed);
}

/* Catches: a broken line skipped, or an error that does not say where. */
static void broken_lines_are_named(void **state) {
    (void)state;
    expect_failure(PUT("a.jsonl", "{\"text\":\"x\"}\n{\"text\":"), NULL, CRIA_FORMAT, "a.jsonl line 2");
    expect_failure(PUT("b.jsonl", "{\"body\":\"x\"}\n"), NULL, CRIA_FORMAT, "expected a field 'text'");
    const struct source_options body = {.text_field = "body", .max_document_bytes = 3};
    const char *paths[] = {PUT("c.jsonl", "{\"body\":\"x\"}\n")};
    expect(paths, 1, &body, "[c.jsonl:1|x|0]");
    expect_failure(PUT("d.jsonl", "{\"body\":\"xyzw\"}\n"), &body, CRIA_LIMIT, "at most 3");
    char missing[300];
    snprintf(missing, sizeof missing, "%s/none", folder);
    expect_failure(missing, NULL, CRIA_NOTFOUND, "none");
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state) {
    (void)state;
    char command[300];
    const char *names[] = {"tree/sub/c.md", "tree/z.txt",  "tree/b.jsonl", "tree/.hidden.txt", "tree/picture.png",
                           "tree/sub",      "tree",        "bad.txt",      "bad.jsonl",        "sep.txt",
                           "empty.txt",     "long.txt",    "big.txt.gz",   "big.txt.zst",      "big.txt",
                           "cut.txt.gz",    "flip.txt.gz", "cut.txt.zst",  "a.jsonl",          "b.jsonl",
                           "c.jsonl",       "d.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command, "%s/%s", folder, names[i]);
        remove(command);
    }
    return rmdir(folder);
}

/* Catches a long text that is refused where the window is just full at the most bytes of a document. */
static void parts_as_long_as_the_window(void **state) {
    (void)state;
    const size_t max = (size_t)1 << 21, n = 3 * max + 5;
    const struct source_options options = {.max_document_bytes = max};
    struct cria_error err = {0};
    struct source_document d = {0};
    source *s = NULL;
    char *text = malloc(n);
    size_t total = 0, parts = 0;
    assert_non_null(text);
    memset(text, 'a', n);
    const char *path = put("long.txt", text, n);
    assert_int_equal(source_open(&s, &path, 1, &options, &err), CRIA_OK);
    for (bool more = true;; parts++) {
        assert_int_equal(source_next(s, &d, &more, &err), CRIA_OK);
        if (!more) break;
        assert_true(d.n <= max && !d.is_line);
        total += d.n;
    }
    assert_int_equal(total, n);
    assert_int_equal(parts, 4);
    source_close(&s);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_walked_in_order),
        cmocka_unit_test(malformed_bytes_are_replaced_and_counted),
        cmocka_unit_test(separators_cut),
        cmocka_unit_test(long_text_comes_in_parts),
        cmocka_unit_test(parts_as_long_as_the_window),
        cmocka_unit_test(compressed_files_are_the_text),
        cmocka_unit_test(broken_compression_is_refused),
        cmocka_unit_test(broken_lines_are_named),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
