/* template_expression.c: the parser of expressions, by recursive descent in jinja2's order of binding:
 * if-else, or, and, not, comparisons, + -, ~, * / // %, **, unary signs, then postfixes; filters and `is` tests bind
 * tighter than any binary operator. */
#include <string.h>

#include "base/json.h"
#include "text/template_private.h"

static cria_status parse_unary(struct parser *p, bool with_filter, struct node **ret);

static const struct token *next(struct parser *p) { return &p->tokens[p->at++]; }

static bool skip_op(struct parser *p, uint16_t op) {
    if (!template_token_is_op(template_token(p), op)) return false;
    p->at++;
    return true;
}

static bool skip_word(struct parser *p, const char *word) {
    if (!template_token_is(template_token(p), word)) return false;
    p->at++;
    return true;
}

static cria_status make(struct parser *p, enum node_kind kind, struct node *a, struct node *b, struct node **ret) {
    struct node *n = *ret = template_parse_new(p, kind);
    if (!n) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
    n->a = a;
    n->b = b;
    return CRIA_OK;
}

static cria_status make_const(struct parser *p, struct value v, struct node **ret) {
    CHECK(make(p, NODE_CONST, NULL, NULL, ret));
    (*ret)->value = v;
    return CRIA_OK;
}

static cria_status make_word(struct parser *p, const struct token *t, struct value *ret) {
    const uint32_t name = template_parse_name(p, t->bytes, t->n);
    if (name == NO_NAME) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
    *ret = template_string(p->t->names.items[name]);
    return CRIA_OK;
}

/* ---- the ladder of binary operators ---- */

static const uint16_t sums[] = {'+', '-', 0}, products[] = {'*', '/', OP2('/', '/'), '%', 0},
                      powers[] = {OP2('*', '*'), 0};

static uint16_t op_in(const struct token *t, const uint16_t *ops) {
    if (t->kind != TOKEN_OPERATOR) return 0;
    while (*ops && *ops != t->op) ops++;
    return *ops;
}

static cria_status parse_power(struct parser *p, struct node **ret) {
    struct node *left;
    CHECK(parse_unary(p, true, &left));
    while (op_in(template_token(p), powers)) {
        struct node *right, *n;
        p->at++;
        CHECK(parse_unary(p, true, &right));
        CHECK(make(p, NODE_BINARY, left, right, &n));
        n->op = OP2('*', '*');
        left = n;
    }
    *ret = left;
    return CRIA_OK;
}

static cria_status parse_product(struct parser *p, struct node **ret) {
    struct node *left;
    CHECK(parse_power(p, &left));
    for (uint16_t op; (op = op_in(template_token(p), products)) != 0;) {
        struct node *right, *n;
        p->at++;
        CHECK(parse_power(p, &right));
        CHECK(make(p, NODE_BINARY, left, right, &n));
        n->op = op;
        left = n;
    }
    *ret = left;
    return CRIA_OK;
}

static cria_status parse_concat(struct parser *p, struct node **ret) {
    struct node *first;
    CHECK(parse_product(p, &first));
    if (!template_token_is_op(template_token(p), '~')) {
        *ret = first;
        return CRIA_OK;
    }
    struct node *n;
    CHECK(make(p, NODE_CONCAT, NULL, NULL, &n));
    CHECK(template_parse_push(p, &n->list, first));
    while (skip_op(p, '~')) {
        struct node *more;
        CHECK(parse_product(p, &more));
        CHECK(template_parse_push(p, &n->list, more));
    }
    *ret = n;
    return CRIA_OK;
}

static cria_status parse_sum(struct parser *p, struct node **ret) {
    struct node *left;
    CHECK(parse_concat(p, &left));
    for (uint16_t op; (op = op_in(template_token(p), sums)) != 0;) {
        struct node *right, *n;
        p->at++;
        CHECK(parse_concat(p, &right));
        CHECK(make(p, NODE_BINARY, left, right, &n));
        n->op = op;
        left = n;
    }
    *ret = left;
    return CRIA_OK;
}

/* The comparison that stands here, 0: none; moves behind it. */
static uint16_t take_comparison(struct parser *p) {
    static const uint16_t ops[] = {OP2('=', '='), OP2('!', '='), '<', '>', OP2('<', '='), OP2('>', '='), 0};
    const uint16_t op = op_in(template_token(p), ops);
    if (op) {
        p->at++;
        return op;
    }
    if (skip_word(p, "in")) return OP_IN;
    if (template_token_is(template_token(p), "not") && template_token_is(template_token(p) + 1, "in")) {
        p->at += 2;
        return OP_NOT_IN;
    }
    return 0;
}

static cria_status parse_comparison(struct parser *p, struct node **ret) {
    struct node *first, *n = NULL;
    CHECK(parse_sum(p, &first));
    size_t capacity = 0;
    for (uint16_t op; (op = take_comparison(p)) != 0;) {
        if (!n) CHECK(make(p, NODE_COMPARE, first, NULL, &n));
        struct node *operand;
        CHECK(parse_sum(p, &operand));
        if (n->list.n == capacity) {
            uint16_t *ops = template_take(&p->t->arena, capacity * 2 + 4, sizeof *ops);
            if (!ops) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
            if (capacity) memcpy(ops, n->ops, capacity * sizeof *ops);
            n->ops = ops;
            capacity = capacity * 2 + 4;
        }
        n->ops[n->list.n] = op;
        CHECK(template_parse_push(p, &n->list, operand));
    }
    *ret = n ? n : first;
    return CRIA_OK;
}

static cria_status parse_not(struct parser *p, struct node **ret) {
    int n_nots = 0;
    while (template_token_is(template_token(p), "not")) {
        p->at++;
        if (++n_nots > TEMPLATE_MAX_NESTING) return template_parse_fail(p, 0, CRIA_LIMIT, "too many nested `not`");
    }
    CHECK(parse_comparison(p, ret));
    while (n_nots-- > 0) CHECK(make(p, NODE_NOT, *ret, NULL, ret));
    return CRIA_OK;
}

static cria_status parse_and(struct parser *p, struct node **ret) {
    CHECK(parse_not(p, ret));
    while (skip_word(p, "and")) {
        struct node *right;
        CHECK(parse_not(p, &right));
        CHECK(make(p, NODE_AND, *ret, right, ret));
    }
    return CRIA_OK;
}

static cria_status parse_or(struct parser *p, struct node **ret) {
    CHECK(parse_and(p, ret));
    while (skip_word(p, "or")) {
        struct node *right;
        CHECK(parse_and(p, &right));
        CHECK(make(p, NODE_OR, *ret, right, ret));
    }
    return CRIA_OK;
}

/* Unknown filters in a condition's branches are errors only when reached, as in jinja2; they are parsed before the `if`
 * is seen, so the whole expression is searched for it first. */
static bool has_condition(const struct parser *p) {
    int depth = 0;
    for (const struct token *t = template_token(p); t->kind != TOKEN_END; t++) {
        if (t->kind == TOKEN_VARIABLE_END || t->kind == TOKEN_BLOCK_END) return false;
        if (depth == 0 && template_token_is(t, "if")) return true;
        if (t->kind != TOKEN_OPERATOR) continue;
        if (t->op == '(' || t->op == '[' || t->op == '{') depth++;
        if ((t->op == ')' || t->op == ']' || t->op == '}') && depth-- == 0) return false;
        if (t->op == ',' && depth == 0) return false;
    }
    return false;
}

static cria_status parse_condition(struct parser *p, struct node **ret) {
    CHECK(parse_or(p, ret));
    while (skip_word(p, "if")) {
        struct node *test, *n;
        CHECK(parse_or(p, &test));
        CHECK(make(p, NODE_CONDITION, test, *ret, &n));
        if (skip_word(p, "else")) CHECK(template_expression(p, true, &n->c));
        *ret = n;
    }
    return CRIA_OK;
}

cria_status template_expression(struct parser *p, bool with_condition, struct node **ret) {
    if (++p->depth > TEMPLATE_MAX_NESTING)
        return template_parse_fail(p, 0, CRIA_LIMIT, "nested deeper than %d levels", TEMPLATE_MAX_NESTING);
    const bool was_soft = p->soft;
    if (with_condition && !p->soft) p->soft = has_condition(p);
    const cria_status status = with_condition ? parse_condition(p, ret) : parse_or(p, ret);
    p->soft = was_soft;
    p->depth--;
    return status;
}

/* ---- lists, calls, subscripts ---- */

static bool ends_tuple(const struct parser *p, const char *end_word) {
    const struct token *t = template_token(p);
    return t->kind == TOKEN_VARIABLE_END || t->kind == TOKEN_BLOCK_END || template_token_is_op(t, ')') ||
           (end_word && template_token_is(t, end_word));
}

cria_status template_expression_tuple(struct parser *p, bool with_condition, const char *end_word, bool parenthesised,
                                      struct node **ret) {
    struct nodes items = {0};
    bool is_tuple = false;
    for (;;) {
        if (items.n) CHECK(template_parse_expect(p, ','));
        if (ends_tuple(p, end_word)) break;
        struct node *item;
        CHECK(template_expression(p, with_condition, &item));
        CHECK(template_parse_push(p, &items, item));
        if (!template_token_is_op(template_token(p), ',')) break;
        is_tuple = true;
    }
    if (!is_tuple && items.n) {
        *ret = items.items[0];
        return CRIA_OK;
    }
    if (!is_tuple && !parenthesised) {
        char room[64];
        return template_parse_fail(p, 0, CRIA_FORMAT, "expected an expression, found %s",
                                   template_token_text(template_token(p), room, sizeof room));
    }
    CHECK(make(p, NODE_TUPLE, NULL, NULL, ret));
    (*ret)->list = items;
    return CRIA_OK;
}

static cria_status parse_list(struct parser *p, struct node **ret) {
    struct node *n;
    CHECK(make(p, NODE_LIST, NULL, NULL, &n));
    while (!template_token_is_op(template_token(p), ']')) {
        if (n->list.n) CHECK(template_parse_expect(p, ','));
        if (template_token_is_op(template_token(p), ']')) break;
        struct node *item;
        CHECK(template_expression(p, true, &item));
        CHECK(template_parse_push(p, &n->list, item));
    }
    *ret = n;
    return template_parse_expect(p, ']');
}

static cria_status parse_dict(struct parser *p, struct node **ret) {
    struct node *n;
    CHECK(make(p, NODE_DICT, NULL, NULL, &n));
    while (!template_token_is_op(template_token(p), '}')) {
        if (n->list.n) CHECK(template_parse_expect(p, ','));
        if (template_token_is_op(template_token(p), '}')) break;
        struct node *item;
        CHECK(template_expression(p, true, &item));
        CHECK(template_parse_push(p, &n->list, item));
        CHECK(template_parse_expect(p, ':'));
        CHECK(template_expression(p, true, &item));
        CHECK(template_parse_push(p, &n->list, item));
    }
    *ret = n;
    return template_parse_expect(p, '}');
}

static cria_status bad_call(struct parser *p) {
    return template_parse_fail(p, 0, CRIA_FORMAT, "invalid order of arguments in a call");
}

static cria_status parse_argument(struct parser *p, struct node_arguments *a) {
    struct node *n;
    if (skip_op(p, '*')) {
        if (a->star || a->star_star) return bad_call(p);
        return template_expression(p, true, &a->star);
    }
    if (a->star_star) return bad_call(p);
    if (skip_op(p, OP2('*', '*'))) return template_expression(p, true, &a->star_star);
    if (template_token(p)->kind == TOKEN_NAME && template_token_is_op(template_token(p) + 1, '=')) {
        struct value name;
        CHECK(make_word(p, template_token(p), &name));
        p->at += 2;
        CHECK(make_const(p, name, &n));
        CHECK(template_parse_push(p, &a->names, n));
        CHECK(template_expression(p, true, &n));
        return template_parse_push(p, &a->named, n);
    }
    if (a->star || a->named.n) return bad_call(p);
    CHECK(template_expression(p, true, &n));
    return template_parse_push(p, &a->positional, n);
}

/* The arguments of a call, its ( being next. */
static cria_status parse_arguments(struct parser *p, struct node *n) {
    n->arguments = template_take(&p->t->arena, 1, sizeof *n->arguments);
    if (!n->arguments) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
    CHECK(template_parse_expect(p, '('));
    for (bool more = false; !template_token_is_op(template_token(p), ')'); more = true) {
        if (more) CHECK(template_parse_expect(p, ','));
        if (template_token_is_op(template_token(p), ')')) break;
        CHECK(parse_argument(p, n->arguments));
    }
    return template_parse_expect(p, ')');
}

/* One index or slice inside the brackets. */
static cria_status parse_subscribed(struct parser *p, struct node **ret) {
    struct node *parts[3] = {0};
    if (!template_token_is_op(template_token(p), ':')) {
        CHECK(template_expression(p, true, &parts[0]));
        if (!template_token_is_op(template_token(p), ':')) {
            *ret = parts[0];
            return CRIA_OK;
        }
    }
    for (int i = 1; i < 3 && skip_op(p, ':'); i++) {
        const struct token *t = template_token(p);
        if (template_token_is_op(t, ':') || template_token_is_op(t, ']') || template_token_is_op(t, ',')) continue;
        CHECK(template_expression(p, true, &parts[i]));
    }
    CHECK(make(p, NODE_SLICE, parts[0], parts[1], ret));
    (*ret)->c = parts[2];
    return CRIA_OK;
}

static cria_status parse_brackets(struct parser *p, struct node *object, struct node **ret) {
    struct nodes items = {0};
    while (!template_token_is_op(template_token(p), ']')) {
        if (items.n) CHECK(template_parse_expect(p, ','));
        struct node *item;
        CHECK(parse_subscribed(p, &item));
        CHECK(template_parse_push(p, &items, item));
    }
    CHECK(template_parse_expect(p, ']'));
    struct node *key;
    if (items.n == 1) {
        key = items.items[0];
    } else {
        CHECK(make(p, NODE_TUPLE, NULL, NULL, &key));
        key->list = items;
    }
    return make(p, NODE_ITEM, object, key, ret);
}

static cria_status parse_number(struct parser *p, const struct token *t, struct node **ret);

static cria_status parse_member(struct parser *p, struct node *object, struct node **ret) {
    const struct token *t = next(p);
    if (t->kind == TOKEN_NAME) {
        CHECK(make(p, NODE_ATTRIBUTE, object, NULL, ret));
        return make_word(p, t, &(*ret)->value);
    }
    if (t->kind != TOKEN_INTEGER)
        return template_parse_fail(p, t->line, CRIA_FORMAT, "expected a name or a number behind a dot");
    struct node *key;
    CHECK(parse_number(p, t, &key));
    return make(p, NODE_ITEM, object, key, ret);
}

static cria_status parse_call(struct parser *p, struct node *callee, struct node **ret) {
    CHECK(make(p, NODE_CALL, callee, NULL, ret));
    return parse_arguments(p, *ret);
}

static cria_status parse_postfix(struct parser *p, struct node **n) {
    /* Each postfix nests the tree one deeper, so a long chain counts against the nesting. */
    for (int depth = 0;; depth++) {
        if (depth > TEMPLATE_MAX_NESTING) return template_parse_fail(p, 0, CRIA_LIMIT, "too many subscripts in a row");
        if (skip_op(p, '.')) CHECK(parse_member(p, *n, n));
        else if (skip_op(p, '[')) CHECK(parse_brackets(p, *n, n));
        else if (template_token_is_op(template_token(p), '(')) CHECK(parse_call(p, *n, n));
        else return CRIA_OK;
    }
}

/* ---- filters and tests ---- */

/* A filter's or test's name, which may have dots. */
static cria_status parse_dotted(struct parser *p, struct node *n, const char **ret_bytes, size_t *ret_n) {
    const struct token *t = next(p);
    if (t->kind != TOKEN_NAME) return template_parse_fail(p, t->line, CRIA_FORMAT, "expected a name behind | or is");
    *ret_bytes = t->bytes;
    *ret_n = t->n;
    while (template_token_is_op(template_token(p), '.')) {
        p->at++;
        const struct token *more = next(p);
        if (more->kind != TOKEN_NAME)
            return template_parse_fail(p, t->line, CRIA_FORMAT, "expected a name behind a dot");
        *ret_n = (size_t)(more->bytes + more->n - t->bytes);
    }
    struct token whole = *t;
    whole.n = *ret_n;
    return make_word(p, &whole, &n->value);
}

static cria_status check_known(struct parser *p, const struct node *n, const char *what) {
    if (n->function || p->soft) return CRIA_OK;
    return template_parse_fail(p, n->line, CRIA_UNSUPPORTED, "no %s named '%.*s'", what, (int)n->value.text->n,
                               n->value.text->bytes);
}

cria_status template_expression_filters(struct parser *p, struct node *input, bool starts_inline, struct node **ret) {
    struct node *n = input;
    while (starts_inline || skip_op(p, '|')) {
        const char *name;
        size_t n_name;
        CHECK(make(p, NODE_FILTER, n, NULL, &n));
        CHECK(parse_dotted(p, n, &name, &n_name));
        n->function = template_filter_find(name, n_name);
        CHECK(check_known(p, n, "filter"));
        if (template_token_is_op(template_token(p), '(')) CHECK(parse_arguments(p, n));
        starts_inline = false;
    }
    *ret = n;
    return CRIA_OK;
}

static cria_status parse_primary(struct parser *p, struct node **ret);

static cria_status parse_test(struct parser *p, struct node *input, struct node **ret) {
    const bool negated = skip_word(p, "not");
    struct node *n;
    const char *name;
    size_t n_name;
    CHECK(make(p, NODE_TEST, input, NULL, &n));
    CHECK(parse_dotted(p, n, &name, &n_name));
    n->function = template_check_find(name, n_name);
    CHECK(check_known(p, n, "test"));
    const struct token *t = template_token(p);
    if (template_token_is_op(t, '(')) {
        CHECK(parse_arguments(p, n));
    } else if ((t->kind == TOKEN_NAME && !template_token_is(t, "else") && !template_token_is(t, "or") &&
                !template_token_is(t, "and")) ||
               t->kind == TOKEN_STRING || t->kind == TOKEN_INTEGER || t->kind == TOKEN_FLOAT ||
               template_token_is_op(t, '[') || template_token_is_op(t, '{')) {
        if (template_token_is(t, "is"))
            return template_parse_fail(p, t->line, CRIA_FORMAT, "tests cannot be chained with `is`");
        struct node *argument;
        CHECK(parse_primary(p, &argument));
        CHECK(parse_postfix(p, &argument));
        n->arguments = template_take(&p->t->arena, 1, sizeof *n->arguments);
        if (!n->arguments) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
        CHECK(template_parse_push(p, &n->arguments->positional, argument));
    }
    return negated ? make(p, NODE_NOT, n, NULL, ret) : (*ret = n, CRIA_OK);
}

static cria_status parse_filters_and_tests(struct parser *p, struct node **n) {
    for (int depth = 0;; depth++) {
        if (depth > TEMPLATE_MAX_NESTING) return template_parse_fail(p, 0, CRIA_LIMIT, "too many filters in a row");
        if (template_token_is_op(template_token(p), '|')) CHECK(template_expression_filters(p, *n, false, n));
        else if (skip_word(p, "is")) CHECK(parse_test(p, *n, n));
        else if (template_token_is_op(template_token(p), '(')) CHECK(parse_call(p, *n, n));
        else return CRIA_OK;
    }
}

/* ---- primaries ---- */

/* A number's digits without underscores, into room for n + 1 bytes. */
static size_t plain_digits(const struct token *t, char *room) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->bytes[i] != '_') room[n++] = t->bytes[i];
    room[n] = '\0';
    return n;
}

static cria_status parse_number(struct parser *p, const struct token *t, struct node **ret) {
    char *room = template_take(&p->t->arena, t->n + 1, 1);
    if (!room) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
    const size_t n = plain_digits(t, room);
    struct value v;
    if (t->kind == TOKEN_FLOAT) {
        v = template_float(json_number_value((struct json_text){.bytes = room, .n = n}), true);
    } else if (n > 1 && room[0] == '0' && (room[1] | 0x20) > '9') {
        const int base = (room[1] | 0x20) == 'x' ? 16 : (room[1] | 0x20) == 'o' ? 8 : 2;
        int64_t total = 0;
        for (size_t i = 2; i < n; i++) {
            const int digit = room[i] <= '9' ? room[i] - '0' : (room[i] | 0x20) - 'a' + 10;
            if (__builtin_mul_overflow(total, base, &total) || __builtin_add_overflow(total, digit, &total))
                return template_parse_fail(p, t->line, CRIA_UNSUPPORTED, "the number %s needs more than 63 bits", room);
        }
        v = template_int(total, true);
    } else {
        struct run r = {.arena = p->t->arena, .err = p->err, .steps_left = UINT64_MAX, .line = t->line};
        const cria_status status = template_integer_text(&r, room, n, true, &v);
        p->t->arena = r.arena;
        CHECK(status);
    }
    return make_const(p, v, ret);
}

/* String literals that follow each other are one. */
static cria_status parse_strings(struct parser *p, struct node **ret) {
    const struct token *first = next(p);
    if (template_token(p)->kind != TOKEN_STRING) return make_const(p, first->value, ret);
    size_t n = first->value.text->n;
    for (const struct token *t = template_token(p); t->kind == TOKEN_STRING; t++) n += t->value.text->n;
    char *bytes = template_take(&p->t->arena, n + 1, 1);
    struct text *text = template_take(&p->t->arena, 1, sizeof *text);
    if (!bytes || !text) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
    *text = (struct text){.bytes = bytes, .n_chars = TEXT_UNCOUNTED, .trusted = true};
    for (const struct token *t = first; t->kind == TOKEN_STRING; t++) {
        memcpy(bytes + text->n, t->value.text->bytes, t->value.text->n);
        text->n += t->value.text->n;
    }
    while (template_token(p)->kind == TOKEN_STRING) p->at++;
    template_text_chars(text);
    return make_const(p, template_string(text), ret);
}

static cria_status parse_name(struct parser *p, struct node **ret) {
    const struct token *t = next(p);
    if (template_token_is(t, "true") || template_token_is(t, "True"))
        return make_const(p, template_bool(true, true), ret);
    if (template_token_is(t, "false") || template_token_is(t, "False"))
        return make_const(p, template_bool(false, true), ret);
    if (template_token_is(t, "none") || template_token_is(t, "None")) return make_const(p, template_none(true), ret);
    CHECK(make(p, NODE_NAME, NULL, NULL, ret));
    (*ret)->name = template_parse_name(p, t->bytes, t->n);
    if ((*ret)->name == NO_NAME) return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
    if ((*ret)->name == p->t->name_caller) p->uses |= MACRO_USES_CALLER;
    if ((*ret)->name == p->t->name_varargs) p->uses |= MACRO_USES_VARARGS;
    if ((*ret)->name == p->t->name_kwargs) p->uses |= MACRO_USES_KWARGS;
    return CRIA_OK;
}

static cria_status parse_primary(struct parser *p, struct node **ret) {
    const struct token *t = template_token(p);
    switch (t->kind) {
        case TOKEN_NAME:
            return parse_name(p, ret);
        case TOKEN_STRING:
            return parse_strings(p, ret);
        case TOKEN_INTEGER:
        case TOKEN_FLOAT:
            return parse_number(p, next(p), ret);
        default:
            break;
    }
    if (skip_op(p, '(')) {
        CHECK(template_expression_tuple(p, true, NULL, true, ret));
        return template_parse_expect(p, ')');
    }
    if (skip_op(p, '[')) return parse_list(p, ret);
    if (skip_op(p, '{')) return parse_dict(p, ret);
    char room[64];
    return template_parse_fail(p, t->line, CRIA_FORMAT, "unexpected %s", template_token_text(t, room, sizeof room));
}

static cria_status parse_unary(struct parser *p, bool with_filter, struct node **ret) {
    if (++p->depth > TEMPLATE_MAX_NESTING)
        return template_parse_fail(p, 0, CRIA_LIMIT, "nested deeper than %d levels", TEMPLATE_MAX_NESTING);
    const bool minus = skip_op(p, '-');
    if (minus || skip_op(p, '+')) {
        CHECK(parse_unary(p, false, ret));
        CHECK(make(p, minus ? NODE_NEGATE : NODE_PLUS, *ret, NULL, ret));
    } else {
        CHECK(parse_primary(p, ret));
    }
    p->depth--;
    CHECK(parse_postfix(p, ret));
    return with_filter ? parse_filters_and_tests(p, ret) : CRIA_OK;
}
