/* template_json.c: the tojson filter: Python's json.dumps() as transformers calls it: no HTML escapes, keys in their
 * order, characters as they are, unless the template asks for something else. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/template_private.h"

static cria_status write_code(struct run *r, struct text_block *b, uint32_t code, bool trusted) {
    char room[16];
    static const char named[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
    const char *found = code && code < 0x80 ? strchr(named, (char)code) : NULL;
    if (found) snprintf(room, sizeof room, "\\%c", letters[found - named]);
    else if (code < 0x10000) snprintf(room, sizeof room, "\\u%04x", code);
    else snprintf(room, sizeof room, "\\u%04x\\u%04x", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF));
    return template_block_word(r, b, room, trusted);
}

/* Quotes and escapes take over the trust of what they stand beside. */
static cria_status write_string(struct run *r, struct text_block *b, const struct text *t, bool ascii) {
    CHECK(template_step_bytes(r, t->n));
    const bool first = t->n ? template_text_trusts(t, 0) : t->trusted,
               last = t->n ? template_text_trusts(t, t->n - 1) : t->trusted;
    CHECK(template_block_add(r, b, "\"", 1, first));
    size_t from = 0;
    for (size_t i = 0; i < t->n;) {
        const unsigned char c = (unsigned char)t->bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\' && !(ascii && c >= 0x7F)) {
            i++;
            continue;
        }
        uint32_t code;
        const int n = template_text_step(t, i, &code);
        if (code != 0x7F) {
            CHECK(template_block_slice(r, b, t, from, i - from));
            CHECK(write_code(r, b, code, template_text_trusts(t, i)));
            from = i + (size_t)n;
        }
        i += (size_t)n;
    }
    CHECK(template_block_slice(r, b, t, from, t->n - from));
    return template_block_add(r, b, "\"", 1, last);
}

static cria_status write_scalar(struct run *r, struct text_block *b, const struct value *v) {
    switch (v->kind) {
        case VALUE_NONE:
            return template_block_word(r, b, "null", v->trusted);
        case VALUE_BOOL:
            return template_block_word(r, b, v->boolean ? "true" : "false", v->trusted);
        case VALUE_INT:
        case VALUE_BIG:
            return template_print_repr(r, b, v);
        case VALUE_FLOAT:
            if (isnan(v->number)) return template_block_word(r, b, "NaN", v->trusted);
            if (isinf(v->number))
                return template_block_word(r, b, v->number < 0 ? "-Infinity" : "Infinity", v->trusted);
            return template_print_repr(r, b, v);
        default:
            return template_fail(r, CRIA_FORMAT, "Object of type %s is not JSON serializable", template_kind_name(v));
    }
}

static cria_status write_key(struct run *r, struct text_block *b, const struct value *key,
                             const struct json_style *style) {
    if (key->kind == VALUE_STRING) return write_string(r, b, key->text, style->ascii);
    if (key->kind > VALUE_FLOAT)
        return template_fail(r, CRIA_FORMAT, "keys must be str, int, float, bool or None, not %s",
                             template_kind_name(key));
    CHECK(template_block_add(r, b, "\"", 1, key->trusted));
    CHECK(write_scalar(r, b, key));
    return template_block_add(r, b, "\"", 1, key->trusted);
}

static cria_status new_line(struct run *r, struct text_block *b, const struct json_style *style, int depth,
                            bool trusted) {
    if (!style->indent) return CRIA_OK;
    CHECK(template_block_add(r, b, "\n", 1, trusted));
    for (int i = 0; i < depth; i++) CHECK(template_block_add(r, b, style->indent->bytes, style->indent->n, trusted));
    return CRIA_OK;
}

static cria_status write_list(struct run *r, struct text_block *b, const struct value *v,
                              const struct json_style *style, int depth) {
    CHECK(template_block_add(r, b, "[", 1, v->trusted));
    for (size_t i = 0; i < v->list->n; i++) {
        if (i) CHECK(template_block_add(r, b, style->item->bytes, style->item->n, v->trusted));
        CHECK(new_line(r, b, style, depth + 1, v->trusted));
        CHECK(template_json(r, b, &v->list->items[i], style, depth + 1));
    }
    if (v->list->n) CHECK(new_line(r, b, style, depth, v->trusted));
    return template_block_add(r, b, "]", 1, v->trusted);
}

/* The entries of d in the order of their keys. */
static cria_status sort_entries(struct run *r, const struct dict *d, struct dict **ret) {
    struct list *items;
    CHECK(template_dict_list(r, d, 'i', &items));
    CHECK(template_sort(r, items, false));
    CHECK(template_dict_new(r, d->n, ret));
    for (size_t i = 0; i < items->n; i++) {
        const struct value *pair = items->items[i].list->items;
        CHECK(template_dict_set(r, *ret, pair[0], pair[1], NULL));
    }
    return CRIA_OK;
}

static cria_status write_dict(struct run *r, struct text_block *b, const struct value *v,
                              const struct json_style *style, int depth) {
    struct dict *d = v->dict;
    if (style->sorted) CHECK(sort_entries(r, d, &d));
    CHECK(template_block_add(r, b, "{", 1, v->trusted));
    for (size_t i = 0; i < d->n; i++) {
        if (i) CHECK(template_block_add(r, b, style->item->bytes, style->item->n, v->trusted));
        CHECK(new_line(r, b, style, depth + 1, v->trusted));
        CHECK(write_key(r, b, &d->entries[i].key, style));
        CHECK(template_block_add(r, b, style->key->bytes, style->key->n, v->trusted));
        CHECK(template_json(r, b, &d->entries[i].value, style, depth + 1));
    }
    if (d->n) CHECK(new_line(r, b, style, depth, v->trusted));
    return template_block_add(r, b, "}", 1, v->trusted);
}

cria_status template_json(struct run *r, struct text_block *b, const struct value *v, const struct json_style *style,
                          int depth) {
    cria_status status;
    CHECK(template_step(r, 1));
    CHECK(template_enter(r));
    if (v->kind == VALUE_STRING) status = write_string(r, b, v->text, style->ascii);
    else if (v->kind == VALUE_LIST || v->kind == VALUE_TUPLE) status = write_list(r, b, v, style, depth);
    else if (v->kind == VALUE_DICT) status = write_dict(r, b, v, style, depth);
    else status = write_scalar(r, b, v);
    template_leave(r);
    return status;
}
