/* hf_directory_test.c: what right, odd, contradictory and hostile Hugging Face directories do.
 *
 * Each case writes a tiny model's directory with one thing changed and opens it as a program does. S06, S07 and the
 * "questions settled" are rows of the list of bad input in docs/FORMATS.md, "Bad input". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "format/format.h"

#define MAX_TENSORS 32

static char folder[] = "/dev/shm/cria-hf-XXXXXX"; /* memory: hundreds of directories are written */

static int set_up(void **state) {
    (void)state;
    if (mkdtemp(folder)) return 0;
    snprintf(folder, sizeof folder, "/tmp/cria-hf-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *const known_files[] = {
    "config.json",         "generation_config.json", "tokenizer_config.json",
    "chat_template.jinja", "model.safetensors",      "model.safetensors.index.json",
    "model-1.safetensors", "model-2.safetensors",    "pytorch_model.bin",
    "real.safetensors",    "tokenizer.json",
};

static void path_of(const char *name, char out[128]) { snprintf(out, 128, "%s/%s", folder, name); }

static void clear_folder(void) {
    for (size_t i = 0; i < sizeof known_files / sizeof known_files[0]; i++) {
        char path[128];
        path_of(known_files[i], path);
        unlink(path);
    }
}

static int tear_down(void **state) {
    (void)state;
    clear_folder();
    return rmdir(folder);
}

static void write_bytes(const char *name, const void *bytes, size_t n) {
    char path[128];
    path_of(name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *name, const char *text) { write_bytes(name, text, strlen(text)); }

/* The tiny model: D 8, two layers, 4 heads of 4, 2 key/value heads, F 6, V 10; a letter stands for its number. */
struct tensor {
    const char *name;
    int rows, columns; /* rows 0: a vector */
};

static const struct tensor tensors[] = {
    {"model.embed_tokens.weight", 10, 8},
    {"model.layers.0.input_layernorm.weight", 0, 8},
    {"model.layers.0.self_attn.q_proj.weight", 16, 8},
    {"model.layers.0.self_attn.k_proj.weight", 8, 8},
    {"model.layers.0.self_attn.v_proj.weight", 8, 8},
    {"model.layers.0.self_attn.o_proj.weight", 8, 16},
    {"model.layers.0.post_attention_layernorm.weight", 0, 8},
    {"model.layers.0.mlp.gate_proj.weight", 6, 8},
    {"model.layers.0.mlp.up_proj.weight", 6, 8},
    {"model.layers.0.mlp.down_proj.weight", 8, 6},
    {"model.norm.weight", 0, 8},
    {"lm_head.weight", 10, 8},
};
#define N_TENSORS ((int)(sizeof tensors / sizeof tensors[0]))

/* What a safetensors file is to be like. */
struct weights {
    const char *only_prefix, *not_prefix; /* only tensors with, without this prefix */
    const char *dtype;                    /* NULL: F32 */
    const char *extra_name;               /* one more, of two F32 */
    int head_byte;    /* added to the first byte of lm_head.weight, which is the embedding's otherwise */
    int top_byte;     /* of each number; 0: 0x3c, which makes small ones */
    bool is_reversed; /* entries in the opposite order of the data */
};

static bool is_wanted(const struct weights *w, const char *name) {
    if (w->only_prefix && strncmp(name, w->only_prefix, strlen(w->only_prefix)) != 0) return false;
    return !w->not_prefix || strncmp(name, w->not_prefix, strlen(w->not_prefix)) != 0;
}

static void write_weights(const char *file, const struct weights *w) {
    struct buffer entries[MAX_TENSORS], header = buffer_make(1 << 16), data = buffer_make(1 << 16);
    int n = 0;
    const int size = w->dtype && strcmp(w->dtype, "F32") != 0 ? 2 : 4;
    for (int i = 0; i < N_TENSORS + (w->extra_name != NULL); i++) {
        const struct tensor t = i < N_TENSORS ? tensors[i] : (struct tensor){w->extra_name, 0, 2};
        const int elements = (t.rows ? t.rows : 1) * t.columns;
        const size_t begin = data.n_bytes;
        if (i < N_TENSORS && !is_wanted(w, t.name)) continue;
        const bool is_head = strcmp(t.name, "lm_head.weight") == 0;
        for (int k = 0; k < elements * size; k++) {
            const int byte = (k % size == size - 1 ? (w->top_byte ? w->top_byte : 0x3c) : k * 7 + (is_head ? 0 : i)) +
                             (is_head && k == 0 ? w->head_byte : 0);
            buffer_append_char(&data, (char)byte);
        }
        entries[n] = buffer_make(1024);
        buffer_append_format(&entries[n], "\"%s\":{\"dtype\":\"%s\",\"shape\":[", t.name, w->dtype ? w->dtype : "F32");
        if (t.rows) buffer_append_format(&entries[n], "%d,", t.rows);
        buffer_append_format(&entries[n], "%d],\"data_offsets\":[%zu,%zu]}", t.columns, begin, data.n_bytes);
        n++;
    }
    buffer_append_text(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < n; i++) {
        buffer_append_char(&header, ',');
        buffer_append_text(&header, buffer_text(&entries[w->is_reversed ? n - 1 - i : i]));
    }
    buffer_append_char(&header, '}');
    while (header.n_bytes % 8) buffer_append_char(&header, ' ');
    struct buffer whole = buffer_make(1 << 20);
    for (int i = 0; i < 8; i++) buffer_append_char(&whole, (char)(header.n_bytes >> (8 * i)));
    buffer_append(&whole, header.data, header.n_bytes);
    buffer_append(&whole, data.data, data.n_bytes);
    assert_int_equal(whole.status, CRIA_OK);
    write_bytes(file, whole.data, whole.n_bytes);
    for (int i = 0; i < n; i++) buffer_free(&entries[i]);
    buffer_free(&header);
    buffer_free(&data);
    buffer_free(&whole);
}

#define BASE                                                                                                       \
    "\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":1," \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":4,\"intermediate_size\":6,"                  \
    "\"rms_norm_eps\":1e-05,\"max_position_embeddings\":64,\"vocab_size\":10,\"hidden_act\":\"silu\""

static void write_usual(void) {
    clear_folder();
    write_text("config.json", "{" BASE "}");
    write_weights("model.safetensors", &(struct weights){0});
}

static cria_status open_folder(model_files **ret, struct cria_error *err) {
    return model_files_open(ret, folder, NULL, err);
}

/* The folder as it is has to fail with a message that holds word; a NULL word: it has to open and give all bytes. */
static void expect(const char *what, const char *word) {
    model_files *m = NULL;
    struct cria_error err = {0};
    uint8_t digest[32];
    const cria_status status = open_folder(&m, &err);
    if (status == CRIA_OK) assert_int_equal(model_files_digest(m, digest, &err), CRIA_OK);
    model_files_close(&m);
    if (!word && status != CRIA_OK) fail_msg("%s: expected a load, got %s", what, err.text);
    if (word && status == CRIA_OK) fail_msg("%s: expected an error about \"%s\", but it loads", what, word);
    if (word && !strstr(err.text, word)) fail_msg("%s: expected an error about \"%s\", got: %s", what, word, err.text);
    if (word && !strstr(err.text, folder)) fail_msg("%s: the error does not name the file: %s", what, err.text);
}

static void expect_config(const char *config, const char *word) {
    write_usual();
    write_text("config.json", config);
    expect(config, word);
}

/* Catches a directory reader that is wrong altogether: values, places of tensors, both orders of entries. */
static void test_right_directory(void **state) {
    (void)state;
    model_files *m = NULL;
    struct cria_error err = {0};
    write_usual();
    write_text("config.json", "{" BASE ",\"bos_token_id\":1,\"eos_token_id\":[2,3]}");
    write_text("generation_config.json", "{\"eos_token_id\":[3,4],\"temperature\":0.6}");
    write_text("tokenizer_config.json", "{\"chat_template\":\"{{ a }}\"}");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(open_folder(&m, &err), CRIA_OK);
        const struct arch_config *c = model_files_config(m);
        assert_true(c->d_model == 8 && c->n_heads == 4 && c->n_kv_heads == 2 && c->head_size == 4 && c->d_ff == 6);
        assert_true(c->n_vocab == 10 && !c->tied && c->n_context == 64 && c->norm_eps == 1e-5 && c->bos_id == 1);
        assert_true(c->n_stop_ids == 3 && c->stop_ids[0] == 2 && c->stop_ids[2] == 4);
        assert_string_equal(c->name, strrchr(folder, '/') + 1);
        const struct model_tensor q = model_files_tensor(m, ARCH_W_Q, 0);
        uint8_t bytes[8];
        assert_int_equal(model_files_read(m, &q, 0, 8, bytes, &err), CRIA_OK);
        assert_true(q.n_rows == 16 && q.n_columns == 8 && q.n_bytes == 512 && !q.rope_interleaved);
        assert_true(bytes[0] == 2 && bytes[1] == 9 && bytes[3] == 0x3c); /* the third tensor's own bytes */
        assert_string_equal(model_files_template(m), "{{ a }}");
        assert_string_equal(model_files_kind(m), "Hugging Face directory");
        tokenizer *t = NULL;
        assert_int_equal(model_files_tokenizer(m, &t, &err), CRIA_NOTFOUND);
        model_files_close(&m);
        write_weights("model.safetensors", &(struct weights){.is_reversed = true});
    }
    char path[128];
    path_of("config.json", path);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_OK);
    model_files_close(&m);
    char real[128];
    path_of("model.safetensors", path);
    path_of("real.safetensors", real);
    assert_int_equal(rename(path, real), 0);
    assert_int_equal(symlink(real, path), 0); /* as hub caches do */
    expect("a link to a regular file", NULL);
}

/* Catches an old or new form of config.json that is misread, and what has to be refused. */
static void test_config_forms(void **state) {
    (void)state;
    expect_config("{" BASE ",\"torch_dtype\":\"bfloat16\",\"rope_theta\":500000.0,\"rope_scaling\":null}", NULL);
    expect_config(
        "{" BASE ",\"dtype\":\"float32\",\"rope_parameters\":{\"rope_theta\":500000,\"rope_type\":\"default\"}}", NULL);
    expect_config("{" BASE ",\"rope_scaling\":{\"type\":\"linear\",\"rope_type\":\"linear\",\"factor\":2.0}}", NULL);
    expect_config("{" BASE ",\"rope_theta\":5.0,\"rope_parameters\":{\"rope_theta\":5,\"rope_type\":\"default\"}}",
                  NULL);
    expect_config("{" BASE ",\"rope_theta\":5.0,\"rope_parameters\":{\"rope_theta\":6,\"rope_type\":\"default\"}}",
                  "two places");
    expect_config("{" BASE ",\"rope_scaling\":{\"type\":\"linear\",\"rope_type\":\"llama3\",\"factor\":2.0}}",
                  "contradict");
    expect_config("{" BASE
                  ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0},"
                  "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":3.0}}",
                  "contradict");
    expect_config("{" BASE
                  ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0},"
                  "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2.0,\"rope_theta\":7}}",
                  NULL);
    expect_config("{" BASE ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.0}}", "\"dynamic\"");
    expect_config("{" BASE ",\"rope_scaling\":{\"type\":\"linear\"}}", "\"factor\"");
    expect_config("{" BASE ",\"rope_scaling\":{\"factor\":2.0}}", "rope_type");
    expect_config("{" BASE
                  ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":4.0,"
                  "\"high_freq_factor\":1.0,\"original_max_position_embeddings\":8192}}",
                  "low_freq_factor");
    expect_config("{" BASE ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0}}", "low_freq_factor");
    expect_config("{" BASE ",\"rope_parameters\":{\"full\":{\"rope_type\":\"default\"}}}", "between layers");
    expect_config("{" BASE ",\"rope_theta\":-5}", "theta");
    expect_config("{" BASE ",\"partial_rotary_factor\":0.5}", "partial");
    expect_config("{" BASE ",\"torch_dtype\":\"bfloat16\",\"dtype\":\"float32\"}", "contradict");
    expect_config("{" BASE ",\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}}", "\"gptq\"");
    expect_config("{" BASE ",\"quantization_config\":null}", NULL);
    expect_config("{" BASE ",\"attention_bias\":true}", "attention_bias");
    expect_config("{" BASE ",\"mlp_bias\":true}", "mlp_bias");
    expect_config("{" BASE ",\"sliding_window\":4096}", "sliding window");
    expect_config("{" BASE ",\"sliding_window\":null,\"pretraining_tp\":1,\"rope_interleaved\":false}", NULL);
    expect_config("{" BASE ",\"rope_interleaved\":true}", "rope_interleaved");
    expect_config("{" BASE ",\"eos_token_id\":10}", "end-of-text id is 10");
    expect_config("{" BASE ",\"eos_token_id\":\"2\"}", "eos_token_id");
    expect_config("{" BASE ",\"bos_token_id\":-1}", "bos_token_id");
}

static void test_config_text(void **state) {
    (void)state;
    expect_config("", "config.json");
    expect_config("{", "config.json");
    expect_config("[]", "config.json");
    expect_config("{" BASE "} x", "config.json");
    expect_config("\xef\xbb\xbf{" BASE "}", "config.json");
    expect_config("{" BASE ",\"vocab_size\":10}", "vocab_size");
    expect_config("{" BASE ",\"x\":{\"a\":1,\"a\":2}}", "config.json");
    expect_config("{\"model_type\":\"llama\"}", "\"hidden_size\" is missing");
    expect_config("{" BASE ",\"num_local\":1e400}", NULL); /* of a field that nobody reads */
    expect_config("{\"model_type\":\"qwen2\"}", "\"qwen2\"");
    expect_config("{\"model_type\":\"llama\",\"architectures\":[\"LlamaForSequenceClassification\"]}",
                  "LlamaForSequenceClassification");
    expect_config("{\"hidden_size\":8}", "model_type");
    expect_config("{\"model_type\":\"llama\",\"hidden_size\":8.0}", "hidden_size");
    expect_config("{\"model_type\":\"llama\",\"hidden_size\":-8}", "hidden_size");
    expect_config("{\"model_type\":\"llama\",\"hidden_act\":\"gelu\"}", "\"gelu\"");
    expect_config("{\"model_type\":\"mistral\",\"sliding_window\":4096}", "sliding window");
    struct buffer deep = buffer_make(1 << 16);
    for (int depth = 63; depth <= 64; depth++) {
        buffer_cut(&deep, 0);
        buffer_append_text(&deep, "{" BASE ",\"x\":");
        for (int i = 0; i < depth; i++) buffer_append_char(&deep, '[');
        for (int i = 0; i < depth; i++) buffer_append_char(&deep, ']');
        buffer_append_char(&deep, '}');
        expect_config(buffer_text(&deep), depth == 63 ? NULL : "config.json");
    }
    buffer_free(&deep);
}

/* There is a tokenizer, but none that can be read: not NOTFOUND, which would mean a run by ids. */
static void expect_no_tokenizer(const char *path) {
    model_files *m = NULL;
    tokenizer *t = NULL;
    struct cria_error err = {0};
    assert_int_equal(open_folder(&m, &err), CRIA_OK);
    assert_int_equal(model_files_tokenizer(m, &t, &err), CRIA_IO);
    assert_non_null(strstr(err.text, path));
    model_files_close(&m);
}

/* Catches a broken companion that is taken for a missing one. */
static void test_broken_companions(void **state) {
    (void)state;
    write_usual();
    write_text("generation_config.json", "{\"eos_token_id\":");
    expect("generation_config.json", "generation_config.json");
    write_usual();
    write_text("tokenizer_config.json", "not JSON");
    expect("tokenizer_config.json", "tokenizer_config.json");
    static const char *const dangling[] = {"generation_config.json", "chat_template.jinja", "tokenizer.json"};
    for (size_t i = 0; i < sizeof dangling / sizeof dangling[0]; i++) {
        char path[128];
        write_usual();
        path_of(dangling[i], path);
        unlink(path);
        assert_int_equal(symlink("nowhere", path), 0); /* as a half-fetched hub cache has them */
        if (i < 2) expect(dangling[i], dangling[i]);
        if (i == 2) expect_no_tokenizer(path);
        unlink(path);
    }
    write_usual();
    write_text("chat_template.jinja", "\xff");
    expect("chat_template.jinja", "UTF-8");
}

static void expect_template(const char *config, const char *jinja, const char *wanted, const char *word) {
    write_usual();
    if (config) write_text("tokenizer_config.json", config);
    if (jinja) write_text("chat_template.jinja", jinja);
    if (word) {
        expect("template", word);
        return;
    }
    model_files *m = NULL;
    struct cria_error err = {0};
    if (open_folder(&m, &err) != CRIA_OK) fail_msg("%s", err.text);
    const char *got = model_files_template(m);
    if (!got != !wanted || (got && strcmp(got, wanted) != 0)) fail_msg("template %s, expected %s", got, wanted);
    model_files_close(&m);
}

static void test_templates(void **state) {
    (void)state;
    expect_template(NULL, NULL, NULL, NULL);
    expect_template("{\"chat_template\":null}", NULL, NULL, NULL);
    expect_template("{\"chat_template\":\"a\\n\\u00e9\"}", NULL, "a\n\xc3\xa9", NULL);
    expect_template(NULL, "from a file\n", "from a file\n", NULL);
    expect_template("{\"chat_template\":\"same\"}", "same", "same", NULL);
    expect_template("{\"chat_template\":\"one\"}", "two", NULL, "differs");
    expect_template(
        "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"t\"},{\"name\":\"default\",\"template\":\"d\"}]}",
        NULL, "d", NULL);
    expect_template("{\"chat_template\":[{\"name\":\"default\"}]}", NULL, NULL, "needs");
    expect_template(
        "{\"chat_template\":[{\"name\":\"default\",\"template\":\"a\"},{\"name\":\"default\",\"template\":\"b\"}]}",
        NULL, NULL, "two chat templates");
    expect_template("{\"chat_template\":5}", NULL, NULL, "tokenizer_config.json");
    expect_template("{\"chat_template\":\"a\\u0000b\"}", NULL, NULL, "U+0000");
}

static void test_tensors(void **state) {
    (void)state;
    write_usual();
    write_weights("model.safetensors", &(struct weights){.extra_name = "model.layers.0.self_attn.q_proj.bias"});
    expect("a bias", "q_proj.bias");
    write_weights("model.safetensors", &(struct weights){.extra_name = "model.layers.1.input_layernorm.weight"});
    expect("beyond the layers", "only 1 layers");
    write_weights("model.safetensors", &(struct weights){.extra_name = "model.layers.0.self_attn.rotary_emb.inv_freq"});
    expect("ignored", NULL);
    write_weights("model.safetensors", &(struct weights){.dtype = "I16"});
    expect("a format that is not computed with", "I16");
    write_weights("model.safetensors", &(struct weights){.dtype = "BF16"});
    expect("bf16", NULL);
    write_weights("model.safetensors", &(struct weights){.not_prefix = "model.norm"});
    expect("missing", "\"model.norm.weight\" is missing");
    write_weights("model.safetensors", &(struct weights){.not_prefix = "lm_head"});
    expect("no head", "\"lm_head.weight\" is missing");
    write_text("config.json", "{" BASE ",\"tie_word_embeddings\":true}");
    expect("tied", NULL);
    write_weights("model.safetensors", &(struct weights){0});
    expect("tied, with an equal head", NULL);
    write_weights("model.safetensors", &(struct weights){.head_byte = 1});
    expect("tied, with another head", "ties the embeddings");
    write_text("config.json", "{" BASE ",\"max_window_layers\":3}");
    expect("untied", NULL);
    write_usual();
    write_text("config.json",
               "{\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":4,"
               "\"intermediate_size\":6,\"rms_norm_eps\":1e-5,\"max_position_embeddings\":64,\"vocab_size\":10}");
    expect("head size from the width, as many kv heads as heads", "16 rows of 8");
}

/* Catches NaN and infinities that pass in one of the plain formats. */
static void test_numbers(void **state) {
    (void)state;
    static const struct weights right[] = {{.dtype = "F32"}, {.dtype = "BF16"}, {.dtype = "F16"}};
    static const struct weights wrong[] = {
        {.dtype = "F32", .top_byte = 0x7f}, {.dtype = "BF16", .top_byte = 0x7f}, {.dtype = "F16", .top_byte = 0x7c}};
    const struct model_open_options check = {.check_tensors = true};
    for (int i = 0; i < 6; i++) {
        model_files *m = NULL;
        struct cria_error err = {0};
        write_usual();
        write_weights("model.safetensors", i < 3 ? &right[i] : &wrong[i - 3]);
        const cria_status status = model_files_open(&m, folder, &check, &err);
        model_files_close(&m);
        if (status != (i < 3 ? CRIA_OK : CRIA_NUMERIC))
            fail_msg("case %d: %s: %s", i, cria_status_name(status), err.text);
    }
}

static const char *const index_text =
    "{\"metadata\":{\"total_size\":5},\"weight_map\":{"
    "\"model.embed_tokens.weight\":\"model-1.safetensors\",\"model.norm.weight\":\"model-1.safetensors\","
    "\"model.layers.0.input_layernorm.weight\":\"model-1.safetensors\","
    "\"model.layers.0.self_attn.q_proj.weight\":\"model-1.safetensors\","
    "\"model.layers.0.self_attn.k_proj.weight\":\"model-1.safetensors\","
    "\"model.layers.0.self_attn.v_proj.weight\":\"model-1.safetensors\","
    "\"model.layers.0.self_attn.o_proj.weight\":\"model-1.safetensors\","
    "\"model.layers.0.post_attention_layernorm.weight\":\"model-1.safetensors\","
    "\"model.layers.0.mlp.gate_proj.weight\":\"model-1.safetensors\","
    "\"model.layers.0.mlp.up_proj.weight\":\"model-1.safetensors\","
    "\"model.layers.0.mlp.down_proj.weight\":\"model-1.safetensors\","
    "\"lm_head.weight\":\"model-2.safetensors\"%s}}";

static void write_sharded(const char *more) {
    char text[4096];
    write_usual();
    char path[128];
    path_of("model.safetensors", path);
    unlink(path);
    write_weights("model-1.safetensors", &(struct weights){.not_prefix = "lm_head"});
    write_weights("model-2.safetensors", &(struct weights){.only_prefix = "lm_head"});
    snprintf(text, sizeof text, index_text, more);
    write_text("model.safetensors.index.json", text);
}

/* S06: catches an index that leads out of the directory or disagrees with the files. */
static void test_S06_index(void **state) {
    (void)state;
    write_sharded("");
    expect("two shards", NULL);
    static const char *const outside[] = {
        "../x.safetensors", "/etc/x.safetensors", "a/b.safetensors",     "..", "sub/../x.safetensors", "",
        ".safetensors",     "model.bin",          "a\\u0000.safetensors"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        char more[128];
        snprintf(more, sizeof more, ",\"x\":\"%s\"", outside[i]);
        write_sharded(more);
        expect(outside[i], "own directory");
    }
    write_sharded(",\"x\":\"model-3.safetensors\"");
    expect("a missing shard", "model-3.safetensors");
    write_sharded(",\"x\":\"model-2.safetensors\"");
    expect("a shard that lacks the tensor", "lacks it");
    write_sharded(",\"model.norm.weight\":\"model-2.safetensors\"");
    expect("the same tensor twice in the index", "model.norm.weight");
    write_sharded("");
    write_weights("model-2.safetensors", &(struct weights){0});
    expect("the same tensor in two shards", "it is here too");
    write_sharded("");
    write_weights("model-2.safetensors", &(struct weights){.only_prefix = "lm_head", .extra_name = "x"});
    expect("a tensor that the index does not know", "not in the index");
    write_sharded("");
    write_weights("model.safetensors", &(struct weights){0});
    expect("an index and a single file", "both");
    write_sharded("");
    write_text("model.safetensors.index.json", "{}");
    expect("no map", "weight_map");
    write_text("model.safetensors.index.json", "{\"weight_map\":{}}");
    expect("an empty map", "missing");
}

/* Catches a limit that is off by one: files of an index, bytes of the texts. */
static void test_limits(void **state) {
    (void)state;
    for (int n = LIMIT_SHARDS; n <= LIMIT_SHARDS + 1; n++) {
        struct buffer text = buffer_make(1 << 20);
        buffer_append_text(&text, "{\"weight_map\":{");
        for (int i = 0; i < n; i++) buffer_append_format(&text, "%s\"t%d\":\"f%d.safetensors\"", i ? "," : "", i, i);
        buffer_append_text(&text, "}}");
        write_sharded("");
        write_text("model.safetensors.index.json", buffer_text(&text));
        expect("index", n > LIMIT_SHARDS ? "more than 1024 files" : "f0.safetensors"); /* which is not there */
        buffer_free(&text);
    }
    for (size_t n = LIMIT_CONFIG_BYTES; n <= LIMIT_CONFIG_BYTES + 1; n++) {
        struct buffer text = buffer_make((size_t)1 << 23);
        buffer_append_text(&text, "{" BASE "}");
        while (text.n_bytes < n) buffer_append_char(&text, ' ');
        write_usual();
        write_bytes("config.json", text.data, text.n_bytes);
        expect("config.json", n > LIMIT_CONFIG_BYTES ? "config.json" : NULL);
        buffer_free(&text);
    }
}

/* S07: catches a path by which a pickle could be read. */
static void test_S07_pickles(void **state) {
    (void)state;
    char path[128];
    model_files *m = NULL;
    struct cria_error err = {0};
    clear_folder();
    write_text("config.json", "{" BASE "}");
    expect("no weights at all", "no model.safetensors");
    write_bytes("pytorch_model.bin", "PK\x03\x04....", 8);
    expect("a directory with a pickle", "convert it to safetensors");
    path_of("pytorch_model.bin", path);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_UNSUPPORTED);
    assert_non_null(strstr(err.text, "convert it to safetensors"));
    write_bytes("tokenizer.json", "\x80\x02}q", 4);
    path_of("tokenizer.json", path);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_UNSUPPORTED);
    write_usual();
    path_of("model.safetensors", path);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_USAGE);
    assert_non_null(strstr(err.text, "directory"));
    clear_folder();
    expect("an empty directory", "no config.json");
    assert_int_equal(model_files_open(&m, "/nonexistent/model", NULL, &err), CRIA_NOTFOUND);
}

/* Catches a leak or a crash where memory ends at any allocation. */
static void test_no_memory(void **state) {
    (void)state;
    write_sharded("");
    write_text("tokenizer_config.json", "{\"chat_template\":[{\"name\":\"default\",\"template\":\"d\"}]}");
    write_text("generation_config.json", "{\"eos_token_id\":[3,4]}");
    for (uint64_t n = 1;; n++) {
        model_files *m = NULL;
        alloc_fail_at(n);
        const cria_status status = open_folder(&m, NULL);
        const uint64_t count = alloc_fail_at(0);
        model_files_close(&m);
        if (count < n) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

/* Catches any byte of the text files that leads to a crash: each byte replaced by each of a few. */
static void test_every_byte_of_the_texts(void **state) {
    (void)state;
    static const char replacements[] = {0, '"', '{', '}', '[', ',', '9', '-', '\\', (char)0xff};
    static const char config[] =
        "{" BASE ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0},\"eos_token_id\":[1,2]}";
    write_usual();
    for (size_t i = 0; i < sizeof config - 1; i++) {
        for (size_t k = 0; k < sizeof replacements; k++) {
            char text[sizeof config];
            memcpy(text, config, sizeof config);
            text[i] = replacements[k];
            write_bytes("config.json", text, sizeof config - 1);
            model_files *m = NULL;
            struct cria_error err = {0};
            (void)!open_folder(&m, &err);
            model_files_close(&m);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_directory), cmocka_unit_test(test_config_forms),
        cmocka_unit_test(test_config_text),     cmocka_unit_test(test_broken_companions),
        cmocka_unit_test(test_templates),       cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_S06_index),
        cmocka_unit_test(test_S07_pickles),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_every_byte_of_the_texts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
