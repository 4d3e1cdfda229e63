/* template_eval.c: expressions: from a node to its value, and calls of functions, methods and macros. */
#include <string.h>

#include "text/template_private.h"

static cria_status lookup(struct run *r, uint32_t name, const struct value **ret) {
    for (const struct scope *s = r->scope; s; s = s->parent)
        for (uint32_t i = s->n; i-- > 0;)
            if (s->items[i].name == name) {
                *ret = &s->items[i].value;
                return CRIA_OK;
            }
    *ret = r->globals[name].kind == VALUE_ABSENT ? NULL : &r->globals[name];
    return CRIA_OK;
}

cria_status template_lookup(struct run *r, uint32_t name, struct value *ret) {
    const struct value *v;
    CHECK(lookup(r, name, &v));
    if (!v) return template_undefined_name(r, r->t->names.items[name], ret);
    *ret = *v;
    return CRIA_OK;
}

/* ---- calls ---- */

static cria_status wrong_arguments(struct run *r, const char *name, const char *what) {
    return template_fail(r, CRIA_FORMAT, "%s(): %s", name, what);
}

cria_status template_call_function(struct run *r, const struct template_function *f, const struct call *c,
                                   struct value *ret) {
    if (f->raw) return f->fn(r, c, ret);
    struct value bound[TEMPLATE_MAX_PARAMETERS] = {{0}};
    size_t count = 0;
    while (count < TEMPLATE_MAX_PARAMETERS && f->parameters[count]) count++;
    if (c->n_args > count) return wrong_arguments(r, f->name, "too many arguments");
    if (c->n_args) memcpy(bound, c->args, c->n_args * sizeof *bound);
    for (size_t i = 0; i < c->n_named; i++) {
        size_t at = 0;
        while (at < count && !template_text_is(c->names[i].text, f->parameters[at])) at++;
        if (at == count) return wrong_arguments(r, f->name, "a keyword argument that it does not know");
        if (bound[at].kind != VALUE_ABSENT) return wrong_arguments(r, f->name, "an argument is given twice");
        bound[at] = c->named[i];
    }
    for (int i = 0; i < f->n_required; i++)
        if (bound[i].kind == VALUE_ABSENT) return wrong_arguments(r, f->name, "an argument is missing");
    const struct call full = {.self = c->self, .args = bound, .n_args = count};
    return f->fn(r, &full, ret);
}

cria_status template_call(struct run *r, const struct value *callee, const struct call *c, struct value *ret) {
    struct call bound = *c;
    switch (callee->kind) {
        case VALUE_FUNCTION:
            return template_call_function(r, callee->function, c, ret);
        case VALUE_MACRO:
            return template_call_macro(r, callee->macro, c, ret);
        case VALUE_METHOD:
            bound.self = callee->method->self;
            return template_call_function(r, callee->method->function, &bound, ret);
        case VALUE_LOOP:
            if (c->n_args == 1) return template_call_loop(r, callee->loop, &c->args[0], ret);
            return wrong_arguments(r, "loop", "expects one argument");
        case VALUE_UNDEFINED:
            return template_fail_undefined(r, callee);
        default:
            return template_fail(r, CRIA_FORMAT, "'%s' object is not callable", template_kind_name(callee));
    }
}

static cria_status add_named(struct run *r, struct call *c, struct value name, struct value v) {
    for (size_t i = 0; i < c->n_named; i++)
        if (template_text_equal(c->names[i].text, name.text))
            return template_fail(r, CRIA_FORMAT, "a keyword argument is given twice");
    c->names[c->n_named] = name;
    c->named[c->n_named++] = v;
    return CRIA_OK;
}

static cria_status spread_named(struct run *r, struct call *c, const struct value *more) {
    for (size_t i = 0; i < more->dict->n; i++) {
        const struct entry *e = &more->dict->entries[i];
        if (e->key.kind != VALUE_STRING) return template_fail(r, CRIA_FORMAT, "keywords must be strings");
        CHECK(add_named(r, c, e->key, e->value));
    }
    return CRIA_OK;
}

/* Evaluates the arguments; leaves room for one more keyword, the caller of a call block. */
static cria_status eval_arguments(struct run *r, const struct node_arguments *a, struct call *c) {
    struct value star = {0}, star_star = {0};
    struct list *rest = NULL;
    if (a->star) {
        CHECK(template_eval(r, a->star, &star));
        CHECK(template_elements(r, &star, &rest));
    }
    if (a->star_star) {
        CHECK(template_eval(r, a->star_star, &star_star));
        if (star_star.kind != VALUE_DICT) return template_fail(r, CRIA_FORMAT, "argument after ** must be a mapping");
    }
    const size_t n_rest = rest ? rest->n : 0, n_named = a->named.n + (a->star_star ? star_star.dict->n : 0) + 1;
    CHECK(template_new(r, a->positional.n + n_rest, sizeof *c->args, &c->args));
    CHECK(template_new(r, n_named * 2, sizeof *c->names, &c->names));
    c->named = c->names + n_named;
    for (size_t i = 0; i < a->positional.n; i++) CHECK(template_eval(r, a->positional.items[i], &c->args[c->n_args++]));
    for (size_t i = 0; i < n_rest; i++) c->args[c->n_args++] = rest->items[i];
    for (size_t i = 0; i < a->named.n; i++) {
        struct value v;
        CHECK(template_eval(r, a->named.items[i], &v));
        CHECK(add_named(r, c, a->names.items[i]->value, v));
    }
    return a->star_star ? spread_named(r, c, &star_star) : CRIA_OK;
}

cria_status template_eval_call(struct run *r, const struct node *n, const struct value *caller, struct value *ret) {
    struct value callee;
    struct call c = {0};
    CHECK(template_eval(r, n->a, &callee));
    CHECK(eval_arguments(r, n->arguments, &c));
    if (caller) CHECK(add_named(r, &c, template_string(r->t->names.items[r->t->name_caller]), *caller));
    r->line = n->line;
    return template_call(r, &callee, &c, ret);
}

static cria_status eval_filter(struct run *r, const struct node *n, struct value *ret) {
    struct call c = {0};
    if (n->a) CHECK(template_eval(r, n->a, &c.self));
    else c.self = r->block_input;
    if (!n->function)
        return template_fail(r, CRIA_UNSUPPORTED, "no %s named '%.*s'", n->kind == NODE_FILTER ? "filter" : "test",
                             (int)n->value.text->n, n->value.text->bytes);
    if (n->arguments) CHECK(eval_arguments(r, n->arguments, &c));
    r->line = n->line;
    return template_call_function(r, n->function, &c, ret);
}

/* ---- operators ---- */

static cria_status compare_once(struct run *r, uint16_t op, const struct value *a, const struct value *b, bool *ret) {
    int order;
    switch (op) {
        case OP2('=', '='):
            return template_equal(r, a, b, ret);
        case OP2('!', '='):
            CHECK(template_equal(r, a, b, ret));
            *ret = !*ret;
            return CRIA_OK;
        case OP_IN:
            return template_contains(r, b, a, ret);
        case OP_NOT_IN:
            CHECK(template_contains(r, b, a, ret));
            *ret = !*ret;
            return CRIA_OK;
        default:
            break;
    }
    const char name[] = {(char)(op & 0xFF), (char)(op >> 8), '\0'};
    CHECK(template_compare(r, a, b, name, &order));
    const bool smaller = order<0, larger = order> 0 && order != TEMPLATE_UNORDERED;
    if (op == '<') *ret = smaller;
    else if (op == '>') *ret = larger;
    else *ret = order == 0 || (op == OP2('<', '=') ? smaller : larger);
    return CRIA_OK;
}

static cria_status eval_comparison(struct run *r, const struct node *n, struct value *ret) {
    struct value left, right;
    bool holds = true;
    CHECK(template_eval(r, n->a, &left));
    for (size_t i = 0; i < n->list.n && holds; i++) {
        CHECK(template_eval(r, n->list.items[i], &right));
        CHECK(compare_once(r, n->ops[i], &left, &right, &holds));
        left = right;
    }
    *ret = template_bool(holds, true);
    return CRIA_OK;
}

static cria_status eval_binary(struct run *r, const struct node *n, struct value *ret) {
    struct value a, b;
    CHECK(template_eval(r, n->a, &a));
    CHECK(template_eval(r, n->b, &b));
    r->line = n->line;
    if (n->op == '+' && a.kind == VALUE_STRING && b.kind == VALUE_STRING)
        return template_text_concat(r, a.text, b.text, ret);
    return template_arithmetic(r, n->op, &a, &b, ret);
}

static cria_status eval_concat(struct run *r, const struct node *n, struct value *ret) {
    struct text_block *b;
    CHECK(template_block_new(r, 0, &b));
    for (size_t i = 0; i < n->list.n; i++) {
        struct value v;
        CHECK(template_eval(r, n->list.items[i], &v));
        CHECK(template_print(r, b, &v));
    }
    return template_block_value(r, b, ret);
}

static cria_status eval_list(struct run *r, const struct node *n, struct value *ret) {
    struct list *l;
    CHECK(template_list_new(r, n->list.n, &l));
    for (size_t i = 0; i < n->list.n; i++) {
        struct value v;
        CHECK(template_eval(r, n->list.items[i], &v));
        CHECK(template_list_add(r, l, v));
    }
    *ret = n->kind == NODE_TUPLE ? template_tuple(l, true) : template_list(l, true);
    return CRIA_OK;
}

static cria_status eval_dict(struct run *r, const struct node *n, struct value *ret) {
    struct dict *d;
    CHECK(template_dict_new(r, n->list.n / 2, &d));
    for (size_t i = 0; i < n->list.n; i += 2) {
        struct value key, v;
        CHECK(template_eval(r, n->list.items[i], &key));
        CHECK(template_eval(r, n->list.items[i + 1], &v));
        CHECK(template_dict_set(r, d, key, v, NULL));
    }
    *ret = (struct value){.kind = VALUE_DICT, .trusted = true, .dict = d};
    return CRIA_OK;
}

static cria_status eval_condition(struct run *r, const struct node *n, struct value *ret) {
    CHECK(template_eval(r, n->a, ret));
    if (template_truth(ret)) return template_eval(r, n->b, ret);
    if (n->c) return template_eval(r, n->c, ret);
    *ret = (struct value){.kind = VALUE_UNDEFINED, .trusted = true};
    return CRIA_OK;
}

static cria_status eval_item(struct run *r, const struct node *n, struct value *ret) {
    struct value obj, key;
    CHECK(template_eval(r, n->a, &obj));
    if (n->b->kind != NODE_SLICE) {
        CHECK(template_eval(r, n->b, &key));
        r->line = n->line;
        return template_item(r, &obj, &key, ret);
    }
    struct value bounds[3] = {{0}};
    const struct node *const parts[3] = {n->b->a, n->b->b, n->b->c};
    for (int i = 0; i < 3; i++)
        if (parts[i]) CHECK(template_eval(r, parts[i], &bounds[i]));
    r->line = n->line;
    return template_slice(r, &obj, bounds, ret);
}

static cria_status eval_attribute(struct run *r, const struct node *n, struct value *ret) {
    struct value obj;
    CHECK(template_eval(r, n->a, &obj));
    r->line = n->line;
    return template_attribute(r, &obj, n->value.text, ret);
}

static cria_status eval_sign(struct run *r, const struct node *n, struct value *ret) {
    struct value v;
    CHECK(template_eval(r, n->a, &v));
    if (n->kind == NODE_NEGATE) return template_negate(r, &v, ret);
    CHECK(template_negate(r, &v, ret));
    return template_negate(r, ret, ret);
}

static cria_status eval_node(struct run *r, const struct node *n, struct value *ret) {
    switch (n->kind) {
        case NODE_NAME:
            return template_lookup(r, n->name, ret);
        case NODE_ATTRIBUTE:
            return eval_attribute(r, n, ret);
        case NODE_ITEM:
            return eval_item(r, n, ret);
        case NODE_COMPARE:
            return eval_comparison(r, n, ret);
        case NODE_BINARY:
            return eval_binary(r, n, ret);
        case NODE_CONCAT:
            return eval_concat(r, n, ret);
        case NODE_AND:
        case NODE_OR:
            CHECK(template_eval(r, n->a, ret));
            return template_truth(ret) == (n->kind == NODE_AND) ? template_eval(r, n->b, ret) : CRIA_OK;
        case NODE_NOT:
            CHECK(template_eval(r, n->a, ret));
            *ret = template_bool(!template_truth(ret), true);
            return CRIA_OK;
        case NODE_CONDITION:
            return eval_condition(r, n, ret);
        case NODE_CALL:
            return template_eval_call(r, n, NULL, ret);
        case NODE_FILTER:
        case NODE_TEST:
            return eval_filter(r, n, ret);
        case NODE_TUPLE:
        case NODE_LIST:
            return eval_list(r, n, ret);
        case NODE_DICT:
            return eval_dict(r, n, ret);
        case NODE_NEGATE:
        case NODE_PLUS:
            return eval_sign(r, n, ret);
        default:
            return template_fail(r, CRIA_FORMAT, "a slice cannot stand here");
    }
}

cria_status template_eval(struct run *r, const struct node *n, struct value *ret) {
    if (n->kind == NODE_CONST) {
        *ret = n->value;
        return CRIA_OK;
    }
    CHECK(template_step(r, 1));
    CHECK(template_enter(r));
    r->line = n->line;
    const cria_status status = eval_node(r, n, ret);
    template_leave(r);
    return status;
}
