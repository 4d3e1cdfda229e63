/* template_exec.c: statements: what a template writes, its scopes, loops and macros.
 *
 * Scopes are those of jinja2: `if` has none of its own; each turn of a loop, each macro call and each block has one,
 * whose names end with it. A macro sees the names of the place where it was made. */
#include <string.h>

#include "text/template_private.h"

static cria_status exec_node(struct run *r, const struct node *n);

cria_status template_exec(struct run *r, const struct nodes *body) {
    for (size_t i = 0; i < body->n && r->flow == FLOW_NONE; i++) CHECK(exec_node(r, body->items[i]));
    return CRIA_OK;
}

/* ---- names ---- */

cria_status template_set(struct run *r, uint32_t name, struct value v) {
    struct scope *s = r->scope;
    if (!s) {
        r->globals[name] = v;
        return CRIA_OK;
    }
    for (uint32_t i = 0; i < s->n; i++)
        if (s->items[i].name == name) {
            s->items[i].value = v;
            return CRIA_OK;
        }
    if (s->n == s->capacity) {
        const uint32_t capacity = s->capacity ? s->capacity * 2 : 4;
        struct binding *items;
        CHECK(template_new(r, capacity, sizeof *items, &items));
        if (s->n) memcpy(items, s->items, s->n * sizeof *items);
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->n++] = (struct binding){.name = name, .value = v};
    return CRIA_OK;
}

static cria_status set_in_namespace(struct run *r, const struct node *target, struct value v) {
    struct value ns;
    CHECK(template_lookup(r, target->name, &ns));
    if (ns.kind != VALUE_NAMESPACE)
        return template_fail(r, CRIA_FORMAT, "cannot assign attribute on non-namespace object");
    const struct text *name = target->value.text;
    if (name->bytes[0] == '_')
        return template_fail(r, CRIA_UNSUPPORTED,
                             "a namespace cannot hold '%.*s': names with an underscore in front are refused",
                             (int)name->n, name->bytes);
    return template_dict_set(r, ns.dict, target->value, v, NULL);
}

cria_status template_assign(struct run *r, const struct node *target, struct value v) {
    if (target->kind == NODE_NAME) return template_set(r, target->name, v);
    if (target->kind == NODE_NAMESPACE_TARGET) return set_in_namespace(r, target, v);
    struct list *items;
    CHECK(template_elements(r, &v, &items));
    if (items->n != target->list.n)
        return template_fail(r, CRIA_FORMAT, "cannot unpack %zu values into %zu names", items->n, target->list.n);
    for (size_t i = 0; i < items->n; i++) CHECK(template_assign(r, target->list.items[i], items->items[i]));
    return CRIA_OK;
}

static cria_status new_scope(struct run *r, struct scope *parent, struct scope **ret) {
    struct scope *s;
    CHECK(template_new(r, 1, sizeof *s, &s));
    s->parent = parent;
    *ret = s;
    return CRIA_OK;
}

/* Runs a body in a scope of its own. */
static cria_status exec_scoped(struct run *r, const struct nodes *body) {
    struct scope *const outer = r->scope;
    CHECK(new_scope(r, outer, &r->scope));
    const cria_status status = template_exec(r, body);
    r->scope = outer;
    return status;
}

cria_status template_capture(struct run *r, const struct nodes *body, struct value *ret) {
    struct text_block *const outer = r->out;
    CHECK(template_block_new(r, 0, &r->out));
    CHECK(template_exec(r, body));
    struct text_block *const inner = r->out;
    r->out = outer;
    return template_block_value(r, inner, ret);
}

static cria_status capture_scoped(struct run *r, const struct nodes *body, struct value *ret) {
    struct scope *const outer = r->scope;
    CHECK(new_scope(r, outer, &r->scope));
    CHECK(template_capture(r, body, ret));
    r->scope = outer;
    return CRIA_OK;
}

/* ---- macros ---- */

static cria_status new_macro(struct run *r, const struct node *n, struct value *ret) {
    struct macro *m;
    CHECK(template_new(r, 1, sizeof *m, &m));
    *m = (struct macro){.node = n, .scope = r->scope};
    for (struct scope *s = r->scope; s; s = s->parent) s->captured = true;
    *ret = (struct value){.kind = VALUE_MACRO, .trusted = true, .macro = m};
    return CRIA_OK;
}

static cria_status fail_macro(struct run *r, const struct node *n, const char *what, const struct text *detail) {
    const struct text *name = r->t->names.items[n->name];
    return template_fail(r, CRIA_FORMAT, "macro '%.*s' %s '%.*s'", (int)name->n, name->bytes, what, (int)detail->n,
                         detail->bytes);
}

/* Finds an argument by name and takes it out of the call. */
static bool take_named(struct call *c, const struct text *name, struct value *ret) {
    for (size_t i = 0; i < c->n_named; i++) {
        if (!template_text_equal(c->names[i].text, name)) continue;
        *ret = c->named[i];
        c->n_named--;
        memmove(c->names + i, c->names + i + 1, (c->n_named - i) * sizeof *c->names);
        memmove(c->named + i, c->named + i + 1, (c->n_named - i) * sizeof *c->named);
        return true;
    }
    return false;
}

static cria_status bind_parameters(struct run *r, const struct node *n, struct call *c) {
    const size_t n_required = n->list.n - n->more.n;
    for (size_t i = 0; i < n->list.n; i++) {
        const uint32_t name = n->list.items[i]->name;
        struct value v;
        if (i < c->n_args) v = c->args[i];
        else if (take_named(c, r->t->names.items[name], &v))
            ;
        else if (i >= n_required) CHECK(template_eval(r, n->more.items[i - n_required], &v));
        else CHECK(template_undefined_name(r, r->t->names.items[name], &v));
        CHECK(template_set(r, name, v));
    }
    return CRIA_OK;
}

/* caller, varargs and kwargs, where the body names them; what is left over otherwise is an error. */
static cria_status bind_special(struct run *r, const struct node *n, struct call *c) {
    struct value v;
    if (n->op & MACRO_USES_CALLER) {
        if (!take_named(c, r->t->names.items[r->t->name_caller], &v))
            CHECK(template_undefined_name(r, r->t->names.items[r->t->name_caller], &v));
        CHECK(template_set(r, r->t->name_caller, v));
    }
    if (n->op & MACRO_USES_KWARGS) {
        struct dict *d;
        CHECK(template_dict_new(r, c->n_named, &d));
        for (size_t i = 0; i < c->n_named; i++) CHECK(template_dict_set(r, d, c->names[i], c->named[i], NULL));
        CHECK(template_set(r, r->t->name_kwargs, (struct value){.kind = VALUE_DICT, .trusted = true, .dict = d}));
    } else if (c->n_named) {
        return fail_macro(r, n, "takes no keyword argument", c->names[0].text);
    }
    if (n->op & MACRO_USES_VARARGS) {
        struct list *l;
        CHECK(template_list_new(r, 0, &l));
        for (size_t i = n->list.n; i < c->n_args; i++) CHECK(template_list_add(r, l, c->args[i]));
        CHECK(template_set(r, r->t->name_varargs, template_tuple(l, true)));
    } else if (c->n_args > n->list.n) {
        const struct text *name = r->t->names.items[n->name];
        return template_fail(r, CRIA_FORMAT, "macro '%.*s' takes not more than %zu arguments", (int)name->n,
                             name->bytes, n->list.n);
    }
    return CRIA_OK;
}

cria_status template_call_macro(struct run *r, const struct macro *m, const struct call *c, struct value *ret) {
    struct call left = *c;
    struct scope *const outer = r->scope;
    const struct value block_input = r->block_input;
    CHECK(template_enter(r));
    CHECK(new_scope(r, m->scope, &r->scope));
    CHECK(bind_parameters(r, m->node, &left));
    CHECK(bind_special(r, m->node, &left));
    CHECK(template_capture(r, &m->node->body, ret));
    r->scope = outer;
    r->block_input = block_input;
    template_leave(r);
    return CRIA_OK;
}

/* ---- loops ---- */

/* The items that the loop's condition lets through; it sees the loop's names but no `loop`. */
static cria_status filter_items(struct run *r, const struct node *n, const struct list *items, struct list **ret) {
    struct scope *const outer = r->scope;
    CHECK(template_list_new(r, 0, ret));
    for (size_t i = 0; i < items->n; i++) {
        struct value v;
        CHECK(new_scope(r, outer, &r->scope));
        CHECK(template_assign(r, n->a, items->items[i]));
        CHECK(template_eval(r, n->c, &v));
        r->scope = outer;
        if (template_truth(&v)) CHECK(template_list_add(r, *ret, items->items[i]));
    }
    return CRIA_OK;
}

static cria_status exec_turns(struct run *r, const struct node *n, struct value loop) {
    struct loop *l = loop.loop;
    struct scope *const outer = r->scope;
    struct scope *s = NULL;
    for (l->at = 0; l->at < l->items->n; l->at++) {
        CHECK(template_step(r, 1));
        if (!s || s->captured) CHECK(new_scope(r, outer, &s));
        s->n = 0;
        r->scope = s;
        CHECK(template_set(r, r->t->name_loop, loop));
        CHECK(template_assign(r, n->a, l->items->items[l->at]));
        CHECK(template_exec(r, &n->body));
        const enum run_flow flow = r->flow;
        r->flow = FLOW_NONE;
        if (flow == FLOW_BREAK) break;
    }
    r->scope = outer;
    return CRIA_OK;
}

static cria_status exec_loop(struct run *r, const struct node *n, const struct value *iterable, int depth) {
    struct list *items;
    struct loop *l;
    if (iterable->kind == VALUE_UNDEFINED && iterable->undefined && iterable->undefined->why)
        return template_fail_undefined(r, iterable);
    CHECK(template_elements(r, iterable, &items));
    if (n->c) CHECK(filter_items(r, n, items, &items));
    if (items->n == 0) return n->more.n ? exec_scoped(r, &n->more) : CRIA_OK;
    CHECK(template_new(r, 1, sizeof *l, &l));
    *l = (struct loop){.items = items, .depth = depth, .node = n->op ? n : NULL, .scope = r->scope};
    return exec_turns(r, n, (struct value){.kind = VALUE_LOOP, .trusted = true, .loop = l});
}

cria_status template_call_loop(struct run *r, const struct loop *l, const struct value *items, struct value *ret) {
    if (!l->node) return template_fail(r, CRIA_FORMAT, "only a loop marked `recursive` can be called");
    struct scope *const outer = r->scope;
    struct text_block *const out = r->out;
    CHECK(template_enter(r));
    r->scope = l->scope;
    CHECK(template_block_new(r, 0, &r->out));
    CHECK(exec_loop(r, l->node, items, l->depth + 1));
    CHECK(template_block_value(r, r->out, ret));
    r->out = out;
    r->scope = outer;
    template_leave(r);
    return CRIA_OK;
}

/* ---- statements ---- */

static cria_status exec_output(struct run *r, const struct node *n) {
    for (size_t i = 0; i < n->list.n; i++) {
        const struct node *item = n->list.items[i];
        if (item->kind == NODE_CONST) {
            CHECK(template_print(r, r->out, &item->value));
            continue;
        }
        struct value v;
        CHECK(template_eval(r, item, &v));
        CHECK(template_print(r, r->out, &v));
    }
    return CRIA_OK;
}

static cria_status exec_if(struct run *r, const struct node *n) {
    for (;; n = n->b) {
        struct value v;
        CHECK(template_eval(r, n->a, &v));
        if (template_truth(&v)) return template_exec(r, &n->body);
        if (!n->b) return template_exec(r, &n->more);
    }
}

static cria_status exec_for(struct run *r, const struct node *n) {
    struct value iterable;
    CHECK(template_eval(r, n->b, &iterable));
    return exec_loop(r, n, &iterable, 0);
}

static cria_status filter_captured(struct run *r, const struct node *filters, struct value *v) {
    if (!filters) return CRIA_OK;
    const struct value outer = r->block_input;
    r->block_input = *v;
    CHECK(template_eval(r, filters, v));
    r->block_input = outer;
    return CRIA_OK;
}

static cria_status exec_block(struct run *r, const struct node *n) {
    struct value v;
    CHECK(capture_scoped(r, &n->body, &v));
    CHECK(filter_captured(r, n->b, &v));
    return n->kind == NODE_SET_BLOCK ? template_assign(r, n->a, v) : template_print(r, r->out, &v);
}

static cria_status exec_call_block(struct run *r, const struct node *n) {
    struct value caller, v;
    CHECK(new_macro(r, n, &caller));
    CHECK(template_eval_call(r, n->a, &caller, &v));
    return template_print(r, r->out, &v);
}

static cria_status exec_with(struct run *r, const struct node *n) {
    struct scope *const outer = r->scope;
    struct scope *s;
    CHECK(new_scope(r, outer, &s));
    for (size_t i = 0; i < n->list.n; i++) {
        struct value v;
        r->scope = outer; /* the values do not see each other */
        CHECK(template_eval(r, n->more.items[i], &v));
        r->scope = s;
        CHECK(template_assign(r, n->list.items[i], v));
    }
    r->scope = s;
    CHECK(template_exec(r, &n->body));
    r->scope = outer;
    return CRIA_OK;
}

static cria_status exec_kind(struct run *r, const struct node *n) {
    struct value v;
    switch (n->kind) {
        case NODE_OUTPUT:
            return exec_output(r, n);
        case NODE_IF:
            return exec_if(r, n);
        case NODE_FOR:
            return exec_for(r, n);
        case NODE_SET:
            CHECK(template_eval(r, n->b, &v));
            return template_assign(r, n->a, v);
        case NODE_MACRO:
            CHECK(new_macro(r, n, &v));
            return template_set(r, n->name, v);
        case NODE_SET_BLOCK:
        case NODE_FILTER_BLOCK:
            return exec_block(r, n);
        case NODE_CALL_BLOCK:
            return exec_call_block(r, n);
        case NODE_WITH:
            return exec_with(r, n);
        case NODE_SCOPE:
            return exec_scoped(r, &n->body);
        case NODE_BREAK:
            r->flow = FLOW_BREAK;
            return CRIA_OK;
        case NODE_CONTINUE:
            r->flow = FLOW_CONTINUE;
            return CRIA_OK;
        default:
            return template_fail(r, CRIA_INTERNAL, "a statement of an unknown kind");
    }
}

static cria_status exec_node(struct run *r, const struct node *n) {
    CHECK(template_step(r, 1));
    CHECK(template_enter(r));
    r->line = n->line;
    const cria_status status = exec_kind(r, n);
    template_leave(r);
    return status;
}
