/* template.c: the face of the template interpreter: compiling, rendering, and the budget of a render. */
#include "text/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/template_private.h"

#define MAX_SOURCE_BYTES ((size_t)4 << 20)

const struct template_budget template_default_budget = {
    .max_steps = 1000000, .max_bytes = (size_t)8 << 20, .max_depth = 1000};

/* ---- compiling ---- */

/* Copies the source with \n as its only line break and without one at its end. */
static cria_status copy_source(struct template *t, const char *source, size_t n, struct cria_error *err) {
    t->source = template_take(&t->arena, n + 1, 1);
    if (!t->source) return ERROR_NOMEM(err, n, "a template");
    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r') {
            t->source[t->n_source++] = '\n';
            if (i + 1 < n && source[i + 1] == '\n') i++;
        } else {
            t->source[t->n_source++] = source[i];
        }
    }
    if (t->n_source && t->source[t->n_source - 1] == '\n') t->n_source--;
    return CRIA_OK;
}

cria_status template_compile(template **ret, const char *source, size_t n, struct cria_error *err) {
    cria_status status;
    struct tokens tokens = {0};
    struct template *t = NULL;
    if (n > MAX_SOURCE_BYTES)
        return ERROR_SET(err, CRIA_LIMIT, "the template has %zu bytes; at most %zu are taken", n, MAX_SOURCE_BYTES);
    if (!utf8_is_valid(source, n)) return ERROR_SET(err, CRIA_FORMAT, "the template is not valid UTF-8");
    t = ALLOC_NEW(struct template);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a template");
    t->arena.max_bytes = ((size_t)1 << 20) + n * 256;
    TRY(copy_source(t, source, n, err));
    TRY(template_lex(t, &tokens, err));
    TRY(template_parse(t, &tokens, err));
    *ret = t;
    alloc_free(tokens.items);
    return CRIA_OK;
out:
    if (status == CRIA_LIMIT && t->arena.out_of_memory) status = ERROR_NOMEM(err, n, "a template");
    alloc_free(tokens.items);
    template_destroy(&t);
    return status;
}

void template_destroy(template **t) {
    if (!*t) return;
    template_arena_deinit(&(*t)->arena);
    alloc_free(*t);
    *t = NULL;
}

/* ---- the budget ---- */

cria_status template_fail(struct run *r, cria_status status, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ERROR_SET(r->err, status, "template line %u: %s", r->line, text);
}

cria_status template_step_slow(struct run *r) {
    return template_fail(r, CRIA_LIMIT, "the template takes more than %llu steps", (unsigned long long)r->max_steps);
}

cria_status template_enter(struct run *r) {
    if (r->depth_left-- > 0) return CRIA_OK;
    return template_fail(r, CRIA_LIMIT, "calls and values are nested deeper than %d levels", r->max_depth);
}

cria_status template_new(struct run *r, size_t n, size_t size, void *ret) {
    void *p = template_take(&r->arena, n, size);
    if (!p) {
        if (r->arena.out_of_memory) return ERROR_NOMEM(r->err, n * size, "a template's values");
        return template_fail(r, CRIA_LIMIT, "the template needs more than %zu bytes", r->arena.max_bytes);
    }
    memcpy(ret, &p, sizeof p);
    return CRIA_OK;
}

/* ---- rendering ---- */

/* What a template may count on: functions, and names that are none or false where the caller gave nothing. */
static void set_defaults(struct run *r) {
    for (size_t i = 0; i < r->t->names.n; i++) {
        const struct text *name = r->t->names.items[i];
        const struct template_function *f = template_global_find(name->bytes, name->n);
        if (f) r->globals[i] = (struct value){.kind = VALUE_FUNCTION, .trusted = true, .function = f};
        if (template_text_is(name, "tools") || template_text_is(name, "documents")) r->globals[i] = template_none(true);
        if (template_text_is(name, "add_generation_prompt")) r->globals[i] = template_bool(false, true);
    }
}

/* Without a date there is no strftime_now: a template sees no clock of its own. */
static void hide_clock(struct run *r) {
    if (r->has_date) return;
    for (size_t i = 0; i < r->t->names.n; i++)
        if (r->globals[i].kind == VALUE_FUNCTION && strcmp(r->globals[i].function->name, "strftime_now") == 0)
            r->globals[i].kind = VALUE_ABSENT;
}

static cria_status copy_output(struct run *r, struct prompt_text *ret) {
    struct text_block *b = r->out;
    char *text = alloc_text(b->used ? b->bytes : "", b->used);
    uint8_t *trusted = alloc_array(b->used, 1);
    if (!text || !trusted) {
        alloc_free(text);
        alloc_free(trusted);
        return ERROR_NOMEM(r->err, b->used, "a prompt");
    }
    if (b->used) memcpy(trusted, b->mask, b->used);
    *ret = (struct prompt_text){.text = text, .trusted = trusted, .n = b->used};
    return CRIA_OK;
}

cria_status template_render(const template *t, const char *variables, size_t n, const struct template_budget *budget,
                            struct prompt_text *ret, struct cria_error *err) {
    cria_status status;
    if (!budget) budget = &template_default_budget;
    struct run r = {
        .t = t,
        .arena = {.max_bytes = budget->max_bytes},
        .err = err,
        .steps_left = budget->max_steps,
        .max_steps = budget->max_steps,
        .depth_left = budget->max_depth,
        .max_depth = budget->max_depth,
        .line = 1,
    };
    TRY(template_new(&r, t->names.n, sizeof *r.globals, &r.globals));
    set_defaults(&r);
    TRY(template_input(&r, variables, n));
    hide_clock(&r);
    TRY(template_block_new(&r, 0, &r.out));
    TRY(template_exec(&r, &t->body));
    TRY(copy_output(&r, ret));
out:
    template_arena_deinit(&r.arena);
    return status;
}
