/* conf_parse.c: from words to checked values; see conf.h.
 *
 * Forms: --name VALUE, --name=VALUE, -x VALUE, --flag; "--" ends the options; "-" alone is an argument. The word behind
 * an option that takes a value is its value whatever it looks like, so negative numbers and texts with dashes need no
 * escape. What contradicts itself (an option given twice) is refused, never resolved in silence. */
#include "conf/conf.h"

#include <string.h>

#include "base/alloc.h"
#include "conf/conf_yaml.h"

enum { MAX_NAME = 64 };

static int smaller(int a, int b) { return a < b ? a : b; }

/* Edits (insert, delete, replace, swap neighbours) between two words of less than MAX_NAME bytes; a long one counts as
 * far. */
static int edit_distance(const char *a, const char *b) {
    const int n = (int)strnlen(a, MAX_NAME), m = (int)strnlen(b, MAX_NAME);
    if (n == MAX_NAME || m == MAX_NAME) return MAX_NAME;
    int rows[3][MAX_NAME + 1];
    for (int j = 0; j <= m; j++) rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            row[j] = smaller(smaller(above[j] + 1, row[j - 1] + 1), above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], above2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

/* The better of two candidates for a mistyped word; far ones are no help. */
static void offer(const char *word, const char *candidate, const char **best, int *best_distance) {
    const bool begins = strlen(word) >= 2 && strncmp(candidate, word, strlen(word)) == 0;
    const int distance = begins ? 1 : edit_distance(word, candidate);
    if (distance < *best_distance && (begins || distance <= 1 + (int)strnlen(word, MAX_NAME) / 3)) {
        *best = candidate;
        *best_distance = distance;
    }
}

enum conf_command conf_find_command(const char *name) {
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
        if (strcmp(name, conf_command_row(c)->name) == 0) return c;
    return CONF_COMMAND_NONE;
}

static bool takes(enum conf_command command, enum conf_id id) { return conf_option(id)->commands >> command & 1; }

enum conf_id conf_find_option(enum conf_command command, const char *name) {
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
        if (takes(command, id) && strcmp(name, conf_option(id)->name) == 0) return id;
    return CONF_ID_NONE;
}

static enum conf_id find_letter(enum conf_command command, char letter) {
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
        if (letter && takes(command, id) && conf_option(id)->letter == letter) return id;
    return CONF_ID_NONE;
}

/* Whether some command takes an option of this name. */
static bool is_known_option(const char *name) {
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
        if (conf_find_option(c, name)) return true;
    return false;
}

static const char *nearest_option(enum conf_command command, const char *name) {
    const char *best = NULL;
    int distance = MAX_NAME;
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
        if (takes(command, id)) offer(name, conf_option(id)->name, &best, &distance);
    return best;
}

/* Says which second words may follow the first of a command of two; false where there is no such command. */
static bool name_second_words(const char *first, char *list, size_t n) {
    const size_t n_first = strlen(first);
    list[0] = '\0';
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const char *name = conf_command_row(c)->name;
        if (strncmp(name, first, n_first) != 0 || name[n_first] != ' ') continue;
        strncat(list, *list ? ", " : "", n - strlen(list) - 1);
        strncat(list, name + n_first + 1, n - strlen(list) - 1);
    }
    return *list;
}

cria_status conf_unknown_command(const char *name, struct cria_error *err) {
    const char *best = NULL;
    int distance = MAX_NAME;
    char list[256];
    if (name_second_words(name, list, sizeof list))
        return ERROR_SET(err, CRIA_USAGE, "cria %s needs a second word: %s (cria help %s WORD)", name, list, name);
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
        if (!conf_command_row(c)->is_hidden) offer(name, conf_command_row(c)->name, &best, &distance);
    if (best)
        return ERROR_SET(err, CRIA_USAGE, "unknown command \"%s\"; did you mean \"%s\"? (cria --help lists them)", name,
                         best);
    return ERROR_SET(err, CRIA_USAGE, "unknown command \"%s\"; cria --help lists them", name);
}

static cria_status unknown_option(enum conf_command command, const char *word, const char *name,
                                  struct cria_error *err) {
    const char *command_name = conf_command_row(command)->name;
    if (is_known_option(name))
        return ERROR_SET(err, CRIA_USAGE, "%s: cria %s does not take this option (cria %s --help)", word, command_name,
                         command_name);
    const char *best = nearest_option(command, name);
    if (best)
        return ERROR_SET(err, CRIA_USAGE, "unknown option %s; did you mean --%s? (cria %s --help)", word, best,
                         command_name);
    return ERROR_SET(err, CRIA_USAGE, "unknown option %s (cria %s --help)", word, command_name);
}

static cria_status set_word(struct conf_value *v, const struct conf_option *o, const char *text,
                            struct cria_error *err) {
    char list[256] = "";
    for (int i = 0; o->words[i]; i++) {
        if (strcmp(o->words[i], text) == 0) {
            v->integer = i;
            v->text = o->words[i];
            return CRIA_OK;
        }
        strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, o->words[i], sizeof list - strlen(list) - 1);
    }
    return ERROR_SET(err, CRIA_USAGE, "expected one of %s, found \"%s\"", list, text);
}

/* Makes room for one more entry of entry_bytes; lists double, so most calls allocate nothing. */
static cria_status grow(void **array, int n, size_t entry_bytes, struct cria_error *err) {
    if (n >= CONF_MAX_LIST) return ERROR_SET(err, CRIA_LIMIT, "more than %d entries", CONF_MAX_LIST);
    if (n & (n - 1)) return CRIA_OK;
    const size_t capacity = n ? 2 * (size_t)n : 1;
    void *larger = alloc_resize(*array, capacity, entry_bytes);
    if (!larger) return ERROR_NOMEM(err, capacity * entry_bytes, "an option's list");
    *array = larger;
    return CRIA_OK;
}

static cria_status add_int(struct conf_value *v, const struct conf_option *o, const char *word,
                           struct cria_error *err) {
    cria_status status = grow((void **)&v->integers, v->n, sizeof *v->integers, err);
    if (status == CRIA_OK) status = conf_read_int(word, o->int_min, o->int_max, &v->integers[v->n], err);
    if (status == CRIA_OK) v->n++;
    return status;
}

static cria_status add_pair(struct conf_value *v, const struct conf_option *o, char *word, struct cria_error *err) {
    char *equals = strchr(word, '=');
    if (!equals) return ERROR_SET(err, CRIA_USAGE, "expected %s, found \"%s\"", o->value, word);
    *equals = '\0';
    cria_status status = grow((void **)&v->pairs, v->n, sizeof *v->pairs, err);
    struct conf_pair pair = {0};
    if (status == CRIA_OK) status = conf_read_int(word, o->int_min, o->int_max, &pair.key, err);
    if (status == CRIA_OK) status = conf_read_real(equals + 1, o->real_min, o->real_max, &pair.value, err);
    if (status == CRIA_OK) v->pairs[v->n++] = pair;
    return status;
}

/* Splits text at white space and at commas, which have a piece on both sides, and adds each piece. */
static cria_status add_pieces(struct conf_value *v, const struct conf_option *o, const char *text,
                              struct cria_error *err) {
    static const char space[] = " \t\r\n", ends[] = ", \t\r\n";
    char *copy = alloc_text(text, strlen(text));
    if (!copy) return ERROR_NOMEM(err, strlen(text) + 1, "an option's value");
    cria_status status = CRIA_OK;
    char *word = copy + strspn(copy, space);
    bool wants_more = true;
    while (status == CRIA_OK && (wants_more || *word)) {
        char *end = word + strcspn(word, ends), *next = end + strspn(end, space);
        wants_more = *next == ',';
        if (wants_more) next += 1 + strspn(next + 1, space);
        if (end == word) {
            status = ERROR_SET(err, CRIA_USAGE, "expected %s, found %s", o->value,
                               strpbrk(text, ",") ? "an empty place" : "nothing");
            break;
        }
        *end = '\0';
        status = o->type == CONF_PAIR_LIST ? add_pair(v, o, word, err) : add_int(v, o, word, err);
        word = next;
    }
    alloc_free(copy);
    return status;
}

static cria_status set_value(struct conf_value *v, const struct conf_option *o, const char *text,
                             struct cria_error *err) {
    cria_status status = CRIA_OK;
    switch (o->type) {
        case CONF_FLAG:
            v->integer = 1;
            return CRIA_OK;
        case CONF_INT:
            return conf_read_int(text, o->int_min, o->int_max, &v->integer, err);
        case CONF_REAL:
            return conf_read_real(text, o->real_min, o->real_max, &v->real, err);
        case CONF_WORD:
            return set_word(v, o, text, err);
        case CONF_INT_LIST:
        case CONF_PAIR_LIST:
            return add_pieces(v, o, text, err);
        case CONF_TEXT_LIST:
            status = grow((void **)&v->texts, v->n, sizeof *v->texts, err);
            if (status == CRIA_OK) v->texts[v->n++] = text;
            return status;
        default:
            v->text = text;
            return CRIA_OK;
    }
}

static bool is_list(enum conf_type type) {
    return type == CONF_INT_LIST || type == CONF_PAIR_LIST || type == CONF_TEXT_LIST;
}

cria_status conf_set(struct conf *c, enum conf_id id, const char *text, enum conf_origin origin,
                     struct cria_error *err) {
    const struct conf_option *o = conf_option(id);
    struct conf_value *v = &c->values[id];
    if (v->origin == origin && !is_list(o->type)) return ERROR_SET(err, CRIA_USAGE, "--%s is given twice", o->name);
    const cria_status status = set_value(v, o, text, err);
    if (status != CRIA_OK) {
        error_prefix(err, "--%s", o->name);
        return status;
    }
    v->origin = origin;
    return CRIA_OK;
}

static cria_status set_defaults(struct conf *c, struct cria_error *err) {
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++) {
        const struct conf_option *o = conf_option(id);
        const bool is_chat = c->command == CONF_CHAT && o->chat_fallback;
        const char *text = is_chat ? o->chat_fallback : o->fallback;
        if (!text || !takes(c->command, id)) continue;
        const cria_status status = conf_set(c, id, text, CONF_ORIGIN_DEFAULT, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

/* Reads the option at argv[*i]; *i ends at its last word. */
static cria_status parse_option(struct conf *c, int argc, const char *const *argv, int *i, struct cria_error *err) {
    const char *word = argv[*i], *value = NULL;
    const bool is_long = word[1] == '-';
    char name[MAX_NAME] = "";
    enum conf_id id = CONF_ID_NONE;
    if (is_long) {
        const char *equals = strchr(word, '=');
        const size_t n = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        if (equals) value = equals + 1;
        if (n < sizeof name) memcpy(name, word + 2, n);
        id = conf_find_option(c->command, name);
    } else if (word[2] == '\0') {
        id = find_letter(c->command, word[1]);
    }
    if (!id) return unknown_option(c->command, word, name, err);
    const struct conf_option *o = conf_option(id);
    if (o->type == CONF_FLAG) {
        if (value) return ERROR_SET(err, CRIA_USAGE, "--%s takes no value, found \"%s\"", o->name, value);
    } else if (!value) {
        if (*i + 1 >= argc) return ERROR_SET(err, CRIA_USAGE, "%s needs a value: %s", word, o->value);
        value = argv[++*i];
    }
    return conf_set(c, id, value, CONF_ORIGIN_ARGUMENT, err);
}

/* The option's name of a key: underscores are dashes, "stop[2]" is an entry of "stop". */
static void key_name(const char *key, char *name, size_t n) {
    size_t i = 0;
    for (; key[i] && key[i] != '[' && i + 1 < n; i++) name[i] = key[i] == '_' ? '-' : key[i];
    name[i] = '\0';
}

static bool is_apart(const char *path, const char *const *apart) {
    for (; apart && *apart; apart++) {
        const size_t n = strlen(*apart);
        if (strncmp(path, *apart, n) == 0 && (!path[n] || path[n] == '.' || path[n] == '[')) return true;
    }
    return false;
}

static cria_status set_flag_text(struct conf *c, enum conf_id id, const char *text, struct cria_error *err) {
    if (strcmp(text, "false") == 0) return CRIA_OK;
    if (strcmp(text, "true") != 0)
        return ERROR_SET(err, CRIA_USAGE, "--%s: expected true or false, found \"%s\"", conf_option(id)->name, text);
    return conf_set(c, id, NULL, CONF_ORIGIN_FILE, err);
}

cria_status conf_set_yaml(struct conf *c, const struct conf_yaml *file, const char *const *apart,
                          struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (int i = 0; i < file->n_items && status == CRIA_OK; i++) {
        const struct conf_yaml_item *item = &file->items[i];
        char name[MAX_NAME];
        if (is_apart(item->path, apart)) continue;
        key_name(item->path, name, sizeof name);
        const enum conf_id id = conf_find_option(c->command, name);
        const char *best = id ? NULL : nearest_option(c->command, name);
        if (!id && best)
            status = ERROR_SET(err, CRIA_USAGE, "unknown key \"%s\"; did you mean \"%s\"?", item->path, best);
        else if (!id) status = ERROR_SET(err, CRIA_USAGE, "unknown key \"%s\"", item->path);
        else if (c->values[id].origin == CONF_ORIGIN_ARGUMENT) continue;
        else if (conf_option(id)->type == CONF_FLAG) status = set_flag_text(c, id, item->value, err);
        else status = conf_set(c, id, item->value, CONF_ORIGIN_FILE, err);
        if (status != CRIA_OK) error_prefix(err, "%s, line %d", file->name, item->line);
    }
    return status;
}

static cria_status check_arguments(const struct conf *c, struct cria_error *err) {
    const struct conf_command_row *row = conf_command_row(c->command);
    if (conf_flag(c, CONF_HELP)) return CRIA_OK;
    if (c->n_arguments > row->max_arguments)
        return ERROR_SET(err, CRIA_USAGE, "unexpected argument \"%s\"; usage: cria %s%s%s [options]",
                         c->arguments[row->max_arguments], row->name, *row->arguments ? " " : "", row->arguments);
    if (c->n_arguments < row->min_arguments)
        return ERROR_SET(err, CRIA_USAGE, "%s is missing; usage: cria %s %s [options]", row->arguments, row->name,
                         row->arguments);
    return CRIA_OK;
}

cria_status conf_parse(struct conf *ret, enum conf_command command, int argc, const char *const *argv,
                       struct cria_error *err) {
    struct conf c = {.command = command};
    cria_status status;
    c.arguments = alloc_zeroed((size_t)argc + 1, sizeof *c.arguments);
    if (!c.arguments) return ERROR_NOMEM(err, ((size_t)argc + 1) * sizeof *c.arguments, "the command line");
    TRY(set_defaults(&c, err));
    bool options_ended = false;
    for (int i = 0; i < argc; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0) options_ended = true;
        else if (!options_ended && argv[i][0] == '-' && argv[i][1]) TRY(parse_option(&c, argc, argv, &i, err));
        else c.arguments[c.n_arguments++] = argv[i];
    }
    TRY(check_arguments(&c, err));
    *ret = c;
    return CRIA_OK;
out:
    conf_deinit(&c);
    return status;
}

void conf_deinit(struct conf *c) {
    for (enum conf_id id = CONF_ID_NONE; id < CONF_ID_COUNT; id++) {
        alloc_free(c->values[id].integers);
        alloc_free(c->values[id].texts);
        alloc_free(c->values[id].pairs);
    }
    alloc_free(c->arguments);
    *c = (struct conf){0};
}

static const struct conf_value *value_of(const struct conf *c, enum conf_id id) {
    CRIA_ASSERT(id > CONF_ID_NONE && id < CONF_ID_COUNT);
    return &c->values[id];
}

bool conf_is_set(const struct conf *c, enum conf_id id) { return value_of(c, id)->origin > CONF_ORIGIN_DEFAULT; }
bool conf_flag(const struct conf *c, enum conf_id id) { return value_of(c, id)->integer != 0; }
int64_t conf_int(const struct conf *c, enum conf_id id) { return value_of(c, id)->integer; }
double conf_real(const struct conf *c, enum conf_id id) { return value_of(c, id)->real; }
const char *conf_text(const struct conf *c, enum conf_id id) { return value_of(c, id)->text; }
int conf_count(const struct conf *c, enum conf_id id) { return value_of(c, id)->n; }
const int64_t *conf_ints(const struct conf *c, enum conf_id id) { return value_of(c, id)->integers; }
const char *const *conf_texts(const struct conf *c, enum conf_id id) { return value_of(c, id)->texts; }
const struct conf_pair *conf_pairs(const struct conf *c, enum conf_id id) { return value_of(c, id)->pairs; }
