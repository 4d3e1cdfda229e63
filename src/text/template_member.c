/* template_member.c: obj.name, obj[key] and obj[a:b:c] as jinja2's sandbox does them.
 *
 * obj.name looks for a method first and for a key then, obj[key] the other way round; what is in neither is undefined.
 * Names with two underscores and methods that would change their object are kept from templates. */
#include <string.h>

#include "text/template_private.h"

static bool is_internal(const struct text *name) {
    return name->n >= 2 && name->bytes[0] == '_' && name->bytes[1] == '_';
}

static bool is_one_of(const struct text *name, const char *const *words) {
    for (; *words; words++)
        if (template_text_is(name, *words)) return true;
    return false;
}

static bool changes_object(const struct value *obj, const struct text *name) {
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
    return (obj->kind == VALUE_DICT && is_one_of(name, dict)) || (obj->kind == VALUE_LIST && is_one_of(name, list));
}

static cria_status loop_member(struct run *r, const struct value *v, const struct text *name, struct value *ret) {
    const struct loop *l = v->loop;
    const int64_t at = (int64_t)l->at, n = (int64_t)l->items->n;
    if (template_text_is(name, "index")) *ret = template_int(at + 1, true);
    else if (template_text_is(name, "index0")) *ret = template_int(at, true);
    else if (template_text_is(name, "revindex")) *ret = template_int(n - at, true);
    else if (template_text_is(name, "revindex0")) *ret = template_int(n - at - 1, true);
    else if (template_text_is(name, "first")) *ret = template_bool(at == 0, true);
    else if (template_text_is(name, "last")) *ret = template_bool(at == n - 1, true);
    else if (template_text_is(name, "length")) *ret = template_int(n, true);
    else if (template_text_is(name, "depth")) *ret = template_int(l->depth + 1, true);
    else if (template_text_is(name, "depth0")) *ret = template_int(l->depth, true);
    else if (template_text_is(name, "previtem") && at > 0) *ret = l->items->items[at - 1];
    else if (template_text_is(name, "nextitem") && at + 1 < n) *ret = l->items->items[at + 1];
    else return template_undefined_member(r, v, name, ret);
    return CRIA_OK;
}

static const struct template_function *find_method(const struct value *obj, const struct text *name) {
    switch (obj->kind) {
        case VALUE_STRING:
            return template_method_string(name);
        case VALUE_DICT:
            return template_method_dict(name);
        case VALUE_LIST:
        case VALUE_TUPLE:
            return template_method_list(name);
        case VALUE_LOOP:
            return template_method_loop(name);
        default:
            return NULL;
    }
}

/* A method or internal attribute; *ret_found tells. */
static cria_status find_attribute(struct run *r, const struct value *obj, const struct text *name, struct value *ret,
                                  bool *ret_found) {
    *ret_found = true;
    if (is_internal(name) || changes_object(obj, name)) return template_undefined_unsafe(r, name, ret);
    const struct template_function *f = find_method(obj, name);
    if (!f) {
        *ret_found = false;
        return CRIA_OK;
    }
    struct method *m;
    CHECK(template_new(r, 1, sizeof *m, &m));
    *m = (struct method){.self = *obj, .function = f};
    *ret = (struct value){.kind = VALUE_METHOD, .trusted = true, .method = m};
    return CRIA_OK;
}

cria_status template_attribute(struct run *r, const struct value *obj, const struct text *name, struct value *ret) {
    bool found;
    if (obj->kind == VALUE_UNDEFINED) return template_fail_undefined(r, obj);
    CHECK(find_attribute(r, obj, name, ret, &found));
    if (found) return CRIA_OK;
    if (obj->kind == VALUE_DICT || obj->kind == VALUE_NAMESPACE) {
        const struct value key = template_string((struct text *)name), *v;
        CHECK(template_dict_get(r, obj->dict, &key, &v));
        if (v) {
            *ret = *v;
            return CRIA_OK;
        }
    }
    if (obj->kind == VALUE_LOOP) return loop_member(r, obj, name, ret);
    return template_undefined_member(r, obj, name, ret);
}

/* Element i of a sequence of n, counted from the end where negative. */
static bool normal_index(int64_t *i, size_t n) {
    if (*i < 0) *i += (int64_t)n;
    return *i >= 0 && (uint64_t)*i < n;
}

static cria_status element(struct run *r, const struct value *obj, int64_t i, struct value *ret, bool *ret_found) {
    size_t n;
    CHECK(template_length(r, obj, &n));
    *ret_found = normal_index(&i, n);
    if (!*ret_found) return CRIA_OK;
    if (obj->kind == VALUE_RANGE) {
        *ret = template_int(obj->range->start + i * obj->range->step, true);
    } else if (obj->kind == VALUE_STRING) {
        uint32_t code;
        const size_t at = template_text_offset(obj->text, (size_t)i);
        return template_text_slice(r, obj->text, at, (size_t)template_text_step(obj->text, at, &code), ret);
    } else {
        *ret = obj->list->items[i];
    }
    return CRIA_OK;
}

static bool is_hashable(const struct value *v) {
    if (v->kind != VALUE_TUPLE) return v->kind >= VALUE_UNDEFINED && v->kind <= VALUE_STRING;
    return true;
}

cria_status template_item(struct run *r, const struct value *obj, const struct value *key, struct value *ret) {
    bool found = false;
    if (obj->kind == VALUE_UNDEFINED) return template_fail_undefined(r, obj);
    if (obj->kind == VALUE_DICT && is_hashable(key)) {
        const struct value *v;
        CHECK(template_dict_get(r, obj->dict, key, &v));
        if (v) *ret = *v;
        found = v != NULL;
    } else if ((key->kind == VALUE_INT || key->kind == VALUE_BOOL) &&
               (obj->kind == VALUE_LIST || obj->kind == VALUE_TUPLE || obj->kind == VALUE_STRING ||
                obj->kind == VALUE_RANGE)) {
        CHECK(element(r, obj, key->kind == VALUE_BOOL ? key->boolean : key->integer, ret, &found));
    }
    if (found) return CRIA_OK;
    if (key->kind == VALUE_STRING) {
        CHECK(find_attribute(r, obj, key->text, ret, &found));
        if (found) return CRIA_OK;
        if (obj->kind == VALUE_NAMESPACE || obj->kind == VALUE_LOOP) return template_attribute(r, obj, key->text, ret);
        return template_undefined_member(r, obj, key->text, ret);
    }
    struct value name;
    CHECK(template_print_value(r, key, &name));
    return template_undefined_element(r, obj, name.text, ret);
}

/* ---- slices ---- */

static cria_status bound(struct run *r, const struct value *v, int64_t otherwise, int64_t *ret) {
    *ret = otherwise;
    if (v->kind == VALUE_BIG) {
        *ret = v->text->bytes[0] == '-' ? INT64_MIN : INT64_MAX;
        return CRIA_OK;
    }
    return v->kind == VALUE_NONE || v->kind == VALUE_ABSENT ? CRIA_OK : template_index(r, v, "a slice's bound", ret);
}

static int64_t clamp(int64_t i, int64_t n, int64_t low, int64_t high) {
    if (i < 0) i = i < -n ? low : i + n;
    return i < low ? low : i > high ? high : i;
}

static cria_status slice_text(struct run *r, const struct text *t, int64_t start, int64_t step, int64_t count,
                              struct value *ret) {
    if (step == 1) {
        const size_t from = template_text_offset(t, (size_t)start);
        size_t to = from;
        if (template_text_chars(t) == t->n) to += (size_t)count;
        else if (start + count == (int64_t)template_text_chars(t)) to = t->n;
        else to = template_text_offset(t, (size_t)(start + count));
        CHECK(template_step_bytes(r, to));
        return template_text_slice(r, t, from, to - from, ret);
    }
    struct value whole = template_string((struct text *)t);
    struct list *characters;
    struct text_block *b;
    CHECK(template_elements(r, &whole, &characters));
    CHECK(template_block_new(r, (size_t)count * 2, &b));
    for (int64_t i = 0; i < count; i++) CHECK(template_block_text(r, b, characters->items[start + i * step].text));
    CHECK(template_block_value(r, b, ret));
    ret->text->markup = t->markup;
    return CRIA_OK;
}

static cria_status slice_list(struct run *r, const struct value *obj, int64_t start, int64_t step, int64_t count,
                              struct value *ret) {
    struct list *l;
    CHECK(template_step(r, (uint64_t)count));
    CHECK(template_list_new(r, (size_t)count, &l));
    for (int64_t i = 0; i < count; i++) {
        bool found;
        struct value v;
        CHECK(element(r, obj, start + i * step, &v, &found));
        CHECK(template_list_add(r, l, v));
    }
    *ret = obj->kind == VALUE_TUPLE ? template_tuple(l, obj->trusted) : template_list(l, obj->trusted);
    return CRIA_OK;
}

cria_status template_slice(struct run *r, const struct value *obj, const struct value bounds[3], struct value *ret) {
    if (obj->kind == VALUE_UNDEFINED) return template_fail_undefined(r, obj);
    if (obj->kind != VALUE_STRING && obj->kind != VALUE_LIST && obj->kind != VALUE_TUPLE && obj->kind != VALUE_RANGE)
        return template_fail(r, CRIA_FORMAT, "'%s' object cannot be sliced", template_kind_name(obj));
    size_t n_items;
    int64_t step, start, stop;
    CHECK(template_length(r, obj, &n_items));
    const int64_t n = (int64_t)n_items;
    CHECK(bound(r, &bounds[2], 1, &step));
    if (step == 0) return template_fail(r, CRIA_FORMAT, "a slice's step cannot be zero");
    if (step > n + 1) step = n + 1;
    if (step < -n - 1) step = -n - 1;
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    CHECK(bound(r, &bounds[0], step < 0 ? INT64_MAX : 0, &start));
    CHECK(bound(r, &bounds[1], step < 0 ? INT64_MIN : INT64_MAX, &stop));
    start = clamp(start, n, low, high);
    stop = clamp(stop, n, low, high);
    const int64_t span = step > 0 ? stop - start : start - stop, size = step > 0 ? step : -step;
    const int64_t count = span > 0 ? (span + size - 1) / size : 0;
    if (obj->kind == VALUE_STRING) return slice_text(r, obj->text, count ? start : 0, count ? step : 1, count, ret);
    return slice_list(r, obj, start, step, count, ret);
}
