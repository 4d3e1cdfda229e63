/* vectors_test.c: logits that Meta's own model code gives for synthetic weights, through files that this test writes.
 *
 * The same two models are written as GGUF (query and key rows as pairs, Llama 3.1 scaling as divisors) and as a Hugging
 * Face directory (rows as halves, scaling as parameters); both must give the numbers printed by the reference (fp32,
 * one pass over 12 tokens, confirmed in float64). The rotation's cosines and sines are held to a table of the same
 * kind. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/arch.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/realmath.h"
#include "kit/runner.h"

enum { D = 32, H = 4, G = 2, S = 8, F = 96, V = 48, L = 2, N_TOKENS = 12 };

/* --- the generator of weights --- */

static uint32_t name_seed(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

static float weight_value(const char *name, uint32_t i) {
    uint32_t x = name_seed(name) + i * 0x9E3779B9u;
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    x ^= x >> 16;
    const double u = (double)x / 4294967296.0 - 0.5;
    return (float)(strstr(name, "norm.weight") ? 1 + 0.5 * u : 0.6 * u);
}

/* Catches a slip in this test's own generator, which would look like a wrong model. */
static void test_generator(void **state) {
    (void)state;
    assert_int_equal(name_seed("tok_embeddings.weight"), 0x4FB0EFE2u);
    assert_int_equal(name_seed("norm.weight"), 0x051467CFu);
    const float embedding[] = {0.20633672f, 0.23967738f, -0.25860846f, -0.12524098f};
    const float norm[] = {0.75874597f, 1.1602873f, 0.8255728f};
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(fabsf(weight_value("tok_embeddings.weight", i) - embedding[i]) < 1e-7f);
    }
    for (uint32_t i = 0; i < 3; i++) assert_true(fabsf(weight_value("norm.weight", i) - norm[i]) < 1e-7f);
}

/* --- the tensors of the models, under their three names --- */

struct tensor {
    const char *meta_name, *gguf_name, *hf_name; /* %d is the layer */
    int n_rows, n_columns;                       /* a vector has 0 rows */
    int n_rotated_heads;                         /* its rows are heads that are rotated */
};

static const struct tensor model_tensors[] = {
    {"tok_embeddings.weight", "token_embd.weight", "model.embed_tokens.weight", V, D, 0},
    {"norm.weight", "output_norm.weight", "model.norm.weight", 0, D, 0},
    {"output.weight", "output.weight", "lm_head.weight", V, D, 0},
};
static const struct tensor layer_tensors[] = {
    {"layers.%d.attention_norm.weight", "blk.%d.attn_norm.weight", "model.layers.%d.input_layernorm.weight", 0, D, 0},
    {"layers.%d.attention.wq.weight", "blk.%d.attn_q.weight", "model.layers.%d.self_attn.q_proj.weight", H *S, D, H},
    {"layers.%d.attention.wk.weight", "blk.%d.attn_k.weight", "model.layers.%d.self_attn.k_proj.weight", G *S, D, G},
    {"layers.%d.attention.wv.weight", "blk.%d.attn_v.weight", "model.layers.%d.self_attn.v_proj.weight", G *S, D, 0},
    {"layers.%d.attention.wo.weight", "blk.%d.attn_output.weight", "model.layers.%d.self_attn.o_proj.weight", D, H *S,
     0},
    {"layers.%d.ffn_norm.weight", "blk.%d.ffn_norm.weight", "model.layers.%d.post_attention_layernorm.weight", 0, D, 0},
    {"layers.%d.feed_forward.w1.weight", "blk.%d.ffn_gate.weight", "model.layers.%d.mlp.gate_proj.weight", F, D, 0},
    {"layers.%d.feed_forward.w3.weight", "blk.%d.ffn_up.weight", "model.layers.%d.mlp.up_proj.weight", F, D, 0},
    {"layers.%d.feed_forward.w2.weight", "blk.%d.ffn_down.weight", "model.layers.%d.mlp.down_proj.weight", D, F, 0},
};
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))
enum { N_TENSORS = COUNT(model_tensors) + L * COUNT(layer_tensors) };

/* Tensor i of the model; *ret_layer is its layer, 0 where it has none. */
static const struct tensor *tensor_at(int i, int *ret_layer) {
    *ret_layer = 0;
    if (i < COUNT(model_tensors)) return &model_tensors[i];
    i -= COUNT(model_tensors);
    *ret_layer = i / COUNT(layer_tensors);
    return &layer_tensors[i % COUNT(layer_tensors)];
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void format_name(char out[96], const char *pattern, int layer) { snprintf(out, 96, pattern, layer); }
#pragma GCC diagnostic pop

static size_t tensor_floats(const struct tensor *t) {
    return (size_t)(t->n_rows ? t->n_rows : 1) * (size_t)t->n_columns;
}

/* Appends the numbers; with `halves` the rows of rotated heads come as (i, i + S/2) instead of (2i, 2i + 1). */
static void append_values(struct buffer *b, const struct tensor *t, int layer, bool halves) {
    char name[96];
    format_name(name, t->meta_name, layer);
    for (uint32_t i = 0; i < tensor_floats(t); i++) {
        uint32_t row = i / (uint32_t)t->n_columns;
        const uint32_t column = i % (uint32_t)t->n_columns;
        if (halves && t->n_rotated_heads > 0) {
            const uint32_t in_head = row % S;
            row = row - in_head + 2 * (in_head % (S / 2)) + in_head / (S / 2);
        }
        const float value = weight_value(name, row * (uint32_t)t->n_columns + column);
        buffer_append(b, &value, sizeof value);
    }
}

/* --- GGUF --- */

static void append_u32(struct buffer *b, uint32_t v) { buffer_append(b, &v, sizeof v); }
static void append_u64(struct buffer *b, uint64_t v) { buffer_append(b, &v, sizeof v); }

static void append_string(struct buffer *b, const char *text) {
    append_u64(b, strlen(text));
    buffer_append_text(b, text);
}

static void append_key_u32(struct buffer *b, const char *key, uint32_t value) {
    append_string(b, key);
    append_u32(b, 4);
    append_u32(b, value);
}

static void append_key_f32(struct buffer *b, const char *key, float value) {
    append_string(b, key);
    append_u32(b, 6);
    buffer_append(b, &value, sizeof value);
}

static void append_info(struct buffer *b, const char *name, int n_rows, int n_columns, uint64_t *offset) {
    append_string(b, name);
    append_u32(b, n_rows ? 2 : 1);
    append_u64(b, (uint64_t)n_columns);
    if (n_rows) append_u64(b, (uint64_t)n_rows);
    append_u32(b, 0); /* F32 */
    append_u64(b, *offset);
    *offset += ((uint64_t)(n_rows ? n_rows : 1) * (uint64_t)n_columns * sizeof(float) + 31) / 32 * 32;
}

static void pad_to_32(struct buffer *b) {
    while (b->n_bytes % 32 != 0) buffer_append_char(b, 0);
}

/* The divisor of each frequency under Llama 3.1's rule with factor 8, low 1, high 4, original context 8192. */
static void llama3_divisors(float out[S / 2]) {
    for (int i = 0; i < S / 2; i++) {
        const double f = pow(500000.0, -2.0 * i / S), wavelength = 2 * M_PI / f;
        const double blend = (8192.0 / wavelength - 1) / (4 - 1);
        const double scaled = wavelength < 8192.0 / 4 ? f
                              : wavelength > 8192.0   ? f / 8
                                                      : (1 - blend) * f / 8 + blend * f;
        out[i] = (float)(f / scaled);
    }
}

static void append_gguf_keys(struct buffer *b) {
    append_string(b, "general.architecture");
    append_u32(b, 8);
    append_string(b, "llama");
    append_key_u32(b, "llama.vocab_size", V);
    append_key_u32(b, "llama.context_length", 512);
    append_key_u32(b, "llama.embedding_length", D);
    append_key_u32(b, "llama.block_count", L);
    append_key_u32(b, "llama.feed_forward_length", F);
    append_key_u32(b, "llama.attention.head_count", H);
    append_key_u32(b, "llama.attention.head_count_kv", G);
    append_key_u32(b, "llama.rope.dimension_count", S);
    append_key_f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    append_key_f32(b, "llama.rope.freq_base", 500000.0f);
}

static void write_gguf(const char *path, bool scaled) {
    struct cria_error err = {0};
    struct buffer b = buffer_make(1 << 20);
    uint64_t offset = 0;
    int layer;
    buffer_append_text(&b, "GGUF");
    append_u32(&b, 3);
    append_u64(&b, (uint64_t)(N_TENSORS + (scaled ? 1 : 0)));
    append_u64(&b, 11); /* keys */
    append_gguf_keys(&b);
    for (int i = 0; i < N_TENSORS; i++) {
        const struct tensor *t = tensor_at(i, &layer);
        char name[96];
        format_name(name, t->gguf_name, layer);
        append_info(&b, name, t->n_rows, t->n_columns, &offset);
    }
    if (scaled) append_info(&b, "rope_freqs.weight", 0, S / 2, &offset);
    pad_to_32(&b);
    for (int i = 0; i < N_TENSORS; i++) {
        const struct tensor *t = tensor_at(i, &layer);
        append_values(&b, t, layer, false);
        pad_to_32(&b);
    }
    if (scaled) {
        float divisors[S / 2];
        llama3_divisors(divisors);
        buffer_append(&b, divisors, sizeof divisors);
        pad_to_32(&b);
    }
    assert_int_equal(buffer_status(&b, "the test's GGUF file", &err), CRIA_OK);
    assert_int_equal(file_write_atomic(path, b.data, b.n_bytes, &err), CRIA_OK);
    buffer_free(&b);
}

/* --- a Hugging Face directory --- */

static void write_config(const char *path, bool scaled) {
    struct cria_error err = {0};
    struct buffer b = buffer_make(1 << 16);
    buffer_append_format(&b,
                         "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": %d,"
                         " \"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"num_key_value_heads\": %d,"
                         " \"intermediate_size\": %d, \"vocab_size\": %d, \"rms_norm_eps\": 1e-05,"
                         " \"hidden_act\": \"silu\", \"max_position_embeddings\": 512, \"rope_theta\": 500000.0,"
                         " \"tie_word_embeddings\": false, \"torch_dtype\": \"float32\", \"rope_scaling\": %s}\n",
                         D, L, H, G, F, V,
                         scaled ? "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0,"
                                  " \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}"
                                : "null");
    assert_int_equal(buffer_status(&b, "the test's config.json", &err), CRIA_OK);
    assert_int_equal(file_write_atomic(path, b.data, b.n_bytes, &err), CRIA_OK);
    buffer_free(&b);
}

static void write_safetensors(const char *path) {
    struct cria_error err = {0};
    struct buffer header = buffer_make(1 << 16), b = buffer_make(1 << 20);
    size_t offset = 0;
    int layer;
    for (int i = 0; i < N_TENSORS; i++) {
        const struct tensor *t = tensor_at(i, &layer);
        const size_t n_bytes = tensor_floats(t) * sizeof(float);
        char name[96];
        format_name(name, t->hf_name, layer);
        buffer_append_format(&header, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? ',' : '{', name);
        if (t->n_rows) buffer_append_format(&header, "%d,", t->n_rows);
        buffer_append_format(&header, "%d],\"data_offsets\":[%zu,%zu]}", t->n_columns, offset, offset + n_bytes);
        offset += n_bytes;
    }
    buffer_append_char(&header, '}');
    while (header.n_bytes % 8 != 0) buffer_append_char(&header, ' ');
    append_u64(&b, header.n_bytes);
    buffer_append(&b, header.data, header.n_bytes);
    for (int i = 0; i < N_TENSORS; i++) {
        const struct tensor *t = tensor_at(i, &layer);
        append_values(&b, t, layer, true);
    }
    assert_int_equal(buffer_status(&header, "a header", &err), CRIA_OK);
    assert_int_equal(buffer_status(&b, "the test's safetensors file", &err), CRIA_OK);
    assert_int_equal(file_write_atomic(path, b.data, b.n_bytes, &err), CRIA_OK);
    buffer_free(&header);
    buffer_free(&b);
}

/* --- what the reference says --- */

struct vector {
    int position, argmax;
    double sum;
    float logits[8];
};

static const struct vector plain_vectors[] = {
    {0, 36, -4.17268, {-0.080295f, 0.507300f, 0.739015f, -1.097107f, -0.452950f, 1.302705f, 1.022851f, 0.363720f}},
    {5, 30, 2.09231, {0.475195f, 1.669597f, -1.008335f, -0.774678f, -0.574061f, 0.808647f, 0.706944f, 1.354525f}},
    {11, 4, -7.98860, {-0.444141f, -0.148726f, 1.234429f, -2.172478f, 1.388600f, 0.609384f, -0.743958f, 0.904965f}},
};
static const struct vector scaled_vectors[] = {
    {0, 36, -4.17268, {-0.080295f, 0.507300f, 0.739015f, -1.097107f, -0.452950f, 1.302705f, 1.022851f, 0.363720f}},
    {5, 30, 2.08565, {0.475108f, 1.670030f, -1.007414f, -0.774639f, -0.574076f, 0.807310f, 0.705464f, 1.355239f}},
    {11, 4, -7.87571, {-0.449821f, -0.143065f, 1.224967f, -2.175049f, 1.397971f, 0.596154f, -0.742691f, 0.912286f}},
};
#define TOLERANCE 2e-5

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s: %s", cria_status_name(status), err->text);
}

static void check_vector(const struct vector *want, const float *row) {
    double sum = 0;
    for (int v = 0; v < V; v++) sum += (double)row[v];
    for (int v = 0; v < 8; v++) {
        if (!(fabs((double)row[v] - (double)want->logits[v]) <= TOLERANCE)) {
            fail_msg("position %d, id %d: %.7g, expected %.7g", want->position, v, row[v], want->logits[v]);
        }
    }
    assert_int_equal(runner_argmax(row, V), want->argmax);
    assert_true(fabs(sum - want->sum) <= V * TOLERANCE);
}

static void check_file(const char *path, const struct vector vectors[3]) {
    struct cria_error err = {0};
    struct runner whole = {0}, stepwise = {0};
    int32_t tokens[N_TOKENS];
    float logits[N_TOKENS * V], again[N_TOKENS * V];
    for (int i = 0; i < N_TOKENS; i++) tokens[i] = (7 * i + 3) % V;
    must(runner_open(&whole, path, LLAMA_COMPUTE_F32, N_TOKENS, 32, &err), &err);
    must(runner_append(&whole, tokens, N_TOKENS, logits, &err), &err);
    for (int i = 0; i < 3; i++) check_vector(&vectors[i], logits + vectors[i].position * V);

    must(runner_open(&stepwise, path, LLAMA_COMPUTE_F32, N_TOKENS, 32, &err), &err);
    must(runner_append(&stepwise, tokens, 5, again, &err), &err);
    for (int i = 5; i < N_TOKENS; i++) must(runner_append(&stepwise, tokens + i, 1, again + i * V, &err), &err);
    assert_memory_equal(logits, again, sizeof logits);
    runner_close(&whole);
    runner_close(&stepwise);
}

static char folder[] = "/tmp/cria-vectors-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"model.gguf", "config.json", "model.safetensors"};
    for (int i = 0; i < COUNT(names); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (unlink(path) != 0 && file_exists(path)) return -1;
    }
    return rmdir(folder);
}

/* Catches the classic mistakes, each of which moves these logits by 1e-3 or more: pairs rotated as halves, no rotation,
 * key heads taken in turn, silu on the wrong side, eps outside the root, divisors multiplied. */
static void test_gguf(void **state) {
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    write_gguf(path, false);
    check_file(path, plain_vectors);
    write_gguf(path, true);
    check_file(path, scaled_vectors);
}

/* The same for rows stored as halves and scaling given by parameters. */
static void test_directory(void **state) {
    (void)state;
    char config[64], weights[64];
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    write_safetensors(weights);
    write_config(config, false);
    check_file(folder, plain_vectors);
    write_config(config, true);
    check_file(folder, scaled_vectors);
}

struct rotation {
    int position;
    float cos_sin[5][2]; /* of pairs 0, 1, 20, 31, 63 */
};

/* Head size 128, base 500,000, factor 8, bands 1 and 4, original context 8,192. */
static const struct rotation rotations[] = {
    {1,
     {{0.5403023f, 0.8414710f},
      {0.6861469f, 0.7274630f},
      {0.9998628f, 0.0165597f},
      {0.9999996f, 0.0008568f},
      {1.f, 0.0000003f}}},
    {100,
     {{0.8623189f, -0.5063657f},
      {0.9759660f, -0.2179229f},
      {-0.0851446f, 0.9963686f},
      {0.9963321f, 0.0855704f},
      {1.f, 0.0000307f}}},
    {4096,
     {{0.8039906f, -0.5946420f},
      {0.9551232f, 0.2962089f},
      {0.2833868f, -0.9590057f},
      {-0.9331705f, -0.3594340f},
      {0.9999992f, 0.0012570f}}},
    {8191,
     {{-0.6463905f, -0.7630068f},
      {0.9773988f, -0.2114039f},
      {-0.8482671f, -0.5295685f},
      {0.7421889f, 0.6701908f},
      {0.9999968f, 0.0025138f}}},
    {131071,
     {{-0.8179835f, -0.5752417f},
      {-0.8172318f, 0.5763090f},
      {-0.9696459f, 0.2445133f},
      {0.6952255f, -0.7187917f},
      {0.9991911f, 0.0402139f}}},
};

/* Catches wrong bands, degrees for radians, or an angle computed with too few digits. The reference's frequencies are
 * f32: one unit in the last place of a frequency moves an angle by its 1.2e-7, so the tolerance grows with it. */
static void test_rotations(void **state) {
    (void)state;
    static const int pairs[5] = {0, 1, 20, 31, 63};
    struct arch_config c = {.head_size = 128};
    float f[64];
    c.rope = (struct arch_rope){.kind = ARCH_ROPE_LLAMA3, .theta = 500000, .factor = 8, .low_factor = 1};
    c.rope.high_factor = 4;
    c.rope.original_context = 8192;
    arch_rope_frequencies(&c, f);
    for (int r = 0; r < COUNT(rotations); r++) {
        for (int i = 0; i < COUNT(pairs); i++) {
            const double angle = (double)rotations[r].position * (double)f[pairs[i]];
            const double tolerance = 2e-7 + angle * 1.2e-7;
            assert_true(fabs(realmath_cos(angle) - (double)rotations[r].cos_sin[i][0]) <= tolerance);
            assert_true(fabs(realmath_sin(angle) - (double)rotations[r].cos_sin[i][1]) <= tolerance);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_rotations),
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_directory),
    };
    return cmocka_run_group_tests_name("vectors", tests, make_folder, remove_folder);
}
