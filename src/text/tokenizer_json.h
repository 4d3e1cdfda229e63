/* tokenizer_json.h: what the files that read tokenizer.json share. */
#ifndef TEXT_TOKENIZER_JSON_H
#define TEXT_TOKENIZER_JSON_H

#include "base/json.h"
#include "text/tokenizer_parts.h"

#define TOKENIZER_JSON_ABSENT SIZE_MAX

/* One entry of model.vocab; its text lies in tokenizer_json.names. */
struct vocab_entry {
    size_t start;
    uint32_t n, id;
};

/* A component: an object with `type` (a normaliser, pre-tokenizer, decoder or post-processor). Zero where a key is
 * absent, but for add_prefix_space, use_regex and split, which are true. */
struct tokenizer_component {
    char type[32];
    size_t list;   /* where the components of a Sequence begin, or TOKENIZER_JSON_ABSENT */
    char *pattern; /* owned; `pattern`, or NULL */
    size_t n_pattern;
    bool pattern_is_regex;
    char text[64]; /* `content`, `prepend` or `replacement` */
    size_t n_text;
    char word[24]; /* `behavior` or `prepend_scheme` */
    bool invert, individual_digits, add_prefix_space, use_regex, split;
    int64_t start, stop;
    size_t single; /* where the template of a TemplateProcessing begins, or ABSENT */
};

/* The whole file while it is read. Offsets are into the text; ABSENT where the key is missing or null. */
struct tokenizer_json {
    json_reader reader; /* the only one: sections are read by going back to their offsets */
    size_t added, normalizer, pre_tokenizer, post_processor, decoder, merges;
    bool truncation, padding;
    struct buffer names;         /* owned */
    struct vocab_entry *entries; /* owned */
    size_t n_entries, entry_capacity;
    bool saw_model, ignore_merges, byte_fallback, fuse_unknown;
    char unknown[64]; /* unk_token */
    size_t n_unknown;
    uint32_t max_id;
    bool byte_level;
    bool strips_space;
    struct normaliser normaliser, marks;
    struct split_chain splits;
    char bos[64]; /* what the template puts in front */
    size_t n_bos;
    bool appends; /* the template puts something behind */
};

/* Reads the model object at the reader's place. */
CRIA_MUST_CHECK cria_status tokenizer_json_model(struct tokenizer_json *j, struct cria_error *err);
/* Enters the merges at j->merges into t. */
CRIA_MUST_CHECK cria_status tokenizer_json_merges(struct tokenizer_json *j, tokenizer *t, struct cria_error *err);
/* Reads the normaliser, pre-tokenizer, decoder and post-processor. */
CRIA_MUST_CHECK cria_status tokenizer_json_steps(struct tokenizer_json *j, struct cria_error *err);
/* Reads the component at the reader's place; tokenizer_component_free() in any case. */
CRIA_MUST_CHECK cria_status tokenizer_component_read(struct tokenizer_json *j, struct tokenizer_component *ret,
                                                     struct cria_error *err);
void tokenizer_component_free(struct tokenizer_component *c);
/* Reads a string that has room in out (with a NUL); FORMAT for a longer one. */
CRIA_MUST_CHECK cria_status tokenizer_json_short(json_reader *r, char *out, size_t room, size_t *ret_n,
                                                 struct cria_error *err);

#endif
