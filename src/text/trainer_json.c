/* trainer_json.c: a learned vocabulary as tokenizer.json, in the form of the tokenizers library, and
 * tokenizer_config.json beside it. */
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/trainer_parts.h"

static void write_flag(json_writer *w, const char *key, bool value) {
    json_write_key(w, key);
    json_write_bool(w, value);
}

static void write_null(json_writer *w, const char *key) {
    json_write_key(w, key);
    json_write_null(w);
}

static void write_word(json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_text(w, value);
}

static void write_added(json_writer *w, const struct trainer_options *o) {
    json_write_key(w, "added_tokens");
    json_write_begin_array(w);
    for (int i = 0; i < o->n_special; i++) {
        json_write_begin_object(w);
        json_write_key(w, "id");
        json_write_i64(w, i);
        write_word(w, "content", o->special[i]);
        write_flag(w, "single_word", false);
        write_flag(w, "lstrip", false);
        write_flag(w, "rstrip", false);
        write_flag(w, "normalized", false);
        write_flag(w, "special", true);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_byte_level(json_writer *w, bool use_regex) {
    json_write_begin_object(w);
    write_word(w, "type", "ByteLevel");
    write_flag(w, "add_prefix_space", false);
    write_flag(w, "trim_offsets", true);
    write_flag(w, "use_regex", use_regex);
    json_write_end_object(w);
}

/* The steps in the order in which they act; GPT-2's own pattern is part of ByteLevel. */
static void write_splitter(json_writer *w, enum trainer_splitter splitter) {
    json_write_key(w, "pre_tokenizer");
    if (splitter == TRAINER_GPT2) {
        write_byte_level(w, true);
        return;
    }
    json_write_begin_object(w);
    write_word(w, "type", "Sequence");
    json_write_key(w, "pretokenizers");
    json_write_begin_array(w);
    json_write_begin_object(w);
    if (splitter == TRAINER_SMOLLM) {
        write_word(w, "type", "Digits");
        write_flag(w, "individual_digits", true);
    } else {
        write_word(w, "type", "Split");
        json_write_key(w, "pattern");
        json_write_begin_object(w);
        write_word(w, "Regex", split_pattern(trainer_splitters[splitter].function));
        json_write_end_object(w);
        write_word(w, "behavior", "Isolated");
        write_flag(w, "invert", false);
    }
    json_write_end_object(w);
    write_byte_level(w, splitter == TRAINER_SMOLLM);
    json_write_end_array(w);
    json_write_end_object(w);
}

/* {"NAME": {"id": ..., "type_id": N}}, an element of a template. */
static void write_place(json_writer *w, const char *name, const char *id, int type) {
    json_write_begin_object(w);
    json_write_key(w, name);
    json_write_begin_object(w);
    write_word(w, "id", id);
    json_write_key(w, "type_id");
    json_write_i64(w, type);
    json_write_end_object(w);
    json_write_end_object(w);
}

/* Puts bos in front of a text, and of each of a pair of texts. */
static void write_template(json_writer *w, const char *bos, int64_t bos_id) {
    json_write_begin_object(w);
    write_word(w, "type", "TemplateProcessing");
    json_write_key(w, "single");
    json_write_begin_array(w);
    write_place(w, "SpecialToken", bos, 0);
    write_place(w, "Sequence", "A", 0);
    json_write_end_array(w);
    json_write_key(w, "pair");
    json_write_begin_array(w);
    write_place(w, "SpecialToken", bos, 0);
    write_place(w, "Sequence", "A", 0);
    write_place(w, "SpecialToken", bos, 1);
    write_place(w, "Sequence", "B", 1);
    json_write_end_array(w);
    json_write_key(w, "special_tokens");
    json_write_begin_object(w);
    json_write_key(w, bos);
    json_write_begin_object(w);
    write_word(w, "id", bos);
    json_write_key(w, "ids");
    json_write_begin_array(w);
    json_write_i64(w, bos_id);
    json_write_end_array(w);
    json_write_key(w, "tokens");
    json_write_begin_array(w);
    json_write_text(w, bos);
    json_write_end_array(w);
    json_write_end_object(w);
    json_write_end_object(w);
    json_write_end_object(w);
}

static void write_post_processor(json_writer *w, const struct trainer_options *o) {
    json_write_key(w, "post_processor");
    if (!o->bos) {
        write_byte_level(w, true);
        return;
    }
    int64_t bos_id = 0;
    while (strcmp(o->special[bos_id], o->bos) != 0) bos_id++; /* trainer_create() saw it among them */
    write_template(w, o->bos, bos_id);
}

/* The token as it stands in the vocabulary: special tokens as they are, others in the byte alphabet. */
static void write_token(json_writer *w, const trainer *t, uint32_t id, bool as_key, struct buffer *name) {
    struct text_span s = token_table_bytes(&t->vocabulary.table, id);
    buffer_cut(name, 0);
    if (id < (uint32_t)t->options.n_special) {
        buffer_append(name, s.bytes, s.n);
    } else {
        for (size_t i = 0; i < s.n; i++) {
            char character[4];
            buffer_append(name, character, (size_t)utf8_encode(byte_alphabet_code((uint8_t)s.bytes[i]), character));
        }
    }
    if (as_key) json_write_key(w, buffer_text(name));
    else json_write_string(w, buffer_text(name), name->n_bytes);
}

static void write_model(json_writer *w, const trainer *t, struct buffer *name) {
    const struct trainer_vocabulary *v = &t->vocabulary;
    json_write_key(w, "model");
    json_write_begin_object(w);
    write_word(w, "type", "BPE");
    write_null(w, "dropout");
    write_null(w, "unk_token");
    write_null(w, "continuing_subword_prefix");
    write_null(w, "end_of_word_suffix");
    write_flag(w, "fuse_unk", false);
    write_flag(w, "byte_fallback", false);
    write_flag(w, "ignore_merges", false);
    json_write_key(w, "vocab");
    json_write_begin_object(w);
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        write_token(w, t, id, true, name);
        json_write_i64(w, id);
    }
    json_write_end_object(w);
    json_write_key(w, "merges");
    json_write_begin_array(w);
    for (size_t i = 0; i < v->n_merges; i++) {
        json_write_begin_array(w);
        write_token(w, t, v->merges[i].left, false, name);
        write_token(w, t, v->merges[i].right, false, name);
        json_write_end_array(w);
    }
    json_write_end_array(w);
    json_write_end_object(w);
}

cria_status trainer_write_json(const trainer *t, struct buffer *out, struct cria_error *err) {
    struct buffer name = buffer_make(2 * TOKEN_MAX_BYTES);
    json_writer w = json_writer_make(out);
    cria_status status;
    json_write_begin_object(&w);
    write_word(&w, "version", "1.0");
    write_null(&w, "truncation");
    write_null(&w, "padding");
    write_added(&w, &t->options);
    write_null(&w, "normalizer");
    write_splitter(&w, t->options.splitter);
    write_post_processor(&w, &t->options);
    json_write_key(&w, "decoder");
    write_byte_level(&w, true);
    write_model(&w, t, &name);
    json_write_end_object(&w);
    TRY(buffer_status(&name, "the name of a token", err));
    TRY(buffer_status(out, "tokenizer.json", err));
out:
    buffer_free(&name);
    return status;
}

cria_status trainer_write_config(const trainer *t, struct buffer *out, struct cria_error *err) {
    json_writer w = json_writer_make(out);
    json_write_begin_object(&w);
    write_word(&w, "tokenizer_class", "PreTrainedTokenizerFast");
    if (t->options.bos) write_word(&w, "bos_token", t->options.bos);
    if (t->options.eos) write_word(&w, "eos_token", t->options.eos);
    write_flag(&w, "clean_up_tokenization_spaces", false);
    json_write_key(&w, "model_input_names");
    json_write_begin_array(&w);
    json_write_text(&w, "input_ids");
    json_write_text(&w, "attention_mask");
    json_write_end_array(&w);
    json_write_end_object(&w);
    return buffer_status(out, "tokenizer_config.json", err);
}
