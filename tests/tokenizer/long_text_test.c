/* long_text_test.c: T03: texts of one kind of thing, 1 and 10 MiB (less under a sanitizer): time grows with the length
 * and the stack stays small.
 *
 * The vocabularies are made here so that merges go deep: every doubling of the repeated things is a token, in merges by
 * ids (byte-level) and in merges by bytes (SentencePiece). Each text is encoded on a thread with a stack of 256 KiB,
 * timed by the clock of that thread alone, and decoded to the same bytes. test_long_text.py does the same with
 * published vocabularies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/random.h"
#include "text/tokenizer.h"

#define MIB ((size_t)1 << 20)
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHORT_BYTES (MIB / 8) /* a sanitizer is ten times slower, looks for other things, and keeps freed memory */
#define MAX_RATIO 24.0
#else
#define SHORT_BYTES MIB
#define MAX_RATIO 12.0
#endif
#define STACK_BYTES ((size_t)256 << 10)
#define MAX_TOKENS 4096
#define MAX_MERGES 8192
#define SEED 3

/* A vocabulary under construction; texts are in plain bytes. */
struct vocabulary {
    struct buffer pool;
    size_t starts[MAX_TOKENS], sizes[MAX_TOKENS];
    struct text_span tokens[MAX_TOKENS], merges[MAX_MERGES];
    float scores[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    size_t n_tokens, n_merges;
    size_t merge_starts[MAX_MERGES], merge_sizes[MAX_MERGES];
};

static void append_letters(struct buffer *b, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int byte = (uint8_t)bytes[i];
        bool plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        int code = plain ? byte : byte <= 32 ? 0x100 + byte : byte <= 160 ? 0x100 + byte - 127 + 33 : 0x100 + 67;
        if (code < 0x80) {
            buffer_append_char(b, (char)code);
            continue;
        }
        buffer_append_char(b, (char)(0xC0 | code >> 6));
        buffer_append_char(b, (char)(0x80 | (code & 0x3F)));
    }
}

/* Adds a token, in the byte alphabet for a byte-level vocabulary. */
static void add_token(struct vocabulary *v, const char *bytes, size_t n, bool byte_level, int32_t type) {
    v->starts[v->n_tokens] = v->pool.n_bytes;
    if (byte_level) append_letters(&v->pool, bytes, n);
    else buffer_append(&v->pool, bytes, n);
    v->sizes[v->n_tokens] = v->pool.n_bytes - v->starts[v->n_tokens];
    v->scores[v->n_tokens] = -(float)v->n_tokens;
    v->types[v->n_tokens++] = type;
}

static void add_merge(struct vocabulary *v, const char *bytes, size_t n_left, size_t n) {
    v->merge_starts[v->n_merges] = v->pool.n_bytes;
    append_letters(&v->pool, bytes, n_left);
    buffer_append_char(&v->pool, ' ');
    append_letters(&v->pool, bytes + n_left, n - n_left);
    v->merge_sizes[v->n_merges] = v->pool.n_bytes - v->merge_starts[v->n_merges];
    v->n_merges++;
}

/* Merges that build the unit from its bytes, then 2, 4 .. 32 of it; and 3, which the pairs in between can meet. */
static void add_runs(struct vocabulary *v, const char *unit, bool byte_level) {
    char run[256];
    size_t n = strlen(unit);
    for (size_t i = 0; i < sizeof run; i++) run[i] = unit[i % n];
    for (size_t k = 2; k <= n; k++) {
        add_token(v, run, k, byte_level, 1);
        add_merge(v, run, k - 1, k);
    }
    for (size_t times = 2; times * n <= 128 && times <= 32; times *= 2) {
        add_token(v, run, times * n, byte_level, 1);
        add_merge(v, run, times / 2 * n, times * n);
        add_token(v, run, times * n + n, byte_level, 1);
        add_merge(v, run, times * n, times * n + n);
    }
}

static const char *const units[] = {"a", "\n", "\xCC\x81", "\xF0\x9F\x91\xA9\xE2\x80\x8D", " "};
#define N_UNITS 5

static tokenizer *make(bool byte_level) {
    struct vocabulary *v = alloc_zeroed(1, sizeof *v);
    tokenizer *t = NULL;
    struct cria_error err = {0};
    assert_non_null(v);
    v->pool = buffer_make(MIB);
    if (!byte_level) {
        add_token(v, "<unk>", 5, false, 2);
        add_token(v, "\xE2\x96\x81", 3, false, 1);
    }
    for (int i = 0; i < 256; i++) {
        char name[8], byte = (char)i;
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        if (byte_level) add_token(v, &byte, 1, true, 1);
        else add_token(v, name, 6, false, 6);
    }
    for (int i = 0; i < N_UNITS - !byte_level; i++) {
        if (!byte_level && strlen(units[i]) < 4) add_token(v, units[i], strlen(units[i]), false, 1);
        if (byte_level || strlen(units[i]) == 1) add_runs(v, units[i], byte_level);
    }
    for (size_t i = 0; i < v->n_tokens; i++)
        v->tokens[i] = (struct text_span){v->pool.data + v->starts[i], v->sizes[i]};
    for (size_t i = 0; i < v->n_merges; i++) {
        v->merges[i] = (struct text_span){v->pool.data + v->merge_starts[i], v->merge_sizes[i]};
    }
    struct tokenizer_vocab vocab = {
        .model = byte_level ? "gpt2" : "llama",
        .pre = "llama3",
        .tokens = v->tokens,
        .n_tokens = v->n_tokens,
        .scores = v->scores,
        .types = v->types,
        .merges = v->merges,
        .n_merges = v->n_merges,
        .bos_id = -1,
        .eos_id = -1,
        .eot_id = -1,
        .eom_id = -1,
        .unknown_id = -1,
        .pad_id = -1,
        .add_bos = -1,
        .add_space_prefix = 0,
    };
    if (tokenizer_from_vocab(&t, &vocab, &err) != CRIA_OK) fail_msg("%s", err.text);
    buffer_free(&v->pool);
    alloc_free(v);
    return t;
}

struct job {
    const tokenizer *t;
    const char *text;
    size_t n;
    double seconds;
    bool same; /* decoding gave the text back */
    size_t n_ids;
    struct cria_error err;
    cria_status status;
};

static double thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *run_job(void *arg) {
    struct job *j = arg;
    struct token_list list = {0};
    struct buffer out = buffer_make(64 * MIB);
    double start = thread_seconds();
    j->status = tokenizer_encode(j->t, j->text, j->n, NULL, &list, NULL, &j->err);
    j->seconds = thread_seconds() - start;
    if (j->status == CRIA_OK) j->status = tokenizer_decode(j->t, list.ids, list.n, false, &out, &j->err);
    j->same = j->status == CRIA_OK && out.n_bytes == j->n && memcmp(out.data, j->text, j->n) == 0;
    j->n_ids = list.n;
    buffer_free(&out);
    token_list_free(&list);
    return NULL;
}

static double encode_seconds(const tokenizer *t, const char *text, size_t n) {
    struct job j = {.t = t, .text = text, .n = n};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_job, &j), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    if (j.status != CRIA_OK) fail_msg("%s", j.err.text);
    assert_true(j.same);
    return j.seconds;
}

static void fill(char *text, size_t n, int kind) {
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        if (kind < N_UNITS) {
            text[i] = units[kind][i % strlen(units[kind])];
            continue;
        }
        if (i % 8 == 0) word = random_u64(SEED, RANDOM_TEST, i / 8);
        uint8_t byte = (uint8_t)(word >> (8 * (i % 8)));
        text[i] = (char)byte;
    }
}

/* The middle of three runs. */
static double middle_seconds(const tokenizer *t, const char *text, size_t n) {
    double runs[3];
    for (int i = 0; i < 3; i++) {
        double seconds = encode_seconds(t, text, n);
        int at = i;
        for (; at > 0 && runs[at - 1] > seconds; at--) runs[at] = runs[at - 1];
        runs[at] = seconds;
    }
    return runs[1];
}

static void test_kinds(const tokenizer *t) {
    char *text = alloc_array(10 * SHORT_BYTES, 1);
    assert_non_null(text);
    for (int kind = 0; kind <= N_UNITS; kind++) {
        double one = 0, ten = 1e9;
        fill(text, 10 * SHORT_BYTES, kind);
        for (int i = 0; i < 3 && ten > MAX_RATIO * one; i++) { /* the machine may be busy with other things */
            one = middle_seconds(t, text, SHORT_BYTES);
            ten = encode_seconds(t, text, 10 * SHORT_BYTES);
        }
        print_message("kind %d: %.0f and %.0f ms, ratio %.1f\n", kind, one * 1e3, ten * 1e3, ten / one);
        assert_true(ten <= MAX_RATIO * one);
    }
    alloc_free(text);
}

static void test_byte_level(void **state) {
    (void)state;
    tokenizer *t = make(true);
    test_kinds(t);
    tokenizer_destroy(&t);
}

static void test_sentencepiece(void **state) {
    (void)state;
    tokenizer *t = make(false);
    test_kinds(t);
    tokenizer_destroy(&t);
}

int main(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 17); /* each run begins with fresh memory, short or long */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_byte_level), cmocka_unit_test(test_sentencepiece)};
    return cmocka_run_group_tests_name("long_text", tests, NULL, NULL);
}
