/* template_filter_list.c: jinja2's filters on sequences and mappings. */
#include <string.h>

#include "text/template_filters.h"
#include "text/template_string.h"

static cria_status undefined_result(struct run *r, const char *why, struct value *ret) {
    struct value name;
    CHECK(template_text_borrow(r, why, strlen(why), true, &name));
    return template_undefined_name(r, name.text, ret);
}

static bool is_given(const struct value *v) { return v->kind != VALUE_ABSENT && v->kind != VALUE_NONE; }

/* ---- attributes by a dotted path ---- */

/* otherwise (may be NULL) stands for what is undefined on the way. */
static cria_status follow_path_or(struct run *r, const struct value *path, const struct value *otherwise,
                                  struct value *v) {
    if (path->kind != VALUE_STRING) {
        CHECK(template_item(r, v, path, v));
        if (otherwise && v->kind == VALUE_UNDEFINED) *v = *otherwise;
        return CRIA_OK;
    }
    const struct text *t = path->text;
    for (size_t from = 0; from <= t->n;) {
        size_t to = from;
        bool digits = true;
        for (; to < t->n && t->bytes[to] != '.'; to++) digits = digits && t->bytes[to] >= '0' && t->bytes[to] <= '9';
        struct value key;
        CHECK(template_text_slice(r, t, from, to - from, &key));
        if (digits && to > from) CHECK(template_integer_text(r, t->bytes + from, to - from, true, &key));
        CHECK(template_item(r, v, &key, v));
        if (otherwise && v->kind == VALUE_UNDEFINED) *v = *otherwise;
        from = to + 1;
    }
    return CRIA_OK;
}

static cria_status follow_path(struct run *r, const struct value *path, struct value *v) {
    return follow_path_or(r, path, NULL, v);
}

/* The key that an element is sorted or compared by. */
static cria_status key_of(struct run *r, const struct value *path, bool ignores_case, struct value *v) {
    if (is_given(path)) CHECK(follow_path(r, path, v));
    if (ignores_case && v->kind == VALUE_STRING) CHECK(template_string_case(r, v->text, 'l', v));
    return CRIA_OK;
}

/* ---- sorting ---- */

struct sorted {
    struct value key, item;
};

static cria_status merge(struct run *r, struct sorted *a, size_t n_a, struct sorted *b, size_t n_b, struct sorted *out,
                         bool reverse) {
    size_t i = 0, j = 0;
    while (i < n_a || j < n_b) {
        bool second = i == n_a;
        if (i < n_a && j < n_b) {
            int order;
            CHECK(template_compare(r, &b[j].key, &a[i].key, "<", &order));
            second = reverse ? order > 0 && order != TEMPLATE_UNORDERED : order < 0;
        }
        *out++ = second ? b[j++] : a[i++];
    }
    return CRIA_OK;
}

/* A stable merge sort from the bottom up. */
static cria_status sort(struct run *r, struct sorted *items, size_t n, bool reverse) {
    struct sorted *from = items, *to;
    CHECK(template_new(r, n, sizeof *to, &to));
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            const size_t n_a = n - at < width ? n - at : width, n_b = n - at - n_a < width ? n - at - n_a : width;
            CHECK(merge(r, from + at, n_a, from + at + n_a, n_b, to + at, reverse));
        }
        struct sorted *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, n * sizeof *items);
    return CRIA_OK;
}

/* path may be a path, several with commas between them, or absent. */
static cria_status sort_keys(struct run *r, const struct value *path, bool ignores_case, struct value *v) {
    if (path->kind != VALUE_STRING || !memchr(path->text->bytes, ',', path->text->n))
        return key_of(r, path, ignores_case, v);
    struct value comma;
    struct list *paths, *keys;
    CHECK(template_text_borrow(r, ",", 1, true, &comma));
    CHECK(template_string_split(r, path->text, comma.text, -1, false, &paths));
    CHECK(template_list_new(r, paths->n, &keys));
    for (size_t i = 0; i < paths->n; i++) {
        struct value key = *v;
        CHECK(key_of(r, &paths->items[i], ignores_case, &key));
        CHECK(template_list_add(r, keys, key));
    }
    *v = template_tuple(keys, true);
    return CRIA_OK;
}

/* A new, sorted list of the items; pick 0 or 1 chooses a part of a pair as the key, -1 the whole. */
static cria_status sort_items(struct run *r, const struct list *items, const struct value *path, int pick,
                              bool ignores_case, bool reverse, struct list **ret) {
    struct sorted *rows;
    CHECK(template_new(r, items->n, sizeof *rows, &rows));
    for (size_t i = 0; i < items->n; i++) {
        rows[i] = (struct sorted){.key = pick < 0 ? items->items[i] : items->items[i].list->items[pick],
                                  .item = items->items[i]};
        CHECK(sort_keys(r, path, ignores_case, &rows[i].key));
    }
    CHECK(sort(r, rows, items->n, reverse));
    CHECK(template_list_new(r, items->n, ret));
    for (size_t i = 0; i < items->n; i++) CHECK(template_list_add(r, *ret, rows[i].item));
    return CRIA_OK;
}

cria_status template_sort(struct run *r, struct list *l, bool ignores_case) {
    const struct value none = {0};
    struct list *sorted;
    CHECK(sort_items(r, l, &none, -1, ignores_case, false, &sorted));
    *l = *sorted;
    return CRIA_OK;
}

cria_status template_filter_sort(struct run *r, const struct call *c, struct value *ret) {
    struct list *items;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(sort_items(r, items, &c->args[2], -1, !template_truth(&c->args[1]), template_truth(&c->args[0]), &items));
    *ret = template_list(items, c->self.trusted);
    return CRIA_OK;
}

cria_status template_filter_dictsort(struct run *r, const struct call *c, struct value *ret) {
    const struct value none = {0};
    struct list *items;
    if (c->self.kind == VALUE_UNDEFINED) return template_fail_undefined(r, &c->self);
    if (c->self.kind != VALUE_DICT)
        return template_fail(r, CRIA_FORMAT, "dictsort: expected a mapping, found %s", template_kind_name(&c->self));
    const bool by_value = c->args[1].kind == VALUE_STRING && template_text_is(c->args[1].text, "value");
    if (c->args[1].kind == VALUE_STRING && !by_value && !template_text_is(c->args[1].text, "key"))
        return template_fail(r, CRIA_FORMAT, "dictsort: by must be \"key\" or \"value\"");
    CHECK(template_dict_list(r, c->self.dict, 'i', &items));
    CHECK(sort_items(r, items, &none, by_value, !template_truth(&c->args[0]), template_truth(&c->args[2]), &items));
    *ret = template_list(items, c->self.trusted);
    return CRIA_OK;
}

static cria_status extreme(struct run *r, const struct call *c, int sign, struct value *ret) {
    struct list *items;
    struct value best = {0};
    CHECK(template_elements(r, &c->self, &items));
    if (items->n == 0) return undefined_result(r, "the item of an empty sequence", ret);
    for (size_t i = 0; i < items->n; i++) {
        struct value key = items->items[i];
        int order = 0;
        CHECK(key_of(r, &c->args[1], !template_truth(&c->args[0]), &key));
        if (i) CHECK(template_compare(r, &key, &best, sign < 0 ? "<" : ">", &order));
        if (i && (order == TEMPLATE_UNORDERED || order * sign <= 0)) continue;
        best = key;
        *ret = items->items[i];
    }
    return CRIA_OK;
}
cria_status template_filter_min(struct run *r, const struct call *c, struct value *ret) {
    return extreme(r, c, -1, ret);
}
cria_status template_filter_max(struct run *r, const struct call *c, struct value *ret) {
    return extreme(r, c, 1, ret);
}

cria_status template_filter_unique(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *kept;
    struct dict *seen;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(template_list_new(r, 0, &kept));
    CHECK(template_dict_new(r, 0, &seen));
    for (size_t i = 0; i < items->n; i++) {
        struct value key = items->items[i];
        bool was_new;
        CHECK(key_of(r, &c->args[1], !template_truth(&c->args[0]), &key));
        CHECK(template_dict_set(r, seen, key, template_none(true), &was_new));
        if (was_new) CHECK(template_list_add(r, kept, items->items[i]));
    }
    return template_iterator(r, kept, ret);
}

/* ---- elements ---- */

cria_status template_filter_length(struct run *r, const struct call *c, struct value *ret) {
    size_t n;
    CHECK(template_length(r, &c->self, &n));
    *ret = template_int((int64_t)n, true);
    return CRIA_OK;
}

cria_status template_filter_first(struct run *r, const struct call *c, struct value *ret) {
    struct list *items;
    CHECK(template_elements(r, &c->self, &items));
    if (items->n == 0) return undefined_result(r, "the first item of an empty sequence", ret);
    *ret = items->items[0];
    return CRIA_OK;
}

cria_status template_filter_last(struct run *r, const struct call *c, struct value *ret) {
    struct list *items;
    if (c->self.kind == VALUE_ITERATOR) return template_fail(r, CRIA_FORMAT, "'generator' object is not reversible");
    CHECK(template_elements(r, &c->self, &items));
    if (items->n == 0) return undefined_result(r, "the last item of an empty sequence", ret);
    *ret = items->items[items->n - 1];
    return CRIA_OK;
}

cria_status template_filter_list(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *copy;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(template_step(r, items->n));
    CHECK(template_list_new(r, items->n, &copy));
    for (size_t i = 0; i < items->n; i++) CHECK(template_list_add(r, copy, items->items[i]));
    *ret = template_list(copy, c->self.kind == VALUE_STRING || c->self.trusted);
    return CRIA_OK;
}

cria_status template_filter_items(struct run *r, const struct call *c, struct value *ret) {
    struct list *items;
    if (c->self.kind == VALUE_UNDEFINED) {
        CHECK(template_list_new(r, 0, &items));
        return template_iterator(r, items, ret);
    }
    if (c->self.kind != VALUE_DICT)
        return template_fail(r, CRIA_FORMAT, "items: expected a mapping, found %s", template_kind_name(&c->self));
    CHECK(template_dict_list(r, c->self.dict, 'i', &items));
    return template_iterator(r, items, ret);
}

cria_status template_filter_reverse(struct run *r, const struct call *c, struct value *ret) {
    if (c->self.kind == VALUE_STRING) {
        const struct value bounds[3] = {{0}, {0}, template_int(-1, true)};
        return template_slice(r, &c->self, bounds, ret);
    }
    struct list *items, *turned;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(template_step(r, items->n));
    CHECK(template_list_new(r, items->n, &turned));
    for (size_t i = items->n; i-- > 0;) CHECK(template_list_add(r, turned, items->items[i]));
    if (c->self.kind != VALUE_ITERATOR) return template_iterator(r, turned, ret);
    *ret = template_list(turned, true);
    return CRIA_OK;
}

cria_status template_filter_join(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *picked;
    struct value sep;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(template_text_borrow(r, "", 0, true, &sep));
    if (c->args[0].kind != VALUE_ABSENT) CHECK(template_print_value(r, &c->args[0], &sep));
    if (is_given(&c->args[1])) {
        CHECK(template_list_new(r, items->n, &picked));
        for (size_t i = 0; i < items->n; i++) {
            struct value v = items->items[i];
            CHECK(follow_path(r, &c->args[1], &v));
            CHECK(template_list_add(r, picked, v));
        }
        items = picked;
    }
    CHECK(template_string_join(r, sep.text, items, false, ret));
    ret->text->markup = false;
    return CRIA_OK;
}

cria_status template_filter_sum(struct run *r, const struct call *c, struct value *ret) {
    struct list *items;
    struct value total = c->args[1].kind == VALUE_ABSENT ? template_int(0, true) : c->args[1];
    CHECK(template_elements(r, &c->self, &items));
    for (size_t i = 0; i < items->n; i++) {
        struct value v = items->items[i];
        if (is_given(&c->args[0])) CHECK(follow_path(r, &c->args[0], &v));
        CHECK(template_arithmetic(r, '+', &total, &v, &total));
    }
    *ret = total;
    return CRIA_OK;
}

cria_status template_filter_batch(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *rows, *row = NULL;
    int64_t n;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(template_index(r, &c->args[0], "linecount", &n));
    CHECK(template_list_new(r, 0, &rows));
    for (size_t i = 0; i < items->n; i++) {
        if (!row || (int64_t)row->n == n) {
            CHECK(template_list_new(r, 0, &row));
            CHECK(template_list_add(r, rows, template_list(row, true)));
        }
        CHECK(template_list_add(r, row, items->items[i]));
    }
    if (n > 0 && (uint64_t)n > r->arena.max_bytes) return template_fail(r, CRIA_LIMIT, "batch: too large a linecount");
    while (row && is_given(&c->args[1]) && (int64_t)row->n < n) CHECK(template_list_add(r, row, c->args[1]));
    return template_iterator(r, rows, ret);
}

cria_status template_filter_slice(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *rows, *row;
    int64_t n;
    CHECK(template_elements(r, &c->self, &items));
    CHECK(template_index(r, &c->args[0], "slices", &n));
    if (n <= 0 || n > 100000)
        return template_fail(r, CRIA_FORMAT, "slice: the number of slices must be positive and moderate");
    CHECK(template_list_new(r, 0, &rows));
    const size_t each = items->n / (size_t)n, longer = items->n % (size_t)n;
    size_t at = 0;
    for (size_t i = 0; i < (size_t)n; i++) {
        CHECK(template_list_new(r, each + 1, &row));
        for (size_t j = 0; j < each + (i < longer); j++) CHECK(template_list_add(r, row, items->items[at++]));
        if (is_given(&c->args[1]) && i >= longer) CHECK(template_list_add(r, row, c->args[1]));
        CHECK(template_list_add(r, rows, template_list(row, true)));
    }
    return template_iterator(r, rows, ret);
}

/* Consecutive elements of equal key, sorted by it: (grouper, list) pairs with those names. */
cria_status template_filter_groupby(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *groups, *group = NULL;
    struct value last = {0};
    const bool ignores_case = !template_truth(&c->args[2]);
    CHECK(template_elements(r, &c->self, &items));
    CHECK(sort_items(r, items, &c->args[0], -1, ignores_case, false, &items));
    CHECK(template_list_new(r, 0, &groups));
    for (size_t i = 0; i < items->n; i++) {
        struct value key = items->items[i], shown = items->items[i], pair;
        bool same = false;
        CHECK(key_of(r, &c->args[0], ignores_case, &key));
        CHECK(follow_path(r, &c->args[0], &shown));
        if (group) CHECK(template_equal(r, &key, &last, &same));
        if (!same) {
            CHECK(template_list_new(r, 0, &group));
            CHECK(template_pair(r, shown, template_list(group, true), &pair));
            CHECK(template_list_add(r, groups, pair));
        }
        CHECK(template_list_add(r, group, items->items[i]));
        last = key;
    }
    *ret = template_list(groups, true);
    return CRIA_OK;
}

/* ---- map, select ---- */

/* What map and select work on: anything false, None too, counts as empty. */
static cria_status elements_if_any(struct run *r, const struct value *v, struct list **ret) {
    return template_truth(v) ? template_elements(r, v, ret) : template_list_new(r, 0, ret);
}

static cria_status take_keyword(struct run *r, const struct call *c, const char *name, const struct value **ret) {
    (void)r;
    *ret = NULL;
    for (size_t i = 0; i < c->n_named; i++)
        if (template_text_is(c->names[i].text, name)) *ret = &c->named[i];
    return CRIA_OK;
}

static cria_status find_function(struct run *r, const struct value *name, const char *what,
                                 const struct template_function *(*find)(const char *, size_t),
                                 const struct template_function **ret) {
    *ret = name->kind == VALUE_STRING ? find(name->text->bytes, name->text->n) : NULL;
    if (*ret) return CRIA_OK;
    struct value text;
    CHECK(template_print_value(r, name, &text));
    return template_fail(r, CRIA_UNSUPPORTED, "no %s named '%.*s'", what, (int)text.text->n, text.text->bytes);
}

/* Calls f on *v with the arguments of c behind the first n_used ones, and gives the result in *v. */
static cria_status call_with_rest(struct run *r, const struct template_function *f, const struct call *c, size_t n_used,
                                  struct value *v) {
    struct call rest = *c;
    rest.self = *v;
    rest.args += n_used;
    rest.n_args -= n_used;
    return template_call_function(r, f, &rest, v);
}

cria_status template_filter_map(struct run *r, const struct call *c, struct value *ret) {
    struct list *items, *mapped;
    const struct value *path, *otherwise;
    const struct template_function *f = NULL;
    CHECK(take_keyword(r, c, "attribute", &path));
    CHECK(take_keyword(r, c, "default", &otherwise));
    if (c->n_args) CHECK(find_function(r, &c->args[0], "filter", template_filter_find, &f));
    else if (!path) return template_fail(r, CRIA_FORMAT, "map: expects a filter's name or attribute=");
    CHECK(elements_if_any(r, &c->self, &items));
    CHECK(template_list_new(r, items->n, &mapped));
    for (size_t i = 0; i < items->n; i++) {
        struct value v = items->items[i];
        CHECK(template_step(r, 1));
        if (f) CHECK(call_with_rest(r, f, c, 1, &v));
        else CHECK(follow_path_or(r, path, otherwise, &v));
        CHECK(template_list_add(r, mapped, v));
    }
    return template_iterator(r, mapped, ret);
}

static cria_status select_items(struct run *r, const struct call *c, bool wanted, bool by_attribute,
                                struct value *ret) {
    struct list *items, *kept;
    const struct template_function *f = NULL;
    const size_t n_used = by_attribute;
    if (by_attribute && !c->n_args)
        return template_fail(r, CRIA_FORMAT, "selectattr: expects the name of an attribute");
    if (c->n_args > n_used) CHECK(find_function(r, &c->args[n_used], "test", template_check_find, &f));
    CHECK(elements_if_any(r, &c->self, &items));
    CHECK(template_list_new(r, 0, &kept));
    for (size_t i = 0; i < items->n; i++) {
        struct value v = items->items[i];
        CHECK(template_step(r, 1));
        if (by_attribute) CHECK(follow_path(r, &c->args[0], &v));
        if (f) CHECK(call_with_rest(r, f, c, n_used + 1, &v));
        if (template_truth(&v) == wanted) CHECK(template_list_add(r, kept, items->items[i]));
    }
    return template_iterator(r, kept, ret);
}
cria_status template_filter_select(struct run *r, const struct call *c, struct value *ret) {
    return select_items(r, c, true, false, ret);
}
cria_status template_filter_reject(struct run *r, const struct call *c, struct value *ret) {
    return select_items(r, c, false, false, ret);
}
cria_status template_filter_selectattr(struct run *r, const struct call *c, struct value *ret) {
    return select_items(r, c, true, true, ret);
}
cria_status template_filter_rejectattr(struct run *r, const struct call *c, struct value *ret) {
    return select_items(r, c, false, true, ret);
}
