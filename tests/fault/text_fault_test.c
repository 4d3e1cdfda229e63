/* text_fault_test.c: the n-th allocation fails, for every n, in making and using each kind of tokenizer and a chat
 * template: alloc_fault_test.c has the models, this has what they read and write.
 *
 * Catches what it catches there, in the readers of each file form and in the splitter that Oniguruma runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/utf8.h"
#include "kit/life.h"
#include "kit/tiny.h"
#include "text/dialogue.h"
#include "text/template.h"
#include "text/tokenizer.h"

static const char text[] = "Caf\xc3\xa9 12 \xe2\x82\xac  <|bos|> don't\n\nstop.";
static char untouched;

/* What a tokenizer is made of, in one of its file forms. */
struct source {
    cria_status (*make)(tokenizer **ret, const char *bytes, size_t n, struct cria_error *err);
    const char *bytes;
    size_t n;
};

/* Makes the tokenizer, encodes the text in each way, and decodes it as a whole and as a stream. */
static cria_status speak(const struct source *s, struct cria_error *err) {
    tokenizer *tok = (tokenizer *)&untouched;
    struct token_list list = {0};
    struct tokenizer_stream stream = {0};
    struct buffer whole = buffer_make(4096), streamed = buffer_make(4096);
    cria_status status = s->make(&tok, s->bytes, s->n, err);
    if (status != CRIA_OK) {
        assert_ptr_equal(tok, &untouched);
        return status;
    }
    TRY(tokenizer_encode(tok, text, sizeof text - 1, &(struct tokenizer_options){.special = true}, &list, NULL, err));
    TRY(tokenizer_encode(tok, text, sizeof text - 1, &(struct tokenizer_options){.with_bos = true}, &list, NULL, err));
    TRY(tokenizer_decode(tok, list.ids, list.n, true, &whole, err));
    for (size_t i = 0; i < list.n; i++) TRY(tokenizer_stream_add(tok, &stream, list.ids[i], false, &streamed, err));
    tokenizer_stream_end(&stream, &streamed);
    TRY(buffer_status(&whole, "the decoded text", err));
    TRY(buffer_status(&streamed, "the streamed text", err));
    assert_non_null(strstr(buffer_text(&whole), "Caf\xc3\xa9 12"));
    assert_non_null(strstr(buffer_text(&streamed), "Caf\xc3\xa9 12"));
out:
    buffer_free(&whole);
    buffer_free(&streamed);
    token_list_free(&list);
    tokenizer_destroy(&tok);
    assert_null(tok);
    return status;
}

/* Runs work(arg) once for each n until it succeeds. */
static void fail_everywhere(cria_status (*work)(const void *arg, struct cria_error *err), const void *arg) {
    struct cria_error err = {0};
    if (work(arg, &err) != CRIA_OK) fail_msg("%s", err.text);
    uint64_t n = 1;
    for (;; n++) {
        memset(&err, 0, sizeof err);
        alloc_fail_at(n);
        const cria_status status = work(arg, &err);
        const uint64_t n_made = alloc_fail_at(0);
        if (status == CRIA_OK && n_made < n) break;
        if (status == CRIA_OK) continue; /* who asked could do without */
        if (status != CRIA_NOMEM) fail_msg("allocation %llu: %s", (unsigned long long)n, err.text);
        assert_int_equal(err.status, CRIA_NOMEM);
        assert_true(err.text[0] != '\0');
    }
    print_message("%llu allocations failed\n", (unsigned long long)n - 1);
    assert_true(n > 3);
}

static cria_status speak_any(const void *arg, struct cria_error *err) { return speak(arg, err); }

static void fail_in_json(const char *path) {
    char *json;
    size_t n;
    assert_int_equal(file_read(path, 1 << 20, &json, &n, NULL), CRIA_OK);
    fail_everywhere(speak_any, &(struct source){tokenizer_from_json, json, n});
    alloc_free(json);
}

/* A tokenizer.json with a known splitter, and with one that Oniguruma has to run. */
static void test_json(void **state) {
    (void)state;
    const struct tiny_model m = {.d_model = 16,
                                 .n_layers = 1,
                                 .n_heads = 1,
                                 .n_kv_heads = 1,
                                 .head_size = 16,
                                 .d_ff = 16,
                                 .n_vocab = TINY_MIN_VOCAB,
                                 .n_context = 32,
                                 .dtype = DTYPE_F32,
                                 .has_tokenizer = true};
    char *folder = tiny_folder();
    assert_non_null(folder);
    assert_int_equal(tiny_write_directory(&m, folder, NULL), CRIA_OK);
    char *path = file_join(folder, "tokenizer.json");
    fail_in_json(path);
    assert_int_equal(life_split_by_regex(folder, NULL), CRIA_OK);
    fail_in_json(path);
    alloc_free(path);
    tiny_remove(folder);
    alloc_free(folder);
}

static void append_base64(struct buffer *out, const unsigned char *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const unsigned word =
            (unsigned)bytes[i] << 16 | (i + 1 < n ? bytes[i + 1] : 0u) << 8 | (i + 2 < n ? bytes[i + 2] : 0u);
        for (size_t j = 0; j < 4; j++) buffer_append_char(out, i + j <= n ? digits[word >> (18 - 6 * j) & 63] : '=');
    }
}

/* A file of the form and length of Llama 3's: all bytes, all pairs, and some of three. */
static void test_tiktoken(void **state) {
    (void)state;
    struct buffer file = buffer_make(8 << 20);
    for (unsigned id = 0; id < 128000; id++) {
        const unsigned rest = id < 256 ? id : id < 65792 ? id - 256 : id - 65792;
        const unsigned char bytes[3] = {(unsigned char)rest, (unsigned char)(rest >> 8), 'x'};
        append_base64(&file, bytes, id < 256 ? 1 : id < 65792 ? 2 : 3);
        buffer_append_format(&file, " %u\n", id);
    }
    assert_int_equal(buffer_status(&file, "the file", NULL), CRIA_OK);
    fail_everywhere(speak_any, &(struct source){tokenizer_from_tiktoken, file.data, file.n_bytes});
    buffer_free(&file);
}

/* A protobuf field of bytes: fewer than 128 of them. */
static void append_field(struct buffer *out, int number, const char *bytes, size_t n) {
    buffer_append_char(out, (char)(number << 3 | 2));
    buffer_append_char(out, (char)n);
    buffer_append(out, bytes, n);
}

static void append_piece(struct buffer *file, const char *piece, float score, int type) {
    struct buffer message = buffer_make(100);
    append_field(&message, 1, piece, strlen(piece));
    buffer_append_char(&message, 2 << 3 | 5);
    buffer_append(&message, &score, sizeof score);
    buffer_append_char(&message, 3 << 3);
    buffer_append_char(&message, (char)type);
    append_field(file, 1, message.data, message.n_bytes);
    buffer_free(&message);
}

/* A SentencePiece model with Llama 2's first tokens, the bytes and a few letters. */
static void test_sentencepiece(void **state) {
    (void)state;
    static const char *const pieces[] = {"\xe2\x96\x81", "C", "a", "f", "\xc3\xa9", "1", "2", "Ca", "Caf", "12"};
    struct buffer file = buffer_make(1 << 20);
    append_piece(&file, "<unk>", 0, 2);
    append_piece(&file, "<s>", 0, 3);
    append_piece(&file, "</s>", 0, 3);
    for (int i = 0; i < 256; i++) {
        struct buffer name = buffer_make(8);
        buffer_append_format(&name, "<0x%02X>", (unsigned)i);
        append_piece(&file, buffer_text(&name), 0, 6);
        buffer_free(&name);
    }
    for (int i = 0; i < 10; i++) append_piece(&file, pieces[i], (float)-i, 1);
    append_field(&file, 2, "\x18\x02", 2);       /* model_type: BPE */
    append_field(&file, 3, "\x18\x01\x20\0", 4); /* add_dummy_prefix, no remove_extra_whitespaces */
    assert_int_equal(buffer_status(&file, "the file", NULL), CRIA_OK);
    fail_everywhere(speak_any, &(struct source){tokenizer_from_sentencepiece, file.data, file.n_bytes});
    buffer_free(&file);
}

/* What a GGUF file would say, in `v`. */
static cria_status speak_vocab(tokenizer **ret, const char *bytes, size_t n, struct cria_error *err) {
    struct tokenizer_vocab v;
    assert_int_equal(n, sizeof v);
    memcpy(&v, bytes, sizeof v);
    return tokenizer_from_vocab(ret, &v, err);
}

/* The characters that stand for bytes in byte-level vocabularies. */
static void test_gguf_vocabulary(void **state) {
    (void)state;
    static char names[257][5];
    struct text_span tokens[257];
    uint32_t stand_in = 0x100;
    for (int byte = 0; byte < 256; byte++) {
        const int is_shown = (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
        const int length = utf8_encode(is_shown ? (uint32_t)byte : stand_in++, names[byte]);
        tokens[byte] = (struct text_span){names[byte], (size_t)length};
    }
    tokens[256] = (struct text_span){"Ca", 2};
    const struct text_span merge = {"C a", 3};
    const struct tokenizer_vocab v = {.model = "gpt2",
                                      .pre = "smollm",
                                      .tokens = tokens,
                                      .n_tokens = 257,
                                      .merges = &merge,
                                      .n_merges = 1,
                                      .bos_id = 0,
                                      .eos_id = 1,
                                      .eot_id = -1,
                                      .eom_id = -1,
                                      .unknown_id = -1,
                                      .pad_id = -1,
                                      .add_bos = -1,
                                      .add_space_prefix = -1};
    fail_everywhere(speak_any, &(struct source){speak_vocab, (const char *)&v, sizeof v});
}

static cria_status render(const void *arg, struct cria_error *err) {
    static const char source[] =
        "{%- macro show(m) -%}<|{{ m.role }}|>{{ m.content | trim }}{%- endmacro -%}{{ bos_token }}"
        "{% for m in messages if m.role != 'tool' %}{{ show(m) }}{% set x = m.content.split(' ') | list %}"
        "{{ x | length }}{% endfor %}{{ messages | tojson }}{% if add_generation_prompt %}go{% endif %}";
    static const char variables[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\" a \\u20ac b\"},{\"role\":\"assistant\",\"content\":\"c\"}],"
        "\"bos_token\":\"<s>\",\"add_generation_prompt\":true}";
    (void)arg;
    template *t = (template *)&untouched;
    struct prompt_text prompt, before;
    memset(&prompt, 0x5a, sizeof prompt);
    before = prompt;
    cria_status status = template_compile(&t, source, sizeof source - 1, err);
    if (status != CRIA_OK) {
        assert_ptr_equal(t, &untouched);
        return status;
    }
    status = template_render(t, variables, sizeof variables - 1, &template_default_budget, &prompt, err);
    if (status == CRIA_OK) {
        assert_int_equal(strncmp(prompt.text, "<s><|user|>a \xe2\x82\xac", 14), 0);
        prompt_text_free(&prompt);
    } else {
        assert_memory_equal(&prompt, &before, sizeof prompt);
    }
    template_destroy(&t);
    assert_null(t);
    return status;
}

static void test_template(void **state) {
    (void)state;
    fail_everywhere(render, NULL);
}

/* A dialogue that is read, grown, cut, rendered and written. */
static cria_status talk(const void *arg, struct cria_error *err) {
    static const char source[] = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    static const char json[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"\\u20ac\"}]}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"extra\":1}";
    (void)arg;
    dialogue *d = (dialogue *)&untouched;
    template *t = NULL;
    struct prompt_text prompt, before;
    struct buffer out = buffer_make(4096);
    memset(&prompt, 0x5a, sizeof prompt);
    before = prompt;
    cria_status status = dialogue_from_json(&d, json, sizeof json - 1, err);
    if (status != CRIA_OK) {
        assert_ptr_equal(d, &untouched);
        return status;
    }
    TRY(dialogue_add(d, "assistant", "an answer", 9, err));
    TRY(dialogue_add(d, "user", "one more", 8, err));
    dialogue_cut(d, 3);
    TRY(dialogue_to_json(d, &out, err));
    TRY(buffer_status(&out, "the dialogue", err));
    assert_int_equal(dialogue_messages(d), 3);
    TRY(template_compile(&t, source, sizeof source - 1, err));
    status = dialogue_render(d, t, NULL, &prompt, err);
    if (status == CRIA_OK) {
        assert_non_null(strstr(prompt.text, "assistant: an answer\n"));
        prompt_text_free(&prompt);
    } else {
        assert_memory_equal(&prompt, &before, sizeof prompt);
    }
out:
    template_destroy(&t);
    dialogue_destroy(&d);
    assert_null(d);
    buffer_free(&out);
    return status;
}

static void test_dialogue(void **state) {
    (void)state;
    fail_everywhere(talk, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json),          cmocka_unit_test(test_tiktoken),
                                       cmocka_unit_test(test_sentencepiece), cmocka_unit_test(test_gguf_vocabulary),
                                       cmocka_unit_test(test_template),      cmocka_unit_test(test_dialogue)};
    return cmocka_run_group_tests_name("text_fault", tests, NULL, NULL);
}
