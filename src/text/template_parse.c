/* template_parse.c: the parser of statements: tokens in, the tree of a template out.
 *
 * It knows the tags of jinja2 that chat templates use, loop controls and transformers' generation block. Tags that
 * would read other templates (include, import, extends) are refused by name. */
#include "text/template_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static cria_status parse_body(struct parser *p, const char *tag, const char *const *ends, struct nodes *ret);

bool template_token_is(const struct token *t, const char *word) {
    return t->kind == TOKEN_NAME && strlen(word) == t->n && memcmp(t->bytes, word, t->n) == 0;
}

cria_status template_parse_fail(struct parser *p, uint32_t line, cria_status status, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ERROR_SET(p->err, status, "template line %u: %s", line ? line : template_token(p)->line, text);
}

static cria_status too_large(struct parser *p) {
    return template_parse_fail(p, 0, CRIA_LIMIT, "the template is too large");
}

struct node *template_parse_new(struct parser *p, enum node_kind kind) {
    struct node *n = template_take(&p->t->arena, 1, sizeof *n);
    if (!n) return NULL;
    n->kind = (uint8_t)kind;
    n->line = p->tokens[p->at ? p->at - 1 : 0].line;
    n->name = NO_NAME;
    return n;
}

cria_status template_parse_push(struct parser *p, struct nodes *list, struct node *n) {
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct node **items = template_take(&p->t->arena, capacity, sizeof *items);
        if (!items) return too_large(p);
        if (list->n) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = n;
    return CRIA_OK;
}

/* ---- names ---- */

static uint64_t hash_bytes(const char *bytes, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return h;
}

static int grow_names(struct template *t) {
    struct template_names *names = &t->names;
    const size_t n_index = names->n_index ? names->n_index * 2 : 64;
    uint32_t *index = template_take(&t->arena, n_index, sizeof *index);
    struct text **items = template_take(&t->arena, n_index / 2, sizeof *items);
    if (!index || !items) return 0;
    for (size_t i = 0; i < names->n; i++) {
        items[i] = names->items[i];
        size_t slot = hash_bytes(items[i]->bytes, items[i]->n) & (n_index - 1);
        while (index[slot]) slot = (slot + 1) & (n_index - 1);
        index[slot] = (uint32_t)i + 1;
    }
    *names = (struct template_names){
        .items = items, .n = names->n, .capacity = n_index / 2, .index = index, .n_index = n_index};
    return 1;
}

uint32_t template_parse_name(struct parser *p, const char *bytes, size_t n) {
    struct template_names *names = &p->t->names;
    if (names->n == names->capacity && !grow_names(p->t)) return NO_NAME;
    size_t slot = hash_bytes(bytes, n) & (names->n_index - 1);
    for (; names->index[slot]; slot = (slot + 1) & (names->n_index - 1)) {
        const struct text *known = names->items[names->index[slot] - 1];
        if (known->n == n && memcmp(known->bytes, bytes, n) == 0) return names->index[slot] - 1;
    }
    struct text *text = template_take(&p->t->arena, 1, sizeof *text);
    char *copy = template_take(&p->t->arena, n + 1, 1);
    if (!text || !copy) return NO_NAME;
    memcpy(copy, bytes, n);
    *text = (struct text){.bytes = copy, .n = n, .n_chars = TEXT_UNCOUNTED, .trusted = true};
    template_text_chars(text); /* counted now: many threads may ask later */
    names->items[names->n] = text;
    names->index[slot] = (uint32_t)++names->n;
    return (uint32_t)names->n - 1;
}

/* ---- small steps ---- */

static cria_status unexpected(struct parser *p, const char *wanted) {
    char room[64];
    return template_parse_fail(p, 0, CRIA_FORMAT, "expected %s, found %s", wanted,
                               template_token_text(template_token(p), room, sizeof room));
}

cria_status template_parse_expect(struct parser *p, uint16_t op) {
    if (template_token_is_op(template_token(p), op)) {
        p->at++;
        return CRIA_OK;
    }
    const char wanted[] = {'\'', (char)(op & 0xFF), '\'', '\0'};
    return unexpected(p, wanted);
}

static cria_status expect_kind(struct parser *p, enum token_kind kind, const char *wanted) {
    if (template_token(p)->kind != kind) return unexpected(p, wanted);
    p->at++;
    return CRIA_OK;
}

static bool skip_word(struct parser *p, const char *word) {
    if (!template_token_is(template_token(p), word)) return false;
    p->at++;
    return true;
}

static cria_status make(struct parser *p, enum node_kind kind, struct node **ret) {
    struct node *n = template_parse_new(p, kind);
    if (!n) return too_large(p);
    *ret = n;
    return CRIA_OK;
}

static cria_status parse_name_target(struct parser *p, struct node **ret) {
    const struct token *t = template_token(p);
    CHECK(expect_kind(p, TOKEN_NAME, "a name"));
    static const char *const fixed[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (template_token_is(t, fixed[i]))
            return template_parse_fail(p, t->line, CRIA_FORMAT, "cannot assign to '%s'", fixed[i]);
    CHECK(make(p, NODE_NAME, ret));
    (*ret)->name = template_parse_name(p, t->bytes, t->n);
    return (*ret)->name == NO_NAME ? too_large(p) : CRIA_OK;
}

/* One target: a name, a parenthesised tuple, or (where allowed) an attribute of a namespace. */
static cria_status parse_one_target(struct parser *p, bool with_namespace, struct node **ret);

static cria_status parse_target(struct parser *p, bool with_namespace, const char *end_word, struct node **ret) {
    struct nodes items = {0};
    bool is_tuple = false;
    for (;;) {
        if (items.n) CHECK(template_parse_expect(p, ','));
        const struct token *t = template_token(p);
        if (items.n && (t->kind == TOKEN_BLOCK_END || template_token_is_op(t, ')') ||
                        (end_word && template_token_is(t, end_word))))
            break;
        struct node *item;
        CHECK(parse_one_target(p, with_namespace, &item));
        CHECK(template_parse_push(p, &items, item));
        if (!template_token_is_op(template_token(p), ',')) break;
        is_tuple = true;
    }
    if (!is_tuple) {
        *ret = items.items[0];
        return CRIA_OK;
    }
    CHECK(make(p, NODE_TUPLE, ret));
    (*ret)->list = items;
    return CRIA_OK;
}

static cria_status parse_one_target(struct parser *p, bool with_namespace, struct node **ret) {
    if (template_token_is_op(template_token(p), '(')) {
        if (++p->depth > TEMPLATE_MAX_NESTING) return template_parse_fail(p, 0, CRIA_LIMIT, "nested too deeply");
        p->at++;
        CHECK(parse_target(p, with_namespace, NULL, ret));
        p->depth--;
        return template_parse_expect(p, ')');
    }
    CHECK(parse_name_target(p, ret));
    if (!with_namespace || !template_token_is_op(template_token(p), '.')) return CRIA_OK;
    p->at++;
    const struct token *t = template_token(p);
    CHECK(expect_kind(p, TOKEN_NAME, "a name"));
    (*ret)->kind = NODE_NAMESPACE_TARGET;
    const uint32_t name = template_parse_name(p, t->bytes, t->n);
    if (name == NO_NAME) return too_large(p);
    (*ret)->value = template_string(p->t->names.items[name]);
    return CRIA_OK;
}

/* ---- tags ---- */

static const char *const end_for[] = {"endfor", "else", NULL}, *const end_for_else[] = {"endfor", NULL};
static const char *const end_if[] = {"elif", "else", "endif", NULL}, *const end_if_else[] = {"endif", NULL};
static const char *const end_set[] = {"endset", NULL}, *const end_macro[] = {"endmacro", NULL},
                         *const end_call[] = {"endcall", NULL};
static const char *const end_filter[] = {"endfilter", NULL}, *const end_with[] = {"endwith", NULL};
static const char *const end_generation[] = {"endgeneration", NULL};

/* A body of a new frame: an unknown filter in it is an error at once, as in jinja2. */
static cria_status parse_frame_body(struct parser *p, const char *tag, const char *const *ends, struct nodes *ret) {
    const bool was_soft = p->soft;
    p->soft = false;
    CHECK(parse_body(p, tag, ends, ret));
    p->soft = was_soft;
    return CRIA_OK;
}

static cria_status parse_for(struct parser *p, struct node *n) {
    n->kind = NODE_FOR;
    CHECK(parse_target(p, false, "in", &n->a));
    if (n->a->kind == NODE_NAME && n->a->name == p->t->name_loop)
        return template_parse_fail(p, 0, CRIA_FORMAT, "cannot assign to the special variable 'loop'");
    if (!skip_word(p, "in")) return unexpected(p, "'in'");
    CHECK(template_expression_tuple(p, false, "recursive", false, &n->b));
    if (skip_word(p, "if")) CHECK(template_expression(p, true, &n->c));
    n->op = skip_word(p, "recursive");
    p->n_loops++;
    CHECK(parse_frame_body(p, "for", end_for, &n->body));
    p->n_loops--;
    if (template_token_is(&p->tokens[p->at - 1], "else")) CHECK(parse_frame_body(p, "for", end_for_else, &n->more));
    return CRIA_OK;
}

static cria_status parse_if(struct parser *p, struct node *n) {
    n->kind = NODE_IF;
    const bool was_soft = p->soft;
    p->soft = true;
    for (;;) {
        CHECK(template_expression_tuple(p, false, NULL, false, &n->a));
        CHECK(parse_body(p, "if", end_if, &n->body));
        if (!template_token_is(&p->tokens[p->at - 1], "elif")) break;
        CHECK(make(p, NODE_IF, &n->b)); /* the branch that is tried next */
        n = n->b;
    }
    if (template_token_is(&p->tokens[p->at - 1], "else")) CHECK(parse_body(p, "if", end_if_else, &n->more));
    p->soft = was_soft;
    return CRIA_OK;
}

static cria_status parse_set(struct parser *p, struct node *n) {
    CHECK(parse_target(p, true, NULL, &n->a));
    if (template_token_is_op(template_token(p), '=')) {
        p->at++;
        n->kind = NODE_SET;
        return template_expression_tuple(p, true, NULL, false, &n->b);
    }
    n->kind = NODE_SET_BLOCK;
    CHECK(template_expression_filters(p, NULL, false, &n->b));
    return parse_frame_body(p, "set", end_set, &n->body);
}

static cria_status parse_signature(struct parser *p, struct node *n) {
    CHECK(template_parse_expect(p, '('));
    while (!template_token_is_op(template_token(p), ')')) {
        if (n->list.n) CHECK(template_parse_expect(p, ','));
        struct node *parameter, *otherwise;
        CHECK(parse_name_target(p, &parameter));
        if (template_token_is_op(template_token(p), '=')) {
            p->at++;
            CHECK(template_expression(p, true, &otherwise));
            CHECK(template_parse_push(p, &n->more, otherwise));
        } else if (n->more.n) {
            return template_parse_fail(p, 0, CRIA_FORMAT, "a parameter without a default follows one with a default");
        }
        CHECK(template_parse_push(p, &n->list, parameter));
    }
    return template_parse_expect(p, ')');
}

/* A body that is a function of its own: it cannot break a loop around it. */
static cria_status parse_function_body(struct parser *p, const char *tag, const char *const *ends, struct nodes *ret) {
    const int n_loops = p->n_loops;
    p->n_loops = 0;
    CHECK(parse_frame_body(p, tag, ends, ret));
    p->n_loops = n_loops;
    return CRIA_OK;
}

static cria_status parse_macro(struct parser *p, struct node *n) {
    n->kind = NODE_MACRO;
    struct node *name;
    CHECK(parse_name_target(p, &name));
    n->name = name->name;
    const unsigned uses = p->uses;
    p->uses = 0;
    CHECK(parse_signature(p, n));
    CHECK(parse_function_body(p, "macro", end_macro, &n->body));
    n->op = (uint16_t)p->uses;
    p->uses |= uses;
    return CRIA_OK;
}

static cria_status parse_call_block(struct parser *p, struct node *n) {
    n->kind = NODE_CALL_BLOCK;
    n->name = p->t->name_caller;
    if (template_token_is_op(template_token(p), '(')) CHECK(parse_signature(p, n));
    CHECK(template_expression(p, true, &n->a));
    if (n->a->kind != NODE_CALL) return template_parse_fail(p, n->line, CRIA_FORMAT, "expected a call in a call block");
    return parse_function_body(p, "call", end_call, &n->body);
}

static cria_status parse_filter_block(struct parser *p, struct node *n) {
    n->kind = NODE_FILTER_BLOCK;
    CHECK(template_expression_filters(p, NULL, true, &n->b));
    return parse_frame_body(p, "filter", end_filter, &n->body);
}

static cria_status parse_with(struct parser *p, struct node *n) {
    n->kind = NODE_WITH;
    while (template_token(p)->kind != TOKEN_BLOCK_END) {
        struct node *target, *v;
        if (n->list.n) CHECK(template_parse_expect(p, ','));
        CHECK(parse_target(p, false, NULL, &target));
        CHECK(template_parse_expect(p, '='));
        CHECK(template_expression(p, true, &v));
        CHECK(template_parse_push(p, &n->list, target));
        CHECK(template_parse_push(p, &n->more, v));
    }
    return parse_frame_body(p, "with", end_with, &n->body);
}

static cria_status parse_generation(struct parser *p, struct node *n) {
    n->kind = NODE_SCOPE;
    return parse_function_body(p, "generation", end_generation, &n->body);
}

static cria_status parse_print(struct parser *p, struct node *n) {
    n->kind = NODE_OUTPUT;
    while (template_token(p)->kind != TOKEN_BLOCK_END) {
        struct node *item;
        if (n->list.n) CHECK(template_parse_expect(p, ','));
        CHECK(template_expression(p, true, &item));
        CHECK(template_parse_push(p, &n->list, item));
    }
    return CRIA_OK;
}

static cria_status parse_jump(struct parser *p, struct node *n, enum node_kind kind) {
    n->kind = (uint8_t)kind;
    if (p->n_loops) return CRIA_OK;
    return template_parse_fail(p, n->line, CRIA_FORMAT, "break or continue outside of a loop");
}

static cria_status parse_statement(struct parser *p, struct nodes *out) {
    const struct token *t = template_token(p);
    CHECK(expect_kind(p, TOKEN_NAME, "a tag's name"));
    struct node *n;
    CHECK(make(p, NODE_NONE, &n));
    CHECK(template_parse_push(p, out, n));
    if (template_token_is(t, "for")) return parse_for(p, n);
    if (template_token_is(t, "if")) return parse_if(p, n);
    if (template_token_is(t, "set")) return parse_set(p, n);
    if (template_token_is(t, "macro")) return parse_macro(p, n);
    if (template_token_is(t, "call")) return parse_call_block(p, n);
    if (template_token_is(t, "filter")) return parse_filter_block(p, n);
    if (template_token_is(t, "with")) return parse_with(p, n);
    if (template_token_is(t, "generation")) return parse_generation(p, n);
    if (template_token_is(t, "print")) return parse_print(p, n);
    if (template_token_is(t, "break")) return parse_jump(p, n, NODE_BREAK);
    if (template_token_is(t, "continue")) return parse_jump(p, n, NODE_CONTINUE);
    static const char *const refused[] = {"include", "import", "from", "extends", "block", "autoescape"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (template_token_is(t, refused[i]))
            return template_parse_fail(p, t->line, CRIA_UNSUPPORTED, "the tag '%s' is not supported in chat templates",
                                       refused[i]);
    return template_parse_fail(p, t->line, CRIA_FORMAT, "unknown tag '%.*s'", (int)t->n, t->bytes);
}

static bool ends_here(const struct token *t, const char *const *ends) {
    for (; ends && *ends; ends++)
        if (template_token_is(t, *ends)) return true;
    return false;
}

static cria_status push_output(struct parser *p, struct nodes *out, struct node *item) {
    if (out->n == 0 || out->items[out->n - 1]->kind != NODE_OUTPUT) {
        struct node *n;
        CHECK(make(p, NODE_OUTPUT, &n));
        CHECK(template_parse_push(p, out, n));
    }
    return template_parse_push(p, &out->items[out->n - 1]->list, item);
}

/* Statements up to a tag of `ends` (behind whose name the parser stands afterwards) or the end of the template. */
static cria_status parse_statements(struct parser *p, const char *tag, uint32_t line, const char *const *ends,
                                    struct nodes *ret) {
    for (;;) {
        const struct token *t = template_token(p);
        struct node *item;
        if (t->kind == TOKEN_END) {
            if (!ends) return CRIA_OK;
            return template_parse_fail(
                p, 0, CRIA_FORMAT, "the template ends inside the '%s' of line %u: '%s' is missing", tag, line, ends[0]);
        }
        p->at++;
        if (t->kind == TOKEN_DATA) {
            CHECK(make(p, NODE_CONST, &item));
            item->value = t->value;
            CHECK(push_output(p, ret, item));
        } else if (t->kind == TOKEN_VARIABLE_BEGIN) {
            CHECK(template_expression_tuple(p, true, NULL, false, &item));
            CHECK(push_output(p, ret, item));
            CHECK(expect_kind(p, TOKEN_VARIABLE_END, "}}"));
        } else {
            if (ends_here(template_token(p), ends)) {
                p->at++;
                return CRIA_OK;
            }
            CHECK(parse_statement(p, ret));
            CHECK(expect_kind(p, TOKEN_BLOCK_END, "%}"));
        }
    }
}

static cria_status parse_body(struct parser *p, const char *tag, const char *const *ends, struct nodes *ret) {
    const uint32_t line = template_token(p)->line;
    if (template_token_is_op(template_token(p), ':')) p->at++;
    CHECK(expect_kind(p, TOKEN_BLOCK_END, "%}"));
    if (++p->depth > TEMPLATE_MAX_NESTING)
        return template_parse_fail(p, 0, CRIA_LIMIT, "nested deeper than %d levels", TEMPLATE_MAX_NESTING);
    CHECK(parse_statements(p, tag, line, ends, ret));
    p->depth--;
    return CRIA_OK;
}

cria_status template_parse(struct template *t, struct tokens *tokens, struct cria_error *err) {
    struct parser p = {.t = t, .tokens = tokens->items, .err = err};
    t->name_loop = template_parse_name(&p, "loop", 4);
    t->name_caller = template_parse_name(&p, "caller", 6);
    t->name_varargs = template_parse_name(&p, "varargs", 7);
    t->name_kwargs = template_parse_name(&p, "kwargs", 6);
    if (t->name_kwargs == NO_NAME) return too_large(&p);
    return parse_statements(&p, NULL, 1, NULL, &t->body);
}
