/* template_value.c: what Python says of any two values: truth, equality, order, membership, elements; lists; undefined
 * ones. */
#include <string.h>

#include "text/template_private.h"

const char *template_kind_name(const struct value *v) {
    static const char *const names[VALUE_KIND_COUNT] = {
        [VALUE_ABSENT] = "Undefined",
        [VALUE_UNDEFINED] = "Undefined",
        [VALUE_NONE] = "NoneType",
        [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int",
        [VALUE_BIG] = "int",
        [VALUE_FLOAT] = "float",
        [VALUE_STRING] = "str",
        [VALUE_LIST] = "list",
        [VALUE_TUPLE] = "tuple",
        [VALUE_DICT] = "dict",
        [VALUE_RANGE] = "range",
        [VALUE_VIEW] = "dict view",
        [VALUE_ITERATOR] = "generator",
        [VALUE_NAMESPACE] = "Namespace",
        [VALUE_LOOP] = "LoopContext",
        [VALUE_MACRO] = "Macro",
        [VALUE_FUNCTION] = "function",
        [VALUE_METHOD] = "builtin_function_or_method",
    };
    return names[v->kind];
}

bool template_truth(const struct value *v) {
    switch (v->kind) {
        case VALUE_ABSENT:
        case VALUE_UNDEFINED:
        case VALUE_NONE:
            return false;
        case VALUE_BOOL:
            return v->boolean;
        case VALUE_INT:
            return v->integer != 0;
        case VALUE_FLOAT:
            return v->number != 0;
        case VALUE_STRING:
            return v->text->n != 0;
        case VALUE_LIST:
        case VALUE_TUPLE:
            return v->list->n != 0;
        case VALUE_DICT:
            return v->dict->n != 0;
        case VALUE_RANGE:
            return v->range->n != 0;
        case VALUE_VIEW:
            return v->view->list->n != 0;
        case VALUE_LOOP:
            return v->loop->items->n != 0;
        default:
            return true;
    }
}

/* ---- equality and order ---- */

static cria_status lists_equal(struct run *r, const struct list *a, const struct list *b, bool *ret) {
    *ret = a->n == b->n;
    for (size_t i = 0; i < a->n && *ret; i++) CHECK(template_equal(r, &a->items[i], &b->items[i], ret));
    return CRIA_OK;
}

static cria_status dicts_equal(struct run *r, const struct dict *a, const struct dict *b, bool *ret) {
    *ret = a->n == b->n;
    for (size_t i = 0; i < a->n && *ret; i++) {
        const struct value *other;
        CHECK(template_dict_get(r, b, &a->entries[i].key, &other));
        *ret = false;
        if (other) CHECK(template_equal(r, &a->entries[i].value, other, ret));
    }
    return CRIA_OK;
}

static cria_status same_kind_equal(struct run *r, const struct value *a, const struct value *b, bool *ret) {
    switch (a->kind) {
        case VALUE_UNDEFINED:
        case VALUE_NONE:
            *ret = true;
            return CRIA_OK;
        case VALUE_STRING:
            *ret = template_text_equal(a->text, b->text);
            return template_step(r, *ret ? a->text->n / 64 : 0);
        case VALUE_LIST:
        case VALUE_TUPLE:
            return lists_equal(r, a->list, b->list, ret);
        case VALUE_DICT:
            return dicts_equal(r, a->dict, b->dict, ret);
        case VALUE_VIEW:
            return lists_equal(r, a->view->list, b->view->list, ret);
        case VALUE_RANGE:
            *ret = a->range->n == b->range->n &&
                   (a->range->n == 0 ||
                    (a->range->start == b->range->start && (a->range->n == 1 || a->range->step == b->range->step)));
            return CRIA_OK;
        default:
            *ret = a->list == b->list;
            return CRIA_OK; /* the same object */
    }
}

cria_status template_equal(struct run *r, const struct value *a, const struct value *b, bool *ret) {
    CHECK(template_step(r, 1));
    if (template_is_number(a) && template_is_number(b)) {
        bool unordered;
        *ret = template_number_compare(a, b, &unordered) == 0 && !unordered;
        return CRIA_OK;
    }
    if (a->kind != b->kind) {
        *ret = false;
        return CRIA_OK;
    }
    CHECK(template_enter(r));
    CHECK(same_kind_equal(r, a, b, ret));
    template_leave(r);
    return CRIA_OK;
}

static cria_status compare_lists(struct run *r, const struct list *a, const struct list *b, const char *op, int *ret) {
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool equal;
        CHECK(template_equal(r, &a->items[i], &b->items[i], &equal));
        if (!equal) return template_compare(r, &a->items[i], &b->items[i], op, ret);
    }
    *ret = a->n < b->n ? -1 : a->n > b->n;
    return CRIA_OK;
}

cria_status template_compare(struct run *r, const struct value *a, const struct value *b, const char *op, int *ret) {
    CHECK(template_step(r, 1));
    if (a->kind == VALUE_UNDEFINED) return template_fail_undefined(r, a);
    if (b->kind == VALUE_UNDEFINED) return template_fail_undefined(r, b);
    if (template_is_number(a) && template_is_number(b)) {
        bool unordered;
        *ret = template_number_compare(a, b, &unordered);
        if (unordered) *ret = TEMPLATE_UNORDERED;
        return CRIA_OK;
    }
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        *ret = template_text_compare(a->text, b->text);
        return template_step(r, a->text->n / 64);
    }
    if (a->kind == b->kind && (a->kind == VALUE_LIST || a->kind == VALUE_TUPLE)) {
        CHECK(template_enter(r));
        CHECK(compare_lists(r, a->list, b->list, op, ret));
        template_leave(r);
        return CRIA_OK;
    }
    return template_fail(r, CRIA_FORMAT, "'%s' not supported between instances of '%s' and '%s'", op,
                         template_kind_name(a), template_kind_name(b));
}

static cria_status list_contains(struct run *r, const struct list *l, const struct value *v, bool *ret) {
    *ret = false;
    for (size_t i = 0; i < l->n && !*ret; i++) CHECK(template_equal(r, &l->items[i], v, ret));
    return CRIA_OK;
}

cria_status template_contains(struct run *r, const struct value *container, const struct value *v, bool *ret) {
    if (container->kind == VALUE_STRING) {
        if (v->kind != VALUE_STRING)
            return template_fail(r, CRIA_FORMAT, "'in <string>' requires a string as left operand, not %s",
                                 template_kind_name(v));
        CHECK(template_step_search(r, container->text->n));
        *ret = template_text_find(container->text, v->text, 0) != SIZE_MAX;
        return CRIA_OK;
    }
    if (container->kind == VALUE_DICT) {
        const struct value *found;
        CHECK(template_dict_get(r, container->dict, v, &found));
        *ret = found != NULL;
        return CRIA_OK;
    }
    if (!template_is_iterable(container))
        return template_fail(r, CRIA_FORMAT, "argument of type '%s' is not iterable", template_kind_name(container));
    struct list *l;
    CHECK(template_elements(r, container, &l));
    return list_contains(r, l, v, ret);
}

/* ---- elements ---- */

bool template_is_iterable(const struct value *v) {
    switch (v->kind) {
        case VALUE_UNDEFINED:
        case VALUE_STRING:
        case VALUE_LIST:
        case VALUE_TUPLE:
        case VALUE_DICT:
        case VALUE_RANGE:
        case VALUE_VIEW:
        case VALUE_ITERATOR:
        case VALUE_LOOP:
            return true;
        default:
            return false;
    }
}

static cria_status characters(struct run *r, const struct text *t, struct list **ret) {
    struct list *l;
    CHECK(template_step(r, t->n));
    CHECK(template_list_new(r, template_text_chars(t), &l));
    for (size_t i = 0; i < t->n;) {
        uint32_t code;
        struct value c;
        const int n = template_text_step(t, i, &code);
        CHECK(template_text_slice(r, t, i, (size_t)n, &c));
        c.text->markup = false; /* as Python's iteration does */
        CHECK(template_list_add(r, l, c));
        i += (size_t)n;
    }
    *ret = l;
    return CRIA_OK;
}

static cria_status range_elements(struct run *r, const struct range *range, struct list **ret) {
    struct list *l;
    CHECK(template_step(r, range->n));
    CHECK(template_list_new(r, range->n, &l));
    for (size_t i = 0; i < range->n; i++)
        CHECK(template_list_add(r, l, template_int(range->start + (int64_t)i * range->step, true)));
    *ret = l;
    return CRIA_OK;
}

cria_status template_elements(struct run *r, const struct value *v, struct list **ret) {
    switch (v->kind) {
        case VALUE_UNDEFINED:
            return template_list_new(r, 0, ret);
        case VALUE_STRING:
            return characters(r, v->text, ret);
        case VALUE_LIST:
        case VALUE_TUPLE:
            *ret = v->list;
            return CRIA_OK;
        case VALUE_DICT:
            return template_dict_list(r, v->dict, 'k', ret);
        case VALUE_RANGE:
            return range_elements(r, v->range, ret);
        case VALUE_VIEW:
            *ret = v->view->list;
            return CRIA_OK;
        case VALUE_ITERATOR: {
            struct list *rest;
            CHECK(template_list_new(r, 0, &rest));
            const struct iterator *it = v->iterator;
            const size_t n = it->list->n - it->at;
            if (n) *rest = (struct list){.items = it->list->items + it->at, .n = n, .capacity = n};
            v->iterator->at = it->list->n;
            *ret = rest;
            return CRIA_OK;
        }
        default:
            return template_fail(r, CRIA_FORMAT, "'%s' object is not iterable", template_kind_name(v));
    }
}

cria_status template_length(struct run *r, const struct value *v, size_t *ret) {
    switch (v->kind) {
        case VALUE_UNDEFINED:
            *ret = 0;
            return CRIA_OK;
        case VALUE_STRING:
            *ret = template_text_chars(v->text);
            return template_step_bytes(r, v->text->n);
        case VALUE_LIST:
        case VALUE_TUPLE:
            *ret = v->list->n;
            return CRIA_OK;
        case VALUE_DICT:
            *ret = v->dict->n;
            return CRIA_OK;
        case VALUE_RANGE:
            *ret = v->range->n;
            return CRIA_OK;
        case VALUE_VIEW:
            *ret = v->view->list->n;
            return CRIA_OK;
        case VALUE_LOOP:
            *ret = v->loop->items->n;
            return CRIA_OK;
        default:
            return template_fail(r, CRIA_FORMAT, "object of type '%s' has no len()", template_kind_name(v));
    }
}

cria_status template_list_new(struct run *r, size_t capacity, struct list **ret) {
    struct list *l;
    CHECK(template_new(r, 1, sizeof *l, &l));
    if (capacity) CHECK(template_new(r, capacity, sizeof *l->items, &l->items));
    l->capacity = capacity;
    *ret = l;
    return CRIA_OK;
}

cria_status template_list_add(struct run *r, struct list *l, struct value v) {
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? l->capacity * 2 : 4;
        struct value *items;
        CHECK(template_new(r, capacity, sizeof *items, &items));
        if (l->n) memcpy(items, l->items, l->n * sizeof *items);
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->n++] = v;
    return CRIA_OK;
}

cria_status template_iterator(struct run *r, struct list *l, struct value *ret) {
    struct iterator *it;
    CHECK(template_new(r, 1, sizeof *it, &it));
    it->list = l;
    *ret = (struct value){.kind = VALUE_ITERATOR, .trusted = true, .iterator = it};
    return CRIA_OK;
}

cria_status template_pair(struct run *r, struct value a, struct value b, struct value *ret) {
    struct list *l;
    CHECK(template_list_new(r, 2, &l));
    CHECK(template_list_add(r, l, a));
    CHECK(template_list_add(r, l, b));
    *ret = template_tuple(l, true);
    return CRIA_OK;
}

/* ---- undefined ---- */

cria_status template_fail_undefined(struct run *r, const struct value *v) {
    const struct undefined *u = v->kind == VALUE_UNDEFINED ? v->undefined : NULL;
    if (!u) return template_fail(r, CRIA_FORMAT, "a value is undefined");
    if (u->why) return template_fail(r, CRIA_UNSUPPORTED, "%s: '%.*s'", u->why, (int)u->name->n, u->name->bytes);
    if (!u->owner) return template_fail(r, CRIA_FORMAT, "'%.*s' is undefined", (int)u->name->n, u->name->bytes);
    return template_fail(r, CRIA_FORMAT, "'%s object' has no %s '%.*s'", u->owner,
                         u->is_element ? "element" : "attribute", (int)u->name->n, u->name->bytes);
}

static cria_status make_undefined(struct run *r, struct undefined what, struct value *ret) {
    struct undefined *u;
    CHECK(template_new(r, 1, sizeof *u, &u));
    *u = what;
    *ret = (struct value){.kind = VALUE_UNDEFINED, .trusted = true, .undefined = u};
    return CRIA_OK;
}

cria_status template_undefined_name(struct run *r, const struct text *name, struct value *ret) {
    return make_undefined(r, (struct undefined){.name = name}, ret);
}

cria_status template_undefined_member(struct run *r, const struct value *owner, const struct text *name,
                                      struct value *ret) {
    return make_undefined(r, (struct undefined){.owner = template_kind_name(owner), .name = name}, ret);
}

cria_status template_undefined_element(struct run *r, const struct value *owner, const struct text *name,
                                       struct value *ret) {
    return make_undefined(r, (struct undefined){.owner = template_kind_name(owner), .name = name, .is_element = true},
                          ret);
}

cria_status template_undefined_unsafe(struct run *r, const struct text *name, struct value *ret) {
    return make_undefined(r, (struct undefined){.name = name, .why = "a template may not use the attribute"}, ret);
}
