/* template_private.h: what the files of the template interpreter share: the arena, values, the syntax tree, a running
 * render.
 *
 * Stages: template_lex.c cuts the source into tokens, template_parse.c and template_expression.c make the tree of
 * nodes, template_exec.c walks statements and template_eval.c expressions; the rest are values and what can be done
 * with them.
 *
 * Invariants:
 *  1. Everything that a render makes lives in its arena and is freed at once; nothing is freed singly, so no value can
 * dangle.
 *  2. Values are immutable, namespaces aside. Strings share bytes freely.
 *  3. Each byte of a string knows whether it is trusted: it came from the template (or bos_token, eos_token) or not.
 *     A scalar or container has one such flag, which the text printed for it takes over.
 *  4. A function that fails has filled the error; its caller only passes the status on. */
#ifndef TEXT_TEMPLATE_PRIVATE_H
#define TEXT_TEMPLATE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/template.h"

/* Passes a failure on; for functions that own nothing outside the arena. */
#define CHECK(expression)                         \
    do {                                          \
        const cria_status status_ = (expression); \
        if (status_ != CRIA_OK) return status_;   \
    } while (0)

/* ---- the arena (template_arena.c) ---- */

struct arena_chunk;
struct template_arena {
    struct arena_chunk *chunks; /* owned, newest first */
    size_t used, capacity;      /* of the newest */
    size_t total_bytes, max_bytes;
    bool out_of_memory; /* the heap refused, not the limit */
};

/* NULL where the limit or the memory ends; the memory is zeroed. */
void *template_take(struct template_arena *a, size_t n, size_t size);
void template_arena_deinit(struct template_arena *a);

/* ---- values ---- */

enum value_kind {
    VALUE_ABSENT, /* an argument that was not given */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_BIG, /* an integer that needs more than 64 bits */
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_RANGE,
    VALUE_VIEW,     /* dict.keys(), .values(), .items(): a list that prints with a name */
    VALUE_ITERATOR, /* what map, select, ... give: each element comes once */
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_FUNCTION, /* a global such as range */
    VALUE_METHOD,   /* bound to its object */
    VALUE_KIND_COUNT
};

/* A growing string that is being written. */
struct text_block {
    char *bytes;
    uint8_t *mask;
    size_t used, capacity;
    bool any_trusted, any_untrusted;
};

#define TEXT_UNCOUNTED SIZE_MAX

struct text {
    const char *bytes;   /* borrowed; not NUL-terminated */
    const uint8_t *mask; /* NULL: every byte is `trusted` */
    struct text_block
        *block; /* where the bytes lie, NULL: elsewhere. One whose end is the block's may grow in place. */
    size_t n;
    size_t n_chars; /* code points, or TEXT_UNCOUNTED */
    bool trusted;
    bool markup; /* made by `safe` or `escape`: `+` escapes what is joined to it */
};

struct list;
struct dict;
struct run;
struct value;

/* Why something is undefined, for the error that its use brings. */
struct undefined {
    const char *owner;       /* the kind of object that lacks it, or NULL for a variable */
    const struct text *name; /* or NULL */
    const char *why;         /* what is wrong with using the name, or NULL */
    bool is_element;         /* the name is an index */
};

struct value {
    uint8_t kind; /* enum value_kind */
    bool trusted; /* of everything but strings, whose bytes know */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct text *text; /* VALUE_STRING; VALUE_BIG: the decimal digits */
        struct list *list; /* VALUE_LIST, VALUE_TUPLE */
        struct dict *dict; /* VALUE_DICT, VALUE_NAMESPACE */
        struct range *range;
        struct view *view;
        struct iterator *iterator;
        struct loop *loop;
        struct macro *macro;
        struct method *method;
        const struct template_function *function;
        const struct undefined *undefined;
    };
};

struct list {
    struct value *items;
    size_t n, capacity;
};

struct entry {
    struct value key, value;
    uint64_t hash;
};
struct dict {
    struct entry *entries; /* in the order of insertion */
    size_t n, capacity;
    uint32_t *index; /* NULL while small; a power of two slots, entry number + 1 */
    size_t n_index;
};

struct range {
    int64_t start, stop, step;
    size_t n;
};
struct view {
    const char *name; /* dict_items */
    struct list *list;
};
struct iterator {
    struct list *list;
    size_t at;
};

struct loop {
    struct list *items;
    size_t at;
    int depth;
    const struct node *node; /* of a recursive loop, else NULL */
    struct scope *scope;     /* around it */
    struct value last_changed;
};

struct macro {
    const struct node *node; /* NODE_MACRO or NODE_CALL_BLOCK */
    struct scope *scope;     /* where it was made */
};

/* A call's arguments as evaluated. */
struct call {
    struct value self; /* what a filter, test or method works on; VALUE_ABSENT for a function */
    struct value *args;
    size_t n_args;
    struct value *names; /* strings */
    struct value *named;
    size_t n_named;
};

#define TEMPLATE_MAX_PARAMETERS 6
/* A filter, test, method or global function. With parameters the interpreter binds positions and names to args
 * [0 .. count), absent ones VALUE_ABSENT; without them (`raw`) the function takes the call as it is. */
struct template_function {
    const char *name;
    cria_status (*fn)(struct run *r, const struct call *c, struct value *ret);
    bool raw;
    int n_required;
    const char *parameters[TEMPLATE_MAX_PARAMETERS];
};
struct method {
    struct value self;
    const struct template_function *function;
};

/* ---- the tree ---- */

enum node_kind {
    NODE_NONE,
    NODE_CONST,
    NODE_NAME,
    NODE_TUPLE,
    NODE_LIST,
    NODE_DICT,
    NODE_CONDITION,
    NODE_OR,
    NODE_AND,
    NODE_NOT,
    NODE_COMPARE,
    NODE_BINARY,
    NODE_CONCAT,
    NODE_NEGATE,
    NODE_PLUS,
    NODE_ATTRIBUTE,
    NODE_ITEM,
    NODE_SLICE,
    NODE_CALL,
    NODE_FILTER,
    NODE_TEST,
    NODE_NAMESPACE_TARGET,
    NODE_OUTPUT,
    NODE_FOR,
    NODE_IF,
    NODE_SET,
    NODE_SET_BLOCK,
    NODE_MACRO,
    NODE_CALL_BLOCK,
    NODE_FILTER_BLOCK,
    NODE_WITH,
    NODE_SCOPE,
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_KIND_COUNT
};

struct nodes {
    struct node **items;
    size_t n, capacity;
};

struct node_arguments {
    struct nodes positional, named; /* named[i] is called names[i] */
    struct nodes names;             /* NODE_CONST strings */
    struct node *star, *star_star;  /* or NULL */
};

struct node {
    uint8_t kind; /* enum node_kind */
    uint16_t op; /* NODE_BINARY: an operator of template_lex; NODE_FOR: whether recursive; NODE_MACRO: MACRO_USES_... */
    uint32_t line;
    uint32_t name; /* NODE_NAME, NODE_MACRO, NODE_NAMESPACE_TARGET: number in the template's names */
    struct node *a, *b, *c;
    struct nodes list; /* children: elements; of NODE_COMPARE operands; of a macro its parameters */
    struct nodes more; /* of a macro its defaults; of NODE_WITH its values; of NODE_IF and NODE_FOR the else part */
    struct nodes body;
    uint16_t *ops;                            /* NODE_COMPARE: one for each operand */
    struct node_arguments *arguments;         /* NODE_CALL, NODE_FILTER, NODE_TEST */
    const struct template_function *function; /* NODE_FILTER, NODE_TEST; NULL: unknown, an error when it is reached */
    struct value value;                       /* NODE_CONST; NODE_ATTRIBUTE, NODE_FILTER, NODE_TEST: its name */
};

#define NO_NAME UINT32_MAX
enum { MACRO_USES_CALLER = 1, MACRO_USES_VARARGS = 2, MACRO_USES_KWARGS = 4 };

struct template_names {
    struct text **items;
    size_t n, capacity;
    uint32_t *index; /* n_index slots, number + 1 */
    size_t n_index;
};

struct template {
    struct template_arena arena; /* of the tree and all its strings */
    struct template_names names;
    struct nodes body;
    char *source; /* owned by the arena; line breaks normalised */
    size_t n_source;
    uint32_t name_loop, name_caller, name_varargs, name_kwargs;
};

/* ---- tokens (template_lex.c) ---- */

enum token_kind {
    TOKEN_END,
    TOKEN_DATA,
    TOKEN_VARIABLE_BEGIN,
    TOKEN_VARIABLE_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_OPERATOR,
    TOKEN_KIND_COUNT
};
/* An operator's number: its first byte, and its second one above it. */
#define OP2(a, b) ((uint16_t)((a) | (b) << 8))
#define OP_IN OP2('i', 'n')
#define OP_NOT_IN OP2('n', 'i')

struct token {
    uint8_t kind;
    uint16_t op;
    uint32_t line;
    const char *bytes; /* as written, in the source */
    size_t n;
    struct value value; /* DATA, STRING, INTEGER, FLOAT */
};
struct tokens {
    struct token *items; /* owned, alloc_free() */
    size_t n, capacity;
};
CRIA_MUST_CHECK cria_status template_lex(struct template *t, struct tokens *ret, struct cria_error *err);
/* What a token is called in an error. */
const char *template_token_text(const struct token *t, char *room, size_t n);

/* ---- parsing (template_parse.c, template_expression.c) ---- */

struct parser {
    struct template *t;
    struct token *tokens;
    size_t at;
    int depth;
    int n_loops;   /* open for blocks, for break and continue */
    unsigned uses; /* MACRO_USES_...: what was named since the macro began */
    bool soft;     /* inside a branch: an unknown filter is an error only when it is reached */
    struct cria_error *err;
};
#define TEMPLATE_MAX_NESTING 200

cria_status template_parse(struct template *t, struct tokens *tokens, struct cria_error *err);
cria_status template_parse_fail(struct parser *p, uint32_t line, cria_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct node *template_parse_new(struct parser *p, enum node_kind kind);
cria_status template_parse_push(struct parser *p, struct nodes *list, struct node *n);
uint32_t template_parse_name(struct parser *p, const char *bytes, size_t n);
cria_status template_parse_expect(struct parser *p, uint16_t op);
cria_status template_expression(struct parser *p, bool with_condition, struct node **ret);
/* An expression or, with commas, a tuple. end_word (may be NULL) is a name that ends it. */
cria_status template_expression_tuple(struct parser *p, bool with_condition, const char *end_word, bool parenthesised,
                                      struct node **ret);
cria_status template_expression_filters(struct parser *p, struct node *input, bool starts_inline, struct node **ret);

static inline const struct token *template_token(const struct parser *p) { return &p->tokens[p->at]; }
bool template_token_is(const struct token *t, const char *word);
static inline bool template_token_is_op(const struct token *t, uint16_t op) {
    return t->kind == TOKEN_OPERATOR && t->op == op;
}

/* ---- a render ---- */

struct binding {
    uint32_t name;
    struct value value;
};
struct scope {
    struct scope *parent; /* NULL: the names of the render itself */
    struct binding *items;
    uint32_t n, capacity;
    bool captured; /* a macro was made here: the scope must not be used again */
};

enum run_flow { FLOW_NONE, FLOW_BREAK, FLOW_CONTINUE };

struct run {
    const struct template *t;
    struct template_arena arena;
    struct cria_error *err;
    uint64_t steps_left, max_steps;
    int depth_left, max_depth;
    uint32_t line;
    enum run_flow flow;
    struct value *globals; /* by name number; VALUE_ABSENT: not set */
    struct scope *scope;   /* NULL: the globals */
    struct text_block *out;
    struct value block_input; /* what a filter block or a filtered set block filters */
    bool has_date;
    int year, month, day;
};

/* Fills the error with the template's line and gives back status. */
cria_status template_fail(struct run *r, cria_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Counts work; LIMIT when it is too much. Work on n bytes counts n / 32. */
cria_status template_step_slow(struct run *r);
static inline cria_status template_step(struct run *r, uint64_t n) {
    if (r->steps_left < n) return template_step_slow(r);
    r->steps_left -= n;
    return CRIA_OK;
}
static inline cria_status template_step_bytes(struct run *r, size_t n) { return template_step(r, 1 + n / 32); }
/* Searching costs more a byte than copying. */
static inline cria_status template_step_search(struct run *r, size_t n) { return template_step(r, 1 + n / 8); }
/* Arena memory for the render, charged; LIMIT or NOMEM. */
cria_status template_new(struct run *r, size_t n, size_t size, void *ret);

/* ---- strings (template_text.c) ---- */

static inline struct value template_string(struct text *t) { return (struct value){.kind = VALUE_STRING, .text = t}; }
static inline struct value template_none(bool trusted) {
    return (struct value){.kind = VALUE_NONE, .trusted = trusted};
}
static inline struct value template_bool(bool b, bool trusted) {
    return (struct value){.kind = VALUE_BOOL, .trusted = trusted, .boolean = b};
}
static inline struct value template_int(int64_t i, bool trusted) {
    return (struct value){.kind = VALUE_INT, .trusted = trusted, .integer = i};
}
static inline struct value template_float(double f, bool trusted) {
    return (struct value){.kind = VALUE_FLOAT, .trusted = trusted, .number = f};
}

/* A string over borrowed bytes, all of the same trust. */
cria_status template_text_borrow(struct run *r, const char *bytes, size_t n, bool trusted, struct value *ret);
/* n bytes of t from byte offset `from`; shares them, keeps markup. */
cria_status template_text_slice(struct run *r, const struct text *t, size_t from, size_t n, struct value *ret);
cria_status template_text_concat(struct run *r, const struct text *a, const struct text *b, struct value *ret);
size_t template_text_chars(const struct text *t);
/* The byte offset of character i (at most the number of characters). */
size_t template_text_offset(const struct text *t, size_t i);
bool template_text_equal(const struct text *a, const struct text *b);
/* -1, 0, 1 by code points. */
int template_text_compare(const struct text *a, const struct text *b);
bool template_text_is(const struct text *t, const char *word);
/* The offset of needle in t from byte `from` on, or SIZE_MAX. */
size_t template_text_find(const struct text *t, const struct text *needle, size_t from);
/* Whether the byte at i is trusted. */
static inline bool template_text_trusts(const struct text *t, size_t i) { return t->mask ? t->mask[i] : t->trusted; }
/* Bytes of the character at i, which is inside the text. */
int template_text_step(const struct text *t, size_t i, uint32_t *ret_code);

/* Writing. */
cria_status template_block_new(struct run *r, size_t capacity, struct text_block **ret);
cria_status template_block_add(struct run *r, struct text_block *b, const char *bytes, size_t n, bool trusted);
cria_status template_block_word(struct run *r, struct text_block *b, const char *word, bool trusted);
cria_status template_block_code(struct run *r, struct text_block *b, uint32_t code, bool trusted);
/* n bytes of t from `from`, with their trust. */
cria_status template_block_slice(struct run *r, struct text_block *b, const struct text *t, size_t from, size_t n);
cria_status template_block_text(struct run *r, struct text_block *b, const struct text *t);
/* What was written so far, as a string; more may follow in the block. */
cria_status template_block_value(struct run *r, struct text_block *b, struct value *ret);
/* & < > ' " as HTML entities; the result is markup. */
cria_status template_text_escape(struct run *r, const struct text *t, struct value *ret);

/* ---- values (template_value.c) ---- */

const char *template_kind_name(const struct value *v); /* Python's name of the type: str, NoneType */
bool template_truth(const struct value *v);
/* Python's ==. Nested ones count steps. */
cria_status template_equal(struct run *r, const struct value *a, const struct value *b, bool *ret);
/* <0, 0, >0, or TEMPLATE_UNORDERED with a NaN; an error for kinds without an order, which names op. */
#define TEMPLATE_UNORDERED 2
cria_status template_compare(struct run *r, const struct value *a, const struct value *b, const char *op, int *ret);
cria_status template_contains(struct run *r, const struct value *container, const struct value *v, bool *ret);
/* The elements as a list (not to be changed): of a list, tuple, dict (keys), string (characters), range, view,
 * undefined; takes those of an iterator. */
cria_status template_elements(struct run *r, const struct value *v, struct list **ret);
bool template_is_iterable(const struct value *v);
/* Python's len(); an error where there is none. */
cria_status template_length(struct run *r, const struct value *v, size_t *ret);
/* The error that the use of an undefined value brings. */
cria_status template_fail_undefined(struct run *r, const struct value *v);
cria_status template_undefined_name(struct run *r, const struct text *name, struct value *ret);
cria_status template_undefined_element(struct run *r, const struct value *owner, const struct text *name,
                                       struct value *ret);
/* Something that the sandbox keeps from templates: undefined, and an error when used. */
cria_status template_undefined_unsafe(struct run *r, const struct text *name, struct value *ret);
cria_status template_undefined_member(struct run *r, const struct value *owner, const struct text *name,
                                      struct value *ret);

cria_status template_list_new(struct run *r, size_t capacity, struct list **ret);
cria_status template_list_add(struct run *r, struct list *l, struct value v);
static inline struct value template_list(struct list *l, bool trusted) {
    return (struct value){.kind = VALUE_LIST, .trusted = trusted, .list = l};
}
static inline struct value template_tuple(struct list *l, bool trusted) {
    return (struct value){.kind = VALUE_TUPLE, .trusted = trusted, .list = l};
}
cria_status template_iterator(struct run *r, struct list *l, struct value *ret);
cria_status template_pair(struct run *r, struct value a, struct value b, struct value *ret);

/* ---- dictionaries (template_dict.c) ---- */

cria_status template_dict_new(struct run *r, size_t capacity, struct dict **ret);
/* Replaces the value of an equal key; an error for a key that cannot be hashed. *ret_was_new may be NULL. */
cria_status template_dict_set(struct run *r, struct dict *d, struct value key, struct value v, bool *ret_was_new);
/* NULL where there is no such key. */
cria_status template_dict_get(struct run *r, const struct dict *d, const struct value *key, const struct value **ret);
const struct value *template_dict_word(const struct dict *d, const char *key);
/* keys 'k', values 'v', items 'i' as a list. */
cria_status template_dict_list(struct run *r, const struct dict *d, char what, struct list **ret);

/* ---- numbers (template_number.c, template_big.c) ---- */

cria_status template_arithmetic(struct run *r, uint16_t op, const struct value *a, const struct value *b,
                                struct value *ret);
cria_status template_negate(struct run *r, const struct value *v, struct value *ret);
/* Decimal digits with an optional minus as an int or a big int. */
cria_status template_integer_text(struct run *r, const char *digits, size_t n, bool trusted, struct value *ret);
bool template_is_number(const struct value *v);
double template_number(const struct value *v);
/* Compares two numbers exactly; *ret_unordered with NaN. */
int template_number_compare(const struct value *a, const struct value *b, bool *ret_unordered);
/* An int argument that fits; an error that names `what`. */
cria_status template_index(struct run *r, const struct value *v, const char *what, int64_t *ret);

/* + - * / (floor 'F') % of integers of any size. */
cria_status template_big_arithmetic(struct run *r, uint16_t op, const struct value *a, const struct value *b,
                                    struct value *ret);
int template_big_compare(const struct value *a, const struct value *b);
double template_big_number(const struct value *v);

/* Sorts in place, stably; strings without regard to case where ignores_case. by (may be NULL) are the keys of the
 * items. */
cria_status template_sort(struct run *r, struct list *l, bool ignores_case);

/* ---- printing (template_print.c, template_json.c) ---- */

/* Python's str(): appends to the block. */
cria_status template_print(struct run *r, struct text_block *b, const struct value *v);
cria_status template_print_repr(struct run *r, struct text_block *b, const struct value *v);
/* str() as a string value; a string stays itself. */
cria_status template_print_value(struct run *r, const struct value *v, struct value *ret);
/* Python's repr() of a float into room for 40 bytes; returns the length. */
int template_print_float(double f, char *room);

struct json_style {
    const struct text *item, *key; /* separators */
    const struct text *indent;     /* NULL: one line */
    bool ascii, sorted;
};
cria_status template_json(struct run *r, struct text_block *b, const struct value *v, const struct json_style *style,
                          int depth);

/* ---- evaluation ---- */

cria_status template_eval(struct run *r, const struct node *n, struct value *ret);
/* A NODE_CALL; caller (may be NULL) is passed on as the keyword `caller`. */
cria_status template_eval_call(struct run *r, const struct node *n, const struct value *caller, struct value *ret);
cria_status template_exec(struct run *r, const struct nodes *body);
cria_status template_assign(struct run *r, const struct node *target, struct value v);
cria_status template_lookup(struct run *r, uint32_t name, struct value *ret);
cria_status template_set(struct run *r, uint32_t name, struct value v);
/* What a block writes, as a string. */
cria_status template_capture(struct run *r, const struct nodes *body, struct value *ret);
cria_status template_call(struct run *r, const struct value *callee, const struct call *c, struct value *ret);
cria_status template_call_function(struct run *r, const struct template_function *f, const struct call *c,
                                   struct value *ret);
cria_status template_call_macro(struct run *r, const struct macro *m, const struct call *c, struct value *ret);
cria_status template_call_loop(struct run *r, const struct loop *l, const struct value *items, struct value *ret);
/* The part of a block between depth_enter and depth_leave counts as one level of nesting. */
cria_status template_enter(struct run *r);
static inline void template_leave(struct run *r) { r->depth_left++; }

/* obj.name and obj[key] as jinja2's environment does them (template_member.c). */
cria_status template_attribute(struct run *r, const struct value *obj, const struct text *name, struct value *ret);
cria_status template_item(struct run *r, const struct value *obj, const struct value *key, struct value *ret);
cria_status template_slice(struct run *r, const struct value *obj, const struct value bounds[3], struct value *ret);

/* ---- tables of functions ---- */

const struct template_function *template_filter_find(const char *name, size_t n);
const struct template_function *template_check_find(const char *name, size_t n); /* the tests after `is` */
/* A method of a string; NULL where there is none. */
const struct template_function *template_method_string(const struct text *name);
const struct template_function *template_method_dict(const struct text *name);
const struct template_function *template_method_list(const struct text *name);
const struct template_function *template_method_loop(const struct text *name);
const struct template_function *template_global_find(const char *name, size_t n);
const struct template_function *template_find(const struct template_function *table, size_t n_table, const char *name,
                                              size_t n);

/* The `%` operator on strings, and str.format() (template_format.c). */
cria_status template_format_percent(struct run *r, const struct text *format, const struct value *args,
                                    struct value *ret);
cria_status template_format_braces(struct run *r, const struct call *c, struct value *ret);

/* Characters (template_unicode.c). */
bool template_unicode_is_space(uint32_t code);
bool template_unicode_is_printable(uint32_t code);
bool template_unicode_is_letter(uint32_t code);
bool template_unicode_is_digit(uint32_t code);
bool template_unicode_is_cased(uint32_t code);
/* 'u' upper, 'l' lower, 't' title, 'f' fold; up to 3 code points; returns how many. */
int template_unicode_case(uint32_t code, char how, uint32_t out[3]);

/* JSON text -> values (template_input.c): sets the globals that the template names. */
cria_status template_input(struct run *r, const char *variables, size_t n);

#endif
