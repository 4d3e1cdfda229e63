/* tokenizer_json_steps.c: normaliser, pre-tokenizer, decoder and post-processor of tokenizer.json.
 *
 * Every component is either run exactly as the reference runs it or refused by its name. */
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer_json.h"

#define MAX_NESTING 4
#define MARK "\xE2\x96\x81"

typedef cria_status component_fn(struct tokenizer_json *j, const struct tokenizer_component *c, struct cria_error *err);

static cria_status unsupported(const char *part, const struct tokenizer_component *c, const char *what,
                               struct cria_error *err) {
    return ERROR_SET(err, CRIA_UNSUPPORTED, "%s '%s'%s%s, which Cria does not support", part, c->type,
                     *what ? " with " : "", what);
}

/* Reads the component at the reader's place and hands it, or the members of a Sequence in order, to fn. */
static cria_status each_component(struct tokenizer_json *j, component_fn *fn, const char *part, int nesting,
                                  struct cria_error *err) {
    struct tokenizer_component c;
    bool more;
    cria_status status;
    TRY(tokenizer_component_read(j, &c, err));
    if (strcmp(c.type, "Sequence") != 0) {
        TRY(fn(j, &c, err));
        goto out;
    }
    if (nesting == MAX_NESTING || c.list == TOKENIZER_JSON_ABSENT) {
        status = unsupported(part, &c, nesting == MAX_NESTING ? "too much nesting" : "no list", err);
        goto out;
    }
    size_t behind = j->reader.at;
    j->reader.at = c.list;
    TRY(json_begin_array(&j->reader, err));
    for (;;) {
        TRY(json_next_element(&j->reader, &more, err));
        if (!more) break;
        TRY(each_component(j, fn, part, nesting + 1, err));
    }
    j->reader.at = behind;
out:
    tokenizer_component_free(&c);
    return status;
}

static cria_status read_normaliser(struct tokenizer_json *j, const struct tokenizer_component *c,
                                   struct cria_error *err) {
    if (strcmp(c->type, "Prepend") == 0)
        return normalise_add_prepend(&j->normaliser, NORMALISE_ALWAYS, c->text, c->n_text, err);
    if (strcmp(c->type, "Replace") == 0) {
        if (c->pattern_is_regex || !c->pattern) return unsupported("normalizer", c, "a regular expression", err);
        return normalise_add_replace(&j->normaliser, c->pattern, c->n_pattern, c->text, c->n_text, err);
    }
    return unsupported("normalizer", c, "", err);
}

static cria_status parse_behaviour(const struct tokenizer_component *c, enum split_behaviour *ret,
                                   struct cria_error *err) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    for (int i = 0; i < 5; i++) {
        if (strcmp(c->word, names[i]) == 0) {
            *ret = (enum split_behaviour)i;
            return CRIA_OK;
        }
    }
    return unsupported("pre_tokenizer", c, "an unknown behavior", err);
}

/* The hand-written splitter of a pattern, where it cuts as the step does: every character is in some match of those. */
static split_fn *splitter_of(const struct tokenizer_component *c, enum split_behaviour behaviour) {
    static split_fn *const functions[] = {split_gpt2, split_llama3, split_llama4};
    bool isolated = behaviour == SPLIT_ISOLATED || (behaviour == SPLIT_REMOVED && c->invert);
    for (int i = 0; isolated && c->pattern_is_regex && i < 3; i++) {
        if (strcmp(c->pattern, split_pattern(functions[i])) == 0) return functions[i];
    }
    return NULL;
}

/* A pattern that matches the text itself: each character that might mean something gets a backslash. */
static cria_status compile_text(struct split_regex **ret, const struct tokenizer_component *c, struct cria_error *err) {
    struct buffer b = buffer_make(16384);
    for (size_t i = 0; i < c->n_pattern; i++) {
        if (strchr("\\^$.|?*+()[]{}-", c->pattern[i]) && c->pattern[i]) buffer_append_char(&b, '\\');
        buffer_append_char(&b, c->pattern[i]);
    }
    cria_status status = buffer_status(&b, "a pattern", err);
    if (status == CRIA_OK) status = split_regex_compile(ret, b.data, b.n_bytes, err);
    buffer_free(&b);
    return status;
}

static cria_status read_split(struct tokenizer_json *j, const struct tokenizer_component *c, struct cria_error *err) {
    struct split_step step = {.kind = SPLIT_PATTERN, .invert = c->invert};
    cria_status status;
    if (!c->pattern || !c->n_pattern) return unsupported("pre_tokenizer", c, "no pattern", err);
    TRY(parse_behaviour(c, &step.behaviour, err));
    step.function = splitter_of(c, step.behaviour);
    if (step.function) step.kind = SPLIT_FUNCTION;
    else if (c->pattern_is_regex) TRY(split_regex_compile(&step.regex, c->pattern, c->n_pattern, err));
    else TRY(compile_text(&step.regex, c, err));
    TRY(split_chain_add(&j->splits, step, err));
out:
    return status;
}

static cria_status read_metaspace(struct tokenizer_json *j, const struct tokenizer_component *c,
                                  struct cria_error *err) {
    enum normalise_when when = NORMALISE_UNLESS_THERE;
    bool never = strcmp(c->word, "never") == 0 || (!c->word[0] && !c->add_prefix_space);
    if (strcmp(c->word, "first") == 0) when = NORMALISE_FIRST_UNLESS_THERE;
    if (c->n_text != 3 || memcmp(c->text, MARK, 3) != 0)
        return unsupported("pre_tokenizer", c, "another mark than U+2581", err);
    if (j->splits.n_steps || j->marks.n_steps) return unsupported("pre_tokenizer", c, "steps before it", err);
    cria_status status;
    TRY(normalise_add_replace(&j->marks, " ", 1, MARK, 3, err));
    if (!never) TRY(normalise_add_prepend(&j->marks, when, MARK, 3, err));
    if (c->split) TRY(split_chain_add(&j->splits, (struct split_step){.kind = SPLIT_MARKS}, err));
out:
    return status;
}

static cria_status read_pre_tokenizer(struct tokenizer_json *j, const struct tokenizer_component *c,
                                      struct cria_error *err) {
    if (j->byte_level) return unsupported("pre_tokenizer", c, "its place behind ByteLevel", err);
    if (strcmp(c->type, "Split") == 0) return read_split(j, c, err);
    if (strcmp(c->type, "Metaspace") == 0) return read_metaspace(j, c, err);
    if (strcmp(c->type, "Digits") == 0) {
        enum split_kind kind = c->individual_digits ? SPLIT_NUMBERS : SPLIT_NUMBER_RUNS;
        return split_chain_add(&j->splits, (struct split_step){.kind = kind}, err);
    }
    if (strcmp(c->type, "ByteLevel") != 0) return unsupported("pre_tokenizer", c, "", err);
    if (c->add_prefix_space) return unsupported("pre_tokenizer", c, "add_prefix_space", err);
    j->byte_level = true;
    if (!c->use_regex) return CRIA_OK;
    struct split_chain *s = &j->splits;
    if (s->n_steps == 1 && s->steps[0].kind == SPLIT_NUMBERS) { /* SmolLM2: both in one */
        s->steps[0] = (struct split_step){.kind = SPLIT_FUNCTION, .function = split_smollm};
        return CRIA_OK;
    }
    return split_chain_add(s, (struct split_step){.kind = SPLIT_FUNCTION, .function = split_gpt2}, err);
}

static cria_status read_decoder(struct tokenizer_json *j, const struct tokenizer_component *c, struct cria_error *err) {
    if (strcmp(c->type, "ByteLevel") == 0) {
        j->byte_level = true;
        return CRIA_OK;
    }
    if (strcmp(c->type, "ByteFallback") == 0 || strcmp(c->type, "Fuse") == 0) return CRIA_OK;
    if (strcmp(c->type, "Metaspace") == 0) {
        j->strips_space = strcmp(c->word, "never") != 0 && (c->word[0] || c->add_prefix_space);
        return CRIA_OK;
    }
    if (strcmp(c->type, "Replace") == 0) {
        bool mark = c->pattern && strcmp(c->pattern, MARK) == 0 && strcmp(c->text, " ") == 0;
        return mark ? CRIA_OK : unsupported("decoder", c, "something else than U+2581 and a space", err);
    }
    if (strcmp(c->type, "Strip") == 0) {
        if (strcmp(c->text, " ") != 0 || c->start > 1 || c->stop != 0)
            return unsupported("decoder", c, "more than one space in front", err);
        j->strips_space = c->start == 1;
        return CRIA_OK;
    }
    return unsupported("decoder", c, "", err);
}

/* One element of a template: {"SpecialToken": {"id": ...}} or {"Sequence": ...}. */
static cria_status read_template_item(struct tokenizer_json *j, bool *text_seen, struct cria_error *err) {
    json_reader *r = &j->reader;
    struct json_text key = {0};
    bool more, special;
    cria_status status;
    TRY(json_begin_object(r, err));
    TRY(json_next_key(r, &key, &more, err));
    if (!more) return json_fail(r, err, "an empty element of a template");
    special = json_text_is(key, "SpecialToken");
    if (!special) {
        *text_seen = true;
        TRY(json_skip(r, err));
    } else {
        TRY(json_begin_object(r, err));
        for (;;) {
            TRY(json_next_key(r, &key, &more, err));
            if (!more) break;
            if (*text_seen) j->appends = true;
            if (json_text_is(key, "id") && !*text_seen && !j->n_bos)
                TRY(tokenizer_json_short(r, j->bos, sizeof j->bos, &j->n_bos, err));
            else TRY(json_skip(r, err));
        }
    }
    TRY(json_next_key(r, &key, &more, err));
    if (more) return json_fail(r, err, "an element of a template with more than one key");
out:
    return status;
}

static cria_status read_post_processor(struct tokenizer_json *j, const struct tokenizer_component *c,
                                       struct cria_error *err) {
    bool more, text_seen = false;
    cria_status status = CRIA_OK;
    if (strcmp(c->type, "ByteLevel") == 0) return CRIA_OK;
    if (strcmp(c->type, "TemplateProcessing") != 0) return unsupported("post_processor", c, "", err);
    if (c->single == TOKENIZER_JSON_ABSENT) return CRIA_OK;
    size_t behind = j->reader.at;
    j->reader.at = c->single;
    TRY(json_begin_array(&j->reader, err));
    for (;;) {
        TRY(json_next_element(&j->reader, &more, err));
        if (!more) break;
        TRY(read_template_item(j, &text_seen, err));
    }
    j->reader.at = behind;
out:
    return status;
}

static cria_status read_part(struct tokenizer_json *j, size_t at, component_fn *fn, const char *part,
                             struct cria_error *err) {
    if (at == TOKENIZER_JSON_ABSENT) return CRIA_OK;
    j->reader.at = at;
    return each_component(j, fn, part, 0, err);
}

cria_status tokenizer_json_steps(struct tokenizer_json *j, struct cria_error *err) {
    cria_status status;
    TRY(read_part(j, j->normalizer, read_normaliser, "normalizer", err));
    TRY(read_part(j, j->pre_tokenizer, read_pre_tokenizer, "pre_tokenizer", err));
    TRY(read_part(j, j->decoder, read_decoder, "decoder", err));
    TRY(read_part(j, j->post_processor, read_post_processor, "post_processor", err));
out:
    return status;
}
