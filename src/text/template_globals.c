/* template_globals.c: the functions that every template may call: range, dict, namespace, raise_exception,
 * strftime_now. */
#include <stdio.h>
#include <string.h>

#include "text/template_private.h"

#define MAX_RANGE 100000 /* of jinja2's sandbox */

static cria_status global_range(struct run *r, const struct call *c, struct value *ret) {
    int64_t part[3] = {0, 0, 1};
    if (c->n_named || c->n_args < 1 || c->n_args > 3)
        return template_fail(r, CRIA_FORMAT, "range() takes one to three integers");
    for (size_t i = 0; i < c->n_args; i++) CHECK(template_index(r, &c->args[i], "an argument of range()", &part[i]));
    if (c->n_args == 1) {
        part[1] = part[0];
        part[0] = 0;
    }
    if (part[2] == 0) return template_fail(r, CRIA_FORMAT, "the step of range() must not be zero");
    struct range *range;
    CHECK(template_new(r, 1, sizeof *range, &range));
    *range = (struct range){.start = part[0], .stop = part[1], .step = part[2]};
    const __int128 span = part[2] > 0 ? (__int128)part[1] - part[0] : (__int128)part[0] - part[1];
    const __int128 size = part[2] > 0 ? (__int128)part[2] : -(__int128)part[2];
    const __int128 n = span > 0 ? (span + size - 1) / size : 0;
    if (n > MAX_RANGE) return template_fail(r, CRIA_LIMIT, "range() gives more than %d numbers", MAX_RANGE);
    range->n = (size_t)n;
    *ret = (struct value){.kind = VALUE_RANGE, .trusted = true, .range = range};
    return CRIA_OK;
}

/* Puts the pairs of a mapping or of a sequence of pairs, then the keywords, into a dict. */
static cria_status fill_dict(struct run *r, const struct call *c, struct dict *d, const char *name) {
    if (c->n_args > 1) return template_fail(r, CRIA_FORMAT, "%s() takes at most one positional argument", name);
    if (c->n_args == 1 && c->args[0].kind == VALUE_DICT) {
        const struct dict *from = c->args[0].dict;
        for (size_t i = 0; i < from->n; i++)
            CHECK(template_dict_set(r, d, from->entries[i].key, from->entries[i].value, NULL));
    } else if (c->n_args == 1) {
        struct list *items;
        CHECK(template_elements(r, &c->args[0], &items));
        for (size_t i = 0; i < items->n; i++) {
            struct list *pair;
            CHECK(template_elements(r, &items->items[i], &pair));
            if (pair->n != 2) return template_fail(r, CRIA_FORMAT, "%s() expects pairs", name);
            CHECK(template_dict_set(r, d, pair->items[0], pair->items[1], NULL));
        }
    }
    for (size_t i = 0; i < c->n_named; i++) CHECK(template_dict_set(r, d, c->names[i], c->named[i], NULL));
    return CRIA_OK;
}

static cria_status global_dict(struct run *r, const struct call *c, struct value *ret) {
    struct dict *d;
    CHECK(template_dict_new(r, 0, &d));
    CHECK(fill_dict(r, c, d, "dict"));
    *ret = (struct value){.kind = VALUE_DICT, .trusted = true, .dict = d};
    return CRIA_OK;
}

static cria_status global_namespace(struct run *r, const struct call *c, struct value *ret) {
    struct dict *d;
    CHECK(template_dict_new(r, 0, &d));
    CHECK(fill_dict(r, c, d, "namespace"));
    for (size_t i = 0; i < d->n; i++) {
        const struct value *key = &d->entries[i].key;
        if (key->kind == VALUE_STRING && key->text->n && key->text->bytes[0] == '_')
            return template_fail(r, CRIA_UNSUPPORTED, "a namespace cannot hold a name with an underscore in front");
    }
    *ret = (struct value){.kind = VALUE_NAMESPACE, .trusted = true, .dict = d};
    return CRIA_OK;
}

static cria_status global_raise(struct run *r, const struct call *c, struct value *ret) {
    struct value text;
    (void)ret;
    CHECK(template_print_value(r, &c->args[0], &text));
    const int n = text.text->n < 400 ? (int)text.text->n : 400;
    return template_fail(r, CRIA_USAGE, "the template refuses the dialogue: %.*s", n, text.text->bytes);
}

/* ---- strftime_now ---- */

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static int day_of_year(const struct run *r) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const bool leap = (r->year % 4 == 0 && r->year % 100 != 0) || r->year % 400 == 0;
    return before[r->month - 1] + r->day + (leap && r->month > 2);
}

/* 0 is Sunday. */
static int day_of_week(const struct run *r) {
    const int y = r->year - 1;
    return (y * 365 + y / 4 - y / 100 + y / 400 + day_of_year(r)) % 7;
}

/* What %c stands for, at midnight of the day; zero for a directive that is not known. */
static int directive(const struct run *r, char c, bool unpadded, char room[64]) {
    const char *const two = unpadded ? "%d" : "%02d";
    const size_t n = 64;
    switch (c) {
        case 'Y':
            return snprintf(room, n, "%d", r->year);
        case 'y':
            return snprintf(room, n, "%02d", r->year % 100);
        case 'm':
            return snprintf(room, n, two, r->month);
        case 'd':
            return snprintf(room, n, two, r->day);
        case 'e':
            return snprintf(room, n, unpadded ? "%d" : "%2d", r->day);
        case 'B':
            return snprintf(room, n, "%s", months[r->month - 1]);
        case 'b':
        case 'h':
            return snprintf(room, n, "%.3s", months[r->month - 1]);
        case 'A':
            return snprintf(room, n, "%s", days[day_of_week(r)]);
        case 'a':
            return snprintf(room, n, "%.3s", days[day_of_week(r)]);
        case 'w':
            return snprintf(room, n, "%d", day_of_week(r));
        case 'u':
            return snprintf(room, n, "%d", (day_of_week(r) + 6) % 7 + 1);
        case 'j':
            return snprintf(room, n, unpadded ? "%d" : "%03d", day_of_year(r));
        case 'U':
            return snprintf(room, n, two, (day_of_year(r) + 6 - day_of_week(r)) / 7);
        case 'W':
            return snprintf(room, n, two, (day_of_year(r) + 6 - (day_of_week(r) + 6) % 7) / 7);
        case 'H':
        case 'M':
        case 'S':
            return snprintf(room, n, two, 0);
        case 'I':
            return snprintf(room, n, "12");
        case 'p':
            return snprintf(room, n, "AM");
        case 'F':
            return snprintf(room, n, "%d-%02d-%02d", r->year, r->month, r->day);
        case 'D':
        case 'x':
            return snprintf(room, n, "%02d/%02d/%02d", r->month, r->day, r->year % 100);
        case 'T':
        case 'X':
            return snprintf(room, n, "00:00:00");
        case 'R':
            return snprintf(room, n, "00:00");
        case 'f':
            return snprintf(room, n, "000000");
        case 'c':
            return snprintf(room, n, "%.3s %.3s %2d 00:00:00 %d", days[day_of_week(r)], months[r->month - 1], r->day,
                            r->year);
        case 'Z':
        case 'z':
            room[0] = '\0';
            return 1;
        case 'n':
            room[0] = '\n';
            room[1] = '\0';
            return 1;
        case 't':
            room[0] = '\t';
            room[1] = '\0';
            return 1;
        case '%':
            room[0] = '%';
            room[1] = '\0';
            return 1;
        default:
            return 0;
    }
}

static cria_status global_strftime(struct run *r, const struct call *c, struct value *ret) {
    struct text_block *b;
    char room[64];
    if (c->args[0].kind != VALUE_STRING) return template_fail(r, CRIA_FORMAT, "strftime_now() expects a string");
    const struct text *t = c->args[0].text;
    CHECK(template_block_new(r, t->n * 2, &b));
    for (size_t i = 0; i < t->n; i++) {
        const bool trusted = template_text_trusts(t, i);
        if (t->bytes[i] != '%') {
            CHECK(template_block_add(r, b, t->bytes + i, 1, trusted));
            continue;
        }
        const bool unpadded = i + 2 < t->n && t->bytes[i + 1] == '-';
        i += unpadded ? 2 : 1;
        if (i >= t->n || !directive(r, t->bytes[i], unpadded, room))
            return template_fail(r, CRIA_UNSUPPORTED, "strftime_now() does not know '%%%c'",
                                 i < t->n ? t->bytes[i] : '%');
        CHECK(template_block_word(r, b, room, trusted));
    }
    return template_block_value(r, b, ret);
}

static const struct template_function globals[] = {
    {.name = "range", .fn = global_range, .raw = true},
    {.name = "dict", .fn = global_dict, .raw = true},
    {.name = "namespace", .fn = global_namespace, .raw = true},
    {.name = "raise_exception", .fn = global_raise, .n_required = 1, .parameters = {"message"}},
    {.name = "strftime_now", .fn = global_strftime, .n_required = 1, .parameters = {"format"}},
};

const struct template_function *template_find(const struct template_function *table, size_t n_table, const char *name,
                                              size_t n) {
    for (size_t i = 0; i < n_table; i++)
        if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0) return &table[i];
    return NULL;
}

const struct template_function *template_global_find(const char *name, size_t n) {
    return template_find(globals, sizeof globals / sizeof *globals, name, n);
}
