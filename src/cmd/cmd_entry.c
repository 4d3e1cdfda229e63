/* cmd_entry.c: see cmd_entry.h. */
#include "cmd/cmd_entry.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

bool cmd_lines_next(struct cmd_lines *l) {
    while (l->at < l->n) {
        const char *start = l->text + l->at;
        const char *newline = memchr(start, '\n', l->n - l->at);
        size_t n = newline ? (size_t)(newline - start) : l->n - l->at;
        l->at += n + (newline != NULL);
        l->number++;
        if (n && start[n - 1] == '\r') n--;
        bool is_blank = true;
        for (size_t i = 0; i < n && is_blank; i++) is_blank = start[i] == ' ' || start[i] == '\t';
        if (is_blank) continue;
        l->line = start;
        l->n_line = n;
        return true;
    }
    return false;
}

int64_t cmd_lines_count(struct cmd_lines l) {
    int64_t n = 0;
    while (cmd_lines_next(&l)) n++;
    return n;
}

static const char *const kind_keys[] = {
    [CMD_ENTRY_TEXT] = "text", [CMD_ENTRY_IDS] = "ids", [CMD_ENTRY_MESSAGES] = "messages"};

static cria_status read_text(json_reader *r, struct cmd_entry *e, struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    e->text = alloc_text(text.bytes, text.n);
    e->n_text = text.n;
    return e->text ? CRIA_OK : ERROR_NOMEM(err, text.n + 1, "a line's text");
}

static cria_status read_ids(json_reader *r, struct cmd_entry *e, struct cria_error *err) {
    cria_status status;
    TRY(json_begin_array(r, err));
    for (;;) {
        bool more;
        int64_t id;
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(json_read_i64(r, 0, INT32_MAX, &id, err));
        TRY(token_list_add(&e->ids, (int32_t)id, err));
    }
out:
    return status;
}

static cria_status wrong_keys(unsigned allowed, const char *found, struct cria_error *err) {
    char names[64] = "";
    for (unsigned kind = CMD_ENTRY_TEXT; kind <= CMD_ENTRY_MESSAGES; kind++) {
        const size_t used = strlen(names);
        if (allowed >> kind & 1) snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", kind_keys[kind]);
    }
    return ERROR_SET(err, CRIA_FORMAT, "expected an object with one of %s, found %s", names, found);
}

static cria_status read_member(json_reader *r, struct cmd_entry *e, struct json_text key, unsigned allowed,
                               struct cria_error *err) {
    enum cmd_entry_kind kind = CMD_ENTRY_NONE;
    for (enum cmd_entry_kind k = CMD_ENTRY_TEXT; k <= CMD_ENTRY_MESSAGES; k++)
        if (allowed >> k & 1 && json_text_is(key, kind_keys[k])) kind = k;
    if (kind && e->kind) return wrong_keys(allowed, "two of them", err);
    if (kind) e->kind = kind;
    if (kind == CMD_ENTRY_TEXT) return read_text(r, e, err);
    if (kind == CMD_ENTRY_IDS) return read_ids(r, e, err);
    return json_skip(r, err); /* messages are read by the dialogue */
}

cria_status cmd_entry_parse(struct cmd_entry *ret, const char *line, size_t n, unsigned allowed,
                            struct cria_error *err) {
    struct cmd_entry e = {0};
    json_reader r;
    cria_status status;
    json_reader_init(&r, line, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        struct json_text key;
        bool more;
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_member(&r, &e, key, allowed, err));
    }
    TRY(json_end(&r, err));
    if (!e.kind) TRY(wrong_keys(allowed, "none", err));
    *ret = e;
    e = (struct cmd_entry){0};
out:
    cmd_entry_free(&e);
    json_reader_deinit(&r);
    return status;
}

void cmd_entry_free(struct cmd_entry *e) {
    alloc_free(e->text);
    token_list_free(&e->ids);
    *e = (struct cmd_entry){0};
}
