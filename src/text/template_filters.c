/* template_filters.c: the table of filters, and those that are neither about strings nor about sequences. */
#include "text/template_filters.h"

#include <string.h>

#include "text/template_string.h"

static cria_status filter_default(struct run *r, const struct call *c, struct value *ret) {
    const bool replaces = c->self.kind == VALUE_UNDEFINED || (template_truth(&c->args[1]) && !template_truth(&c->self));
    if (!replaces) *ret = c->self;
    else if (c->args[0].kind != VALUE_ABSENT) *ret = c->args[0];
    else return template_text_borrow(r, "", 0, true, ret);
    return CRIA_OK;
}

/* An attribute only, never a key. */
static cria_status filter_attr(struct run *r, const struct call *c, struct value *ret) {
    const struct text *name;
    CHECK(template_string_argument(r, &c->args[0], "attr", &name));
    if (c->self.kind == VALUE_DICT && !template_method_dict(name))
        return template_undefined_member(r, &c->self, name, ret);
    return template_attribute(r, &c->self, name, ret);
}

static cria_status separator(struct run *r, const struct value *v, const char *otherwise, const struct text **ret) {
    struct value text = *v;
    if (v->kind == VALUE_ABSENT) CHECK(template_text_borrow(r, otherwise, strlen(otherwise), true, &text));
    return template_string_argument(r, &text, "tojson", ret);
}

/* tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False) */
static cria_status filter_tojson(struct run *r, const struct call *c, struct value *ret) {
    struct json_style style = {.ascii = template_truth(&c->args[0]), .sorted = template_truth(&c->args[3])};
    struct value item = {0}, key = {0}, blanks;
    const struct value *indent = &c->args[1], *separators = &c->args[2];
    struct text_block *b;
    if (c->self.kind == VALUE_UNDEFINED) return template_fail_undefined(r, &c->self);
    if (indent->kind == VALUE_STRING) {
        style.indent = indent->text;
    } else if (indent->kind != VALUE_ABSENT && indent->kind != VALUE_NONE) {
        int64_t width;
        CHECK(template_index(r, indent, "indent", &width));
        if (width > 1000) return template_fail(r, CRIA_LIMIT, "tojson: an indent over 1000");
        CHECK(template_text_borrow(r, " ", 1, true, &blanks));
        const struct value count = template_int(width, true);
        CHECK(template_arithmetic(r, '*', &blanks, &count, &blanks));
        style.indent = blanks.text;
    }
    if (separators->kind == VALUE_TUPLE || separators->kind == VALUE_LIST) {
        if (separators->list->n != 2) return template_fail(r, CRIA_FORMAT, "tojson: separators must be two strings");
        item = separators->list->items[0];
        key = separators->list->items[1];
    }
    CHECK(separator(r, &item, style.indent ? "," : ", ", &style.item));
    CHECK(separator(r, &key, ": ", &style.key));
    CHECK(template_block_new(r, 0, &b));
    CHECK(template_json(r, b, &c->self, &style, 0));
    return template_block_value(r, b, ret);
}

static const struct template_function filters[] = {
    {.name = "trim", .fn = template_filter_trim, .parameters = {"chars"}},
    {.name = "tojson", .fn = filter_tojson, .parameters = {"ensure_ascii", "indent", "separators", "sort_keys"}},
    {.name = "length", .fn = template_filter_length},
    {.name = "count", .fn = template_filter_length},
    {.name = "string", .fn = template_filter_string},
    {.name = "join", .fn = template_filter_join, .parameters = {"d", "attribute"}},
    {.name = "default", .fn = filter_default, .parameters = {"default_value", "boolean"}},
    {.name = "d", .fn = filter_default, .parameters = {"default_value", "boolean"}},
    {.name = "items", .fn = template_filter_items},
    {.name = "list", .fn = template_filter_list},
    {.name = "map", .fn = template_filter_map, .raw = true},
    {.name = "select", .fn = template_filter_select, .raw = true},
    {.name = "reject", .fn = template_filter_reject, .raw = true},
    {.name = "selectattr", .fn = template_filter_selectattr, .raw = true},
    {.name = "rejectattr", .fn = template_filter_rejectattr, .raw = true},
    {.name = "indent", .fn = template_filter_indent, .parameters = {"width", "first", "blank"}},
    {.name = "replace", .fn = template_filter_replace, .n_required = 2, .parameters = {"old", "new", "count"}},
    {.name = "upper", .fn = template_filter_upper},
    {.name = "lower", .fn = template_filter_lower},
    {.name = "title", .fn = template_filter_title},
    {.name = "capitalize", .fn = template_filter_capitalize},
    {.name = "first", .fn = template_filter_first},
    {.name = "last", .fn = template_filter_last},
    {.name = "int", .fn = template_filter_int, .parameters = {"default", "base"}},
    {.name = "float", .fn = template_filter_float, .parameters = {"default"}},
    {.name = "abs", .fn = template_filter_abs},
    {.name = "round", .fn = template_filter_round, .parameters = {"precision", "method"}},
    {.name = "safe", .fn = template_filter_safe},
    {.name = "escape", .fn = template_filter_escape},
    {.name = "e", .fn = template_filter_escape},
    {.name = "forceescape", .fn = template_filter_forceescape},
    {.name = "dictsort", .fn = template_filter_dictsort, .parameters = {"case_sensitive", "by", "reverse"}},
    {.name = "sort", .fn = template_filter_sort, .parameters = {"reverse", "case_sensitive", "attribute"}},
    {.name = "unique", .fn = template_filter_unique, .parameters = {"case_sensitive", "attribute"}},
    {.name = "min", .fn = template_filter_min, .parameters = {"case_sensitive", "attribute"}},
    {.name = "max", .fn = template_filter_max, .parameters = {"case_sensitive", "attribute"}},
    {.name = "sum", .fn = template_filter_sum, .parameters = {"attribute", "start"}},
    {.name = "reverse", .fn = template_filter_reverse},
    {.name = "batch", .fn = template_filter_batch, .n_required = 1, .parameters = {"linecount", "fill_with"}},
    {.name = "slice", .fn = template_filter_slice, .n_required = 1, .parameters = {"slices", "fill_with"}},
    {.name = "groupby",
     .fn = template_filter_groupby,
     .n_required = 1,
     .parameters = {"attribute", "default", "case_sensitive"}},
    {.name = "attr", .fn = filter_attr, .n_required = 1, .parameters = {"name"}},
    {.name = "center", .fn = template_filter_center, .parameters = {"width"}},
    {.name = "truncate", .fn = template_filter_truncate, .parameters = {"length", "killwords", "end", "leeway"}},
    {.name = "wordcount", .fn = template_filter_wordcount},
    {.name = "striptags", .fn = template_filter_striptags},
    {.name = "urlencode", .fn = template_filter_urlencode},
    {.name = "format", .fn = template_filter_format, .raw = true},
};

const struct template_function *template_filter_find(const char *name, size_t n) {
    return template_find(filters, sizeof filters / sizeof *filters, name, n);
}
