/* conf_complete.c: completion scripts for bash and zsh, made from the table; see conf.h.
 *
 * Both complete commands (of two words: first the one, then the other), option names, the words of enumerations, pulled
 * models behind -m and where a command takes one, and files elsewhere. */
#include "conf/conf.h"

#include <string.h>

static bool takes(enum conf_command command, const struct conf_option *o) { return o->commands >> command & 1; }

static bool takes_model(const struct conf_command_row *row) {
    return strcmp(row->arguments, "MODEL") == 0 || strcmp(row->arguments, "NAME...") == 0;
}

/* How long the first word of a command's name is. */
static size_t first_word(const char *name) { return strcspn(name, " "); }

static bool is_visible(enum conf_command c) { return !conf_command_row(c)->is_hidden; }

static bool has_two_words(enum conf_command c) {
    const char *name = conf_command_row(c)->name;
    return is_visible(c) && name[first_word(name)];
}

static bool same_first_word(enum conf_command a, enum conf_command b) {
    const char *x = conf_command_row(a)->name, *y = conf_command_row(b)->name;
    return first_word(x) == first_word(y) && strncmp(x, y, first_word(x)) == 0;
}

/* Whether no visible command before c begins with the same word. */
static bool is_first(enum conf_command c) {
    for (enum conf_command other = CONF_COMMAND_NONE + 1; other < c; other++)
        if (is_visible(other) && same_first_word(other, c)) return false;
    return is_visible(c);
}

static void append_bash_values(struct buffer *out) {
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++) {
        const struct conf_option *o = conf_option(id);
        if (o->type == CONF_FLAG) continue;
        buffer_append_format(out, "    --%s", o->name);
        if (o->letter) buffer_append_format(out, "|-%c", o->letter);
        if (id == CONF_MODEL) {
            buffer_append_text(
                out, ") COMPREPLY=($(compgen -f -W \"$(cria list --names 2>/dev/null)\" -- \"$word\")); return ;;\n");
        } else if (o->words) {
            buffer_append_text(out, ") COMPREPLY=($(compgen -W \"");
            for (int i = 0; o->words[i]; i++) buffer_append_format(out, "%s%s", i ? " " : "", o->words[i]);
            buffer_append_text(out, "\" -- \"$word\")); return ;;\n");
        } else {
            buffer_append_format(out, ") %sreturn ;;\n",
                                 o->type == CONF_PATH ? "COMPREPLY=($(compgen -f -- \"$word\")); " : "");
        }
    }
}

static void append_bash_command(struct buffer *out, enum conf_command c) {
    const struct conf_command_row *row = conf_command_row(c);
    buffer_append_format(out, "    \"%s\")\n      options=\"", row->name);
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
        if (takes(c, conf_option(id))) buffer_append_format(out, "--%s ", conf_option(id)->name);
    buffer_append_text(out, "\"");
    if (takes_model(row)) buffer_append_text(out, "\n      names=\"$(cria list --names 2>/dev/null)\"");
    if (c == CONF_COMPLETION) buffer_append_text(out, "\n      names=\"bash zsh\"");
    buffer_append_text(out, " ;;\n");
}

/* What may follow the first word of commands of two. */
static void append_bash_second_words(struct buffer *out) {
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const char *name = conf_command_row(c)->name;
        if (!has_two_words(c) || !is_first(c)) continue;
        buffer_append_format(out, "    %.*s)\n      command=\"$command ${COMP_WORDS[2]}\"\n", (int)first_word(name),
                             name);
        buffer_append_text(out, "      if [ \"$COMP_CWORD\" -eq 2 ]; then\n        COMPREPLY=($(compgen -W \"");
        for (enum conf_command d = c; d < CONF_COMMAND_COUNT; d++)
            if (has_two_words(d) && same_first_word(c, d))
                buffer_append_format(out, "%s ", conf_command_row(d)->name + first_word(name) + 1);
        buffer_append_text(out, "\" -- \"$word\"))\n        return\n      fi ;;\n");
    }
}

static void complete_bash(struct buffer *out) {
    buffer_append_text(out,
                       "# bash completion for cria; use: source <(cria completion bash)\n"
                       "_cria() {\n"
                       "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options= names=\n"
                       "  local command=${COMP_WORDS[1]}\n"
                       "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W \"");
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
        if (is_first(c))
            buffer_append_format(out, "%.*s ", (int)first_word(conf_command_row(c)->name), conf_command_row(c)->name);
    buffer_append_text(out, "--help --version\" -- \"$word\"))\n    return\n  fi\n  case $command in\n");
    append_bash_second_words(out);
    buffer_append_text(out, "  esac\n  case $before in\n");
    append_bash_values(out);
    buffer_append_text(out, "  esac\n  case $command in\n");
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
        if (is_visible(c)) append_bash_command(out, c);
    buffer_append_text(out,
                       "  esac\n"
                       "  case $word in\n"
                       "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
                       "    *) COMPREPLY=($(compgen -f -W \"$names\" -- \"$word\")) ;;\n"
                       "  esac\n"
                       "}\n"
                       "complete -o filenames -F _cria cria\n");
}

/* Text inside a single-quoted zsh specification, where : [ ] and ' mean something. */
static void append_zsh_text(struct buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\'') buffer_append_text(out, "'\\'");
        if (*text == ':' || *text == '[' || *text == ']' || *text == '\\') buffer_append_char(out, '\\');
        buffer_append_char(out, *text);
    }
}

static void append_zsh_option(struct buffer *out, enum conf_id id, const char *dashes, const char *name) {
    const struct conf_option *o = conf_option(id);
    const bool repeats = o->type == CONF_INT_LIST || o->type == CONF_TEXT_LIST || o->type == CONF_PAIR_LIST;
    buffer_append_format(out, " \\\n        '%s%s%s[", repeats ? "*" : "", dashes, name);
    append_zsh_text(out, o->help);
    buffer_append_char(out, ']');
    if (o->type != CONF_FLAG) {
        buffer_append_char(out, ':');
        append_zsh_text(out, o->value);
        buffer_append_char(out, ':');
    }
    if (id == CONF_MODEL) buffer_append_text(out, "_cria_models");
    if (id != CONF_MODEL && o->type == CONF_PATH) buffer_append_text(out, "_files");
    if (o->words) {
        buffer_append_char(out, '(');
        for (int i = 0; o->words[i]; i++) buffer_append_format(out, "%s%s", i ? " " : "", o->words[i]);
        buffer_append_char(out, ')');
    }
    buffer_append_char(out, '\'');
}

static void append_zsh_command(struct buffer *out, enum conf_command c) {
    const struct conf_command_row *row = conf_command_row(c);
    buffer_append_format(out, "    \"%s\")\n      _arguments", row->name);
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++) {
        const struct conf_option *o = conf_option(id);
        const char letter[2] = {o->letter, '\0'};
        if (!takes(c, o)) continue;
        append_zsh_option(out, id, "--", o->name);
        if (o->letter) append_zsh_option(out, id, "-", letter);
    }
    if (takes_model(row)) buffer_append_text(out, " \\\n        '*:model:_cria_models'");
    else if (c == CONF_COMPLETION) buffer_append_text(out, " \\\n        '*:shell:(bash zsh)'");
    else if (*row->arguments) buffer_append_text(out, " \\\n        '*:file:_files'");
    buffer_append_text(out, " ;;\n");
}

/* 'NAME:SUMMARY', an element of an array that _describe reads. */
static void append_zsh_name(struct buffer *out, const char *name, size_t n, const char *summary) {
    buffer_append_format(out, " '%.*s:", (int)n, name);
    append_zsh_text(out, summary);
    buffer_append_char(out, '\'');
}

/* What may follow the first word of commands of two; behind it $command has both. */
static void append_zsh_second_words(struct buffer *out) {
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const size_t n = first_word(conf_command_row(c)->name);
        if (!has_two_words(c) || !is_first(c)) continue;
        buffer_append_format(out, "    %.*s)\n      commands=(", (int)n, conf_command_row(c)->name);
        for (enum conf_command d = c; d < CONF_COMMAND_COUNT; d++) {
            const char *second = conf_command_row(d)->name + n + 1;
            if (has_two_words(d) && same_first_word(c, d))
                append_zsh_name(out, second, strlen(second), conf_command_row(d)->summary);
        }
        buffer_append_text(out,
                           ")\n      if (( CURRENT == 3 )); then _describe command commands; return; fi\n"
                           "      command=\"$command $words[3]\"; shift words; (( CURRENT-- )) ;;\n");
    }
}

static void complete_zsh(struct buffer *out) {
    buffer_append_text(out,
                       "#compdef cria\n"
                       "# zsh completion for cria; use: cria completion zsh > a file _cria in your fpath\n"
                       "_cria_models() { local -a names; names=(${(f)\"$(cria list --names 2>/dev/null)\"}); "
                       "compadd -a names; _files }\n"
                       "_cria() {\n"
                       "  local -a commands=(\n");
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const struct conf_command_row *row = conf_command_row(c);
        if (!is_first(c)) continue;
        buffer_append_text(out, "   ");
        append_zsh_name(out, row->name, first_word(row->name), has_two_words(c) ? "several commands" : row->summary);
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out,
                       "  )\n"
                       "  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
                       "  local command=$words[2]\n"
                       "  case $command in\n");
    append_zsh_second_words(out);
    buffer_append_text(out,
                       "  esac\n"
                       "  shift words; (( CURRENT-- ))\n"
                       "  case $command in\n");
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
        if (is_visible(c)) append_zsh_command(out, c);
    buffer_append_text(out, "  esac\n}\ncompdef _cria cria\n");
}

cria_status conf_completion(struct buffer *out, const char *shell, struct cria_error *err) {
    if (strcmp(shell, "bash") == 0) complete_bash(out);
    else if (strcmp(shell, "zsh") == 0) complete_zsh(out);
    else return ERROR_SET(err, CRIA_USAGE, "expected bash or zsh, found \"%s\"", shell);
    return buffer_status(out, "the completion script", err);
}
