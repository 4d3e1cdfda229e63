/* dialogue.c: see dialogue.h.
 *
 * A message is kept as the JSON text it came as, beside its role and its plain content, so that what a template sees
 * and what is saved is what was given, to the digit of a number and the order of keys. Other fields of the object are
 * kept the same way. */
#include "text/dialogue.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/utf8.h"

#define MAX_JSON_BYTES ((size_t)1 << 30)
#define MAX_ROLE_BYTES 256

struct message {
    char *role;    /* owned */
    char *content; /* owned; "" where it is not a string */
    size_t n_content;
    char *json; /* owned */
};

/* A field of the object beside messages. */
struct field {
    char *key;  /* owned */
    char *json; /* owned */
};

struct dialogue {
    struct message *messages; /* owned */
    size_t n, capacity;
    struct field *fields; /* owned */
    size_t n_fields, fields_capacity;
};

static void free_message(struct message *m) {
    alloc_free(m->role);
    alloc_free(m->content);
    alloc_free(m->json);
    *m = (struct message){0};
}

static void free_field(struct field *f) {
    alloc_free(f->key);
    alloc_free(f->json);
    *f = (struct field){0};
}

cria_status dialogue_create(dialogue **ret, struct cria_error *err) {
    dialogue *d = ALLOC_NEW(dialogue);
    if (!d) return ERROR_NOMEM(err, sizeof *d, "a dialogue");
    *ret = d;
    return CRIA_OK;
}

void dialogue_destroy(dialogue **d) {
    if (!*d) return;
    dialogue_cut(*d, 0);
    for (size_t i = 0; i < (*d)->n_fields; i++) free_field(&(*d)->fields[i]);
    alloc_free((*d)->messages);
    alloc_free((*d)->fields);
    alloc_free(*d);
    *d = NULL;
}

void dialogue_cut(dialogue *d, size_t n) {
    while (d->n > n) free_message(&d->messages[--d->n]);
}

size_t dialogue_messages(const dialogue *d) { return d->n; }

const char *dialogue_role(const dialogue *d, size_t i) { return d->messages[i].role; }

const char *dialogue_content(const dialogue *d, size_t i, size_t *ret_n) {
    if (ret_n) *ret_n = d->messages[i].n_content;
    return d->messages[i].content;
}

/* ---- adding ---- */

static cria_status reserve_message(dialogue *d, struct cria_error *err) {
    if (d->n < d->capacity) return CRIA_OK;
    const size_t capacity = d->capacity ? d->capacity * 2 : 8;
    struct message *messages = alloc_resize(d->messages, capacity, sizeof *messages);
    if (!messages) return ERROR_NOMEM(err, capacity * sizeof *messages, "a dialogue's messages");
    d->messages = messages;
    d->capacity = capacity;
    return CRIA_OK;
}

static cria_status reserve_field(dialogue *d, struct cria_error *err) {
    if (d->n_fields < d->fields_capacity) return CRIA_OK;
    const size_t capacity = d->fields_capacity ? d->fields_capacity * 2 : 4;
    struct field *fields = alloc_resize(d->fields, capacity, sizeof *fields);
    if (!fields) return ERROR_NOMEM(err, capacity * sizeof *fields, "a dialogue's fields");
    d->fields = fields;
    d->fields_capacity = capacity;
    return CRIA_OK;
}

static cria_status check_role(const char *role, size_t n, size_t i, struct cria_error *err) {
    if (n == 0 || n > MAX_ROLE_BYTES || strlen(role) != n)
        return ERROR_SET(err, CRIA_FORMAT, "message %zu: role: expected 1 to %d bytes without NUL, found %zu", i,
                         MAX_ROLE_BYTES, n);
    return CRIA_OK;
}

cria_status dialogue_add(dialogue *d, const char *role, const char *content, size_t n, struct cria_error *err) {
    cria_status status;
    struct message m = {0};
    struct buffer json = buffer_make(MAX_JSON_BYTES);
    if (!utf8_is_valid(content, n) || !utf8_is_valid(role, strlen(role)))
        return ERROR_SET(err, CRIA_FORMAT, "message %zu is not valid UTF-8", d->n);
    TRY(check_role(role, strlen(role), d->n, err));
    TRY(reserve_message(d, err));
    json_writer w = json_writer_make(&json);
    json_write_begin_object(&w);
    json_write_key(&w, "role");
    json_write_text(&w, role);
    json_write_key(&w, "content");
    json_write_string(&w, content, n);
    json_write_end_object(&w);
    TRY(buffer_status(&json, "a message", err));
    m = (struct message){.role = alloc_text(role, strlen(role)), .content = alloc_text(content, n), .n_content = n};
    m.json = buffer_take(&json);
    if (!m.role || !m.content || !m.json) {
        status = ERROR_NOMEM(err, n, "a message");
        goto out;
    }
    d->messages[d->n++] = m;
    m = (struct message){0};
out:
    buffer_free(&json);
    free_message(&m);
    return status;
}

/* ---- from JSON ---- */

static cria_status read_content(json_reader *r, struct message *m, size_t i_message, struct cria_error *err) {
    struct json_text t;
    cria_status status;
    switch (json_peek(r)) {
        case JSON_STRING:
            TRY(json_read_string(r, &t, err));
            alloc_free(m->content);
            m->content = alloc_text(t.bytes, t.n);
            m->n_content = t.n;
            return m->content ? CRIA_OK : ERROR_NOMEM(err, t.n, "a message");
        case JSON_ARRAY:  /* parts */
        case JSON_OBJECT: /* a tool's result */
        case JSON_NULL:
            return json_skip(r, err);
        default:
            TRY(json_skip(r, err));
            return json_fail(r, err, "message %zu: content: expected a string, a list of parts, an object or null",
                             i_message);
    }
out:
    return status;
}

static cria_status read_role(json_reader *r, struct message *m, size_t i_message, struct cria_error *err) {
    struct json_text t;
    cria_status status;
    if (json_peek(r) != JSON_STRING) {
        TRY(json_skip(r, err));
        return json_fail(r, err, "message %zu: role: expected a string", i_message);
    }
    TRY(json_read_string(r, &t, err));
    m->role = alloc_text(t.bytes, t.n);
    if (!m->role) return ERROR_NOMEM(err, t.n, "a message");
    return check_role(m->role, t.n, i_message, err);
out:
    return status;
}

static cria_status read_message_fields(json_reader *r, struct message *m, size_t i_message, struct cria_error *err) {
    cria_status status;
    if (json_peek(r) != JSON_OBJECT) {
        TRY(json_skip(r, err));
        return json_fail(r, err, "message %zu: expected an object with role and content", i_message);
    }
    TRY(json_begin_object(r, err));
    for (;;) {
        struct json_text key;
        bool more;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "role")) TRY(read_role(r, m, i_message, err));
        else if (json_text_is(key, "content")) TRY(read_content(r, m, i_message, err));
        else TRY(json_skip(r, err));
    }
    if (!m->role) return json_fail(r, err, "message %zu: role is missing", i_message);
out:
    return status;
}

static cria_status read_message(dialogue *d, json_reader *r, struct cria_error *err) {
    cria_status status;
    struct message m = {0};
    TRY(reserve_message(d, err));
    json_peek(r); /* moves to the value */
    const size_t from = r->at;
    TRY(read_message_fields(r, &m, d->n, err));
    if (!m.content) m.content = alloc_text("", 0);
    m.json = alloc_text(r->text + from, r->at - from);
    if (!m.content || !m.json) {
        status = ERROR_NOMEM(err, r->at - from, "a message");
        goto out;
    }
    d->messages[d->n++] = m;
    m = (struct message){0};
out:
    free_message(&m);
    return status;
}

static cria_status read_messages(dialogue *d, json_reader *r, struct cria_error *err) {
    cria_status status;
    if (json_peek(r) != JSON_ARRAY) {
        TRY(json_skip(r, err));
        return json_fail(r, err, "messages: expected a list of messages");
    }
    TRY(json_begin_array(r, err));
    for (;;) {
        bool more;
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_message(d, r, err));
    }
out:
    return status;
}

static cria_status read_field(dialogue *d, json_reader *r, struct json_text key, struct cria_error *err) {
    cria_status status;
    struct field f = {0};
    if (memchr(key.bytes, '\0', key.n)) return json_fail(r, err, "a field's name holds a NUL");
    TRY(reserve_field(d, err));
    f.key = alloc_text(key.bytes, key.n);
    if (!f.key) {
        status = ERROR_NOMEM(err, key.n, "a dialogue's field");
        goto out;
    }
    json_peek(r); /* moves to the value */
    const size_t from = r->at;
    TRY(json_skip(r, err));
    f.json = alloc_text(r->text + from, r->at - from);
    if (!f.json) {
        status = ERROR_NOMEM(err, r->at - from, "a dialogue's field");
        goto out;
    }
    d->fields[d->n_fields++] = f;
    f = (struct field){0};
out:
    free_field(&f);
    return status;
}

static cria_status read_object(dialogue *d, json_reader *r, struct cria_error *err) {
    cria_status status;
    bool has_messages = false;
    TRY(json_begin_object(r, err));
    for (;;) {
        struct json_text key;
        bool more;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "messages")) {
            has_messages = true;
            TRY(read_messages(d, r, err));
        } else {
            TRY(read_field(d, r, key, err));
        }
    }
    if (!has_messages) return json_fail(r, err, "messages: the field is missing");
out:
    return status;
}

cria_status dialogue_from_json(dialogue **ret, const char *text, size_t n, struct cria_error *err) {
    cria_status status;
    dialogue *d = NULL;
    json_reader r;
    json_reader_init(&r, text, n);
    TRY(dialogue_create(&d, err));
    const enum json_kind kind = json_peek(&r);
    if (kind == JSON_ARRAY) {
        TRY(read_messages(d, &r, err));
    } else if (kind == JSON_OBJECT) {
        TRY(read_object(d, &r, err));
    } else {
        TRY(json_skip(&r, err));
        status = json_fail(&r, err, "expected an object with messages, or a list of messages");
        goto out;
    }
    TRY(json_end(&r, err));
    *ret = d;
    d = NULL;
out:
    json_reader_deinit(&r);
    dialogue_destroy(&d);
    if (status != CRIA_OK) error_prefix(err, "dialogue");
    return status;
}

/* ---- to JSON ---- */

static const struct field *find_field(const dialogue *d, const char *key) {
    for (size_t i = 0; i < d->n_fields; i++)
        if (strcmp(d->fields[i].key, key) == 0) return &d->fields[i];
    return NULL;
}

static void write_key(struct buffer *out, const char *key) {
    json_writer w = json_writer_make(out);
    json_write_text(&w, key);
    buffer_append_text(out, ": ");
}

/* The object without its closing brace. */
static void write_open(const dialogue *d, struct buffer *out) {
    buffer_append_text(out, "{\"messages\": [");
    for (size_t i = 0; i < d->n; i++) {
        if (i) buffer_append_text(out, ", ");
        buffer_append_text(out, d->messages[i].json);
    }
    buffer_append_char(out, ']');
    for (size_t i = 0; i < d->n_fields; i++) {
        buffer_append_text(out, ", ");
        write_key(out, d->fields[i].key);
        buffer_append_text(out, d->fields[i].json);
    }
}

cria_status dialogue_to_json(const dialogue *d, struct buffer *out, struct cria_error *err) {
    write_open(d, out);
    buffer_append_char(out, '}');
    return buffer_status(out, "a dialogue", err);
}

/* ---- prompts ---- */

static void write_default(const dialogue *d, struct buffer *out, const char *key, const char *bytes, size_t n,
                          bool is_json) {
    if (find_field(d, key)) return;
    buffer_append_text(out, ", ");
    write_key(out, key);
    json_writer w = json_writer_make(out);
    if (is_json) buffer_append(out, bytes, n);
    else json_write_string(&w, bytes, n);
}

/* A special token's text under its name; nothing where the tokenizer has none. */
static void write_token(const dialogue *d, struct buffer *out, const char *key, const tokenizer *t, int64_t id) {
    if (id < 0) return;
    const struct text_span span = tokenizer_token(t, (int32_t)id);
    write_default(d, out, key, span.bytes, span.n, false);
}

static void write_today(const dialogue *d, struct buffer *out) {
    char today[32];
    const time_t now = time(NULL);
    struct tm day;
    if (!localtime_r(&now, &day)) return;
    strftime(today, sizeof today, "%Y-%m-%d", &day);
    write_default(d, out, "now", today, strlen(today), false);
}

cria_status dialogue_render(const dialogue *d, const template *tmpl, const tokenizer *t, struct prompt_text *ret,
                            struct cria_error *err) {
    cria_status status;
    struct buffer variables = buffer_make(MAX_JSON_BYTES);
    write_open(d, &variables);
    write_default(d, &variables, "add_generation_prompt", "true", 4, true);
    if (t) {
        write_token(d, &variables, "bos_token", t, tokenizer_bos(t));
        write_token(d, &variables, "eos_token", t, tokenizer_eos(t));
    }
    write_today(d, &variables);
    buffer_append_char(&variables, '}');
    TRY(buffer_status(&variables, "a dialogue", err));
    /* A long dialogue may take more than a short one; the budget stays in proportion to what the caller gave. */
    struct template_budget budget = template_default_budget;
    budget.max_steps += 16 * (uint64_t)variables.n_bytes;
    budget.max_bytes += 24 * variables.n_bytes;
    TRY(template_render(tmpl, buffer_text(&variables), variables.n_bytes, &budget, ret, err));
out:
    buffer_free(&variables);
    return status;
}

cria_status dialogue_encode(const dialogue *d, const template *tmpl, const tokenizer *t, struct token_list *list,
                            struct cria_error *err) {
    cria_status status;
    struct prompt_text prompt = {0};
    struct token_list ids = {0};
    const int64_t bos = tokenizer_bos(t);
    size_t from = 0;
    TRY(dialogue_render(d, tmpl, t, &prompt, err));
    const struct tokenizer_options options = {.trusted = prompt.trusted};
    TRY(tokenizer_encode(t, prompt.text, prompt.n, &options, &ids, NULL, err));
    /* One at the start, whether the template writes it, the tokenizer wants it, or both. */
    if (bos >= 0) {
        while (from < ids.n && ids.ids[from] == bos) from++;
        if (from || tokenizer_adds_bos(t)) TRY(token_list_add(list, (int32_t)bos, err));
    }
    for (size_t i = from; i < ids.n; i++) TRY(token_list_add(list, ids.ids[i], err));
out:
    token_list_free(&ids);
    prompt_text_free(&prompt);
    return status;
}
