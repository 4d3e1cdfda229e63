/* conf_help.c: --help and docs/OPTIONS.md, made from the table; see conf.h. Lines have at most HELP_COLUMNS columns. */
#include "conf/conf.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMNS = 100, LEFT_COLUMNS = 30 };

static const char *const group_titles[CONF_GROUP_COUNT] = {
    [CONF_GROUP_INPUT] = "Input",   [CONF_GROUP_SAMPLING] = "Choosing tokens", [CONF_GROUP_RUNNING] = "Running",
    [CONF_GROUP_OUTPUT] = "Output", [CONF_GROUP_GENERAL] = "General",
};

/* Appends text, broken at spaces, so that lines after the first begin at column `indent`; the cursor is at column `at`.
 */
static void append_wrapped(struct buffer *out, const char *text, int at, int indent) {
    bool is_first = true;
    while (*text) {
        const int n = (int)strcspn(text, " ");
        if (!is_first && at + 1 + n > HELP_COLUMNS) {
            buffer_append_format(out, "\n%*s", indent, "");
            at = indent;
        } else if (!is_first) {
            buffer_append_char(out, ' ');
            at++;
        }
        buffer_append(out, text, (size_t)n);
        at += n;
        text += n;
        text += strspn(text, " ");
        is_first = false;
    }
    buffer_append_char(out, '\n');
}

/* The words of an enumeration as "a|b|c", else what the table calls the value; "" for a flag. */
static void value_name(char *out, size_t n, const struct conf_option *o) {
    out[0] = '\0';
    if (o->type == CONF_FLAG) return;
    if (!o->words) {
        snprintf(out, n, "%s", o->value);
        return;
    }
    for (int i = 0; o->words[i]; i++) {
        const size_t used = strlen(out);
        snprintf(out + used, n - used, "%s%s", i ? "|" : "", o->words[i]);
    }
}

static void help_text(char *out, size_t n, const struct conf_option *o, enum conf_command command) {
    const char *fallback = command == CONF_CHAT && o->chat_fallback ? o->chat_fallback : o->fallback;
    const char *shown = fallback ? fallback : o->fallback_help;
    snprintf(out, n, shown ? "%s [%s]" : "%s", o->help, shown);
}

static void append_option(struct buffer *out, const struct conf_option *o, enum conf_command command) {
    char value[64], left[128], help[512];
    value_name(value, sizeof value, o);
    const int n_letter =
        o->letter ? snprintf(left, sizeof left, "  -%c, ", o->letter) : snprintf(left, sizeof left, "      ");
    int n = n_letter +
            snprintf(left + n_letter, sizeof left - (size_t)n_letter, "--%s%s%s", o->name, *value ? " " : "", value);
    help_text(help, sizeof help, o, command);
    buffer_append_text(out, left);
    if (n > LEFT_COLUMNS - 2) {
        buffer_append_char(out, '\n');
        n = 0;
    }
    buffer_append_format(out, "%*s", LEFT_COLUMNS - n, "");
    append_wrapped(out, help, LEFT_COLUMNS, LEFT_COLUMNS);
}

static bool has_options(enum conf_command command, enum conf_group group) {
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
        if (conf_option(id)->group == group && conf_option(id)->commands >> command & 1) return true;
    return false;
}

static void append_lines(struct buffer *out, const char *lines, const char *indent) {
    while (*lines) {
        const int n = (int)strcspn(lines, "\n");
        buffer_append_format(out, "%s%.*s\n", indent, n, lines);
        lines += n + (lines[n] == '\n');
    }
}

void conf_help_command(struct buffer *out, enum conf_command command) {
    const struct conf_command_row *row = conf_command_row(command);
    buffer_append_format(out, "cria %s: %s\n\nUsage: cria %s%s%s [options]\n", row->name, row->summary, row->name,
                         *row->arguments ? " " : "", row->arguments);
    if (*row->details) buffer_append_char(out, '\n');
    append_lines(out, row->details, "");
    for (enum conf_group group = CONF_GROUP_NONE + 1; group < CONF_GROUP_COUNT; group++) {
        if (!has_options(command, group)) continue;
        buffer_append_format(out, "\n%s\n", group_titles[group]);
        for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++) {
            const struct conf_option *o = conf_option(id);
            if (o->group == group && o->commands >> command & 1) append_option(out, o, command);
        }
    }
    if (*row->examples) buffer_append_text(out, "\nExamples\n");
    append_lines(out, row->examples, "  ");
}

void conf_help_program(struct buffer *out, const char *version) {
    buffer_append_format(
        out, "cria %s: Llama-family language models in one arithmetic\n\nUsage: cria COMMAND [options]\n\n", version);
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const struct conf_command_row *row = conf_command_row(c);
        if (!row->is_hidden) buffer_append_format(out, "  %-15s %s\n", row->name, row->summary);
    }
    buffer_append_text(
        out, "\ncria COMMAND --help shows a command's options. First steps: cria pull smollm2, then cria chat.\n");
}

bool conf_help_family(struct buffer *out, const char *first) {
    const size_t n = strlen(first);
    bool is_family = false;
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const struct conf_command_row *row = conf_command_row(c);
        if (row->is_hidden || strncmp(row->name, first, n) != 0 || row->name[n] != ' ') continue;
        if (!is_family) buffer_append_format(out, "Usage: cria %s COMMAND [options]\n\n", first);
        buffer_append_format(out, "  cria %-16s %s\n", row->name, row->summary);
        is_family = true;
    }
    if (is_family) buffer_append_format(out, "\ncria %s COMMAND --help shows a command's options.\n", first);
    return is_family;
}

static void append_cell(struct buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') buffer_append_char(out, '\\');
        buffer_append_char(out, *text);
    }
}

static void append_range(struct buffer *out, const struct conf_option *o) {
    if (o->type == CONF_INT && o->int_max == INT64_MAX) buffer_append_format(out, "from %lld", (long long)o->int_min);
    if (o->type == CONF_INT && o->int_max != INT64_MAX)
        buffer_append_format(out, "%lld to %lld", (long long)o->int_min, (long long)o->int_max);
    if (o->type == CONF_REAL) buffer_append_format(out, "%g to %g", o->real_min, o->real_max);
}

static void append_markdown_row(struct buffer *out, const struct conf_option *o, enum conf_command command) {
    char value[64], help[512];
    value_name(value, sizeof value, o);
    help_text(help, sizeof help, o, command);
    buffer_append_text(out, "| `");
    if (o->letter) buffer_append_format(out, "-%c`, `", o->letter);
    buffer_append_format(out, "--%s%s", o->name, *value ? " " : "");
    append_cell(out, value);
    buffer_append_text(out, "` | ");
    append_range(out, o);
    buffer_append_format(out, " | %s | ", o->changes_results ? "yes" : "");
    append_cell(out, help);
    buffer_append_text(out, " |\n");
}

void conf_help_markdown(struct buffer *out) {
    buffer_append_text(
        out,
        "# Options\n\nMade by `cria options --markdown` from the option table (`src/conf`); a test "
        "holds this page to it.\nDefaults stand in brackets. \"Result\" says whether the option is part of what a "
        "result depends on; the others change\nspeed or presentation and never a bit of a result.\n");
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const struct conf_command_row *row = conf_command_row(c);
        if (row->is_hidden) continue;
        buffer_append_format(out, "\n## cria %s%s%s\n\n%c%s.\n", row->name, *row->arguments ? " " : "", row->arguments,
                             row->summary[0] - 'a' + 'A', row->summary + 1);
        if (*row->details) buffer_append_char(out, '\n');
        append_lines(out, row->details, "");
        buffer_append_text(out, "\n| option | range | result | meaning |\n| --- | --- | --- | --- |\n");
        for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
            if (conf_option(id)->commands >> c & 1) append_markdown_row(out, conf_option(id), c);
        if (!*row->examples) continue;
        buffer_append_char(out, '\n');
        append_lines(out, row->examples, "    ");
    }
}
