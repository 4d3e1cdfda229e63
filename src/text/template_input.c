/* template_input.c: the variables of a render, from JSON text to values.
 *
 * Strings without escapes stay in the text that the caller holds. Everything is untrusted but bos_token and eos_token,
 * and the usual roles of messages: there are templates that spell a special token around a role, as in <|user|>. Any
 * other role, <|end|> with the role `end` for one, is the user's text. */
#include <string.h>

#include "base/json.h"
#include "text/template_private.h"

struct input {
    struct run *r;
    json_reader reader;
};

static cria_status read_value(struct input *in, struct value *ret);

static cria_status read_string(struct input *in, bool trusted, struct value *ret) {
    struct json_text t;
    CHECK(json_read_string(&in->reader, &t, in->r->err));
    const char *bytes = t.bytes;
    const char *const text = in->reader.text;
    if (t.n &&
        !(bytes >= text && bytes < text + in->reader.n)) { /* in the reader's scratch: only until the next string */
        char *copy;
        CHECK(template_new(in->r, t.n, 1, &copy));
        memcpy(copy, t.bytes, t.n);
        bytes = copy;
    }
    return template_text_borrow(in->r, bytes, t.n, trusted, ret);
}

static cria_status read_number(struct input *in, struct value *ret) {
    struct json_text t;
    CHECK(json_read_number(&in->reader, &t, in->r->err));
    for (size_t i = 0; i < t.n; i++) {
        if (t.bytes[i] != '.' && (t.bytes[i] | 0x20) != 'e') continue;
        *ret = template_float(json_number_value(t), false);
        return CRIA_OK;
    }
    return template_integer_text(in->r, t.bytes, t.n, false, ret);
}

static cria_status read_list(struct input *in, struct value *ret) {
    struct list *l;
    CHECK(template_list_new(in->r, 0, &l));
    CHECK(json_begin_array(&in->reader, in->r->err));
    for (;;) {
        bool more;
        struct value item;
        CHECK(json_next_element(&in->reader, &more, in->r->err));
        if (!more) break;
        CHECK(read_value(in, &item));
        CHECK(template_list_add(in->r, l, item));
    }
    *ret = template_list(l, false);
    return CRIA_OK;
}

static cria_status read_key(struct input *in, struct json_text key, struct value *ret) {
    char *copy;
    const char *const text = in->reader.text;
    if (key.n && key.bytes >= text && key.bytes < text + in->reader.n)
        return template_text_borrow(in->r, key.bytes, key.n, false, ret);
    CHECK(template_new(in->r, key.n, 1, &copy));
    if (key.n) memcpy(copy, key.bytes, key.n);
    return template_text_borrow(in->r, copy, key.n, false, ret);
}

static cria_status read_dict(struct input *in, struct value *ret) {
    struct dict *d;
    CHECK(template_dict_new(in->r, 0, &d));
    CHECK(json_begin_object(&in->reader, in->r->err));
    for (;;) {
        bool more;
        struct json_text name;
        struct value key, item;
        CHECK(json_next_key(&in->reader, &name, &more, in->r->err));
        if (!more) break;
        CHECK(read_key(in, name, &key));
        CHECK(read_value(in, &item));
        CHECK(template_dict_set(in->r, d, key, item, NULL)); /* the reader refuses a key that comes twice */
    }
    *ret = (struct value){.kind = VALUE_DICT, .dict = d};
    return CRIA_OK;
}

static cria_status read_value(struct input *in, struct value *ret) {
    bool b;
    CHECK(template_step(in->r, 1));
    switch (json_peek(&in->reader)) {
        case JSON_STRING:
            return read_string(in, false, ret);
        case JSON_NUMBER:
            return read_number(in, ret);
        case JSON_ARRAY:
            return read_list(in, ret);
        case JSON_OBJECT:
            return read_dict(in, ret);
        case JSON_BOOL:
            CHECK(json_read_bool(&in->reader, &b, in->r->err));
            *ret = template_bool(b, false);
            return CRIA_OK;
        default:
            CHECK(json_read_null(&in->reader, in->r->err));
            *ret = template_none(false);
            return CRIA_OK;
    }
}

static bool is_known_role(const struct text *t) {
    static const char *const known[] = {"system",  "user",      "assistant", "tool",
                                        "ipython", "developer", "function",  "model"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (template_text_is(t, known[i])) return true;
    return false;
}

static void trust_roles(const struct value *messages) {
    if (messages->kind != VALUE_LIST) return;
    for (size_t i = 0; i < messages->list->n; i++) {
        const struct value *m = &messages->list->items[i];
        const struct value *role = m->kind == VALUE_DICT ? template_dict_word(m->dict, "role") : NULL;
        if (role && role->kind == VALUE_STRING && is_known_role(role->text)) role->text->trusted = true;
    }
}

/* YYYY-MM-DD. */
static cria_status read_date(struct run *r, const struct value *v) {
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *s = v->kind == VALUE_STRING ? v->text->bytes : "";
    bool good = v->kind == VALUE_STRING && v->text->n == 10 && s[4] == '-' && s[7] == '-';
    for (int i = 0; i < 10 && good; i++) good = i == 4 || i == 7 || (s[i] >= '0' && s[i] <= '9');
    if (good) {
        r->year = (s[0] - '0') * 1000 + (s[1] - '0') * 100 + (s[2] - '0') * 10 + (s[3] - '0');
        r->month = (s[5] - '0') * 10 + (s[6] - '0');
        r->day = (s[8] - '0') * 10 + (s[9] - '0');
        const bool leap = (r->year % 4 == 0 && r->year % 100 != 0) || r->year % 400 == 0;
        good = r->year > 0 && r->month >= 1 && r->month <= 12 && r->day >= 1 &&
               r->day <= month_days[r->month - 1] + (leap && r->month == 2);
    }
    if (!good && v->kind != VALUE_STRING)
        return ERROR_SET(r->err, CRIA_FORMAT, "now: expected a date as YYYY-MM-DD, found no text");
    if (!good)
        return ERROR_SET(r->err, CRIA_FORMAT, "now: expected a date as YYYY-MM-DD, found \"%.*s\"",
                         (int)(v->text->n < 40 ? v->text->n : 40), s);
    r->has_date = true;
    return CRIA_OK;
}

/* The number of a name that the template uses, NO_NAME for others. */
static uint32_t find_name(const struct template_names *names, const struct text *t) {
    for (size_t i = 0; i < names->n; i++)
        if (template_text_equal(names->items[i], t)) return (uint32_t)i;
    return NO_NAME;
}

static cria_status read_variables(struct input *in) {
    struct run *r = in->r;
    struct value all, key;
    CHECK(read_dict(in, &all));
    CHECK(json_end(&in->reader, r->err));
    for (size_t i = 0; i < all.dict->n; i++) {
        struct entry *e = &all.dict->entries[i];
        key = e->key;
        if (template_text_is(key.text, "messages")) trust_roles(&e->value);
        const bool is_token = template_text_is(key.text, "bos_token") || template_text_is(key.text, "eos_token");
        if (is_token && e->value.kind == VALUE_STRING) e->value.text->trusted = true;
        if (template_text_is(key.text, "now")) { /* for strftime_now; no variable of its own */
            if (e->value.kind != VALUE_NONE) CHECK(read_date(r, &e->value));
            continue;
        }
        const uint32_t name = find_name(&r->t->names, key.text);
        if (name != NO_NAME) r->globals[name] = e->value;
    }
    return CRIA_OK;
}

cria_status template_input(struct run *r, const char *variables, size_t n) {
    struct input in = {.r = r};
    json_reader_init(&in.reader, variables, n);
    const cria_status status = read_variables(&in);
    json_reader_deinit(&in.reader);
    if (status != CRIA_OK) error_prefix(r->err, "the template's variables");
    return status;
}
