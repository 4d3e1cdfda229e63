/* hardware.c: reading the hardware tables (see hardware.h). Looking rows up is in hardware_find.c.
 *
 * A YAML file has up to four mappings, chips, nodes, networks and sites; each of their members is a row by its key, and
 * each member of a row is a field by the tables below. Unknown names are refused: a misspelled figure is not a missing
 * one. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "conf/conf_yaml.h"
#include "plan/hardware_embed.h"
#include "plan/hardware_rows.h"

enum field_kind { FIELD_TEXT, FIELD_REAL, FIELD_COUNT, FIELD_FLAG };

struct field {
    const char *name;
    size_t offset, n_bytes; /* n_bytes: of a text */
    enum field_kind kind;
    double scale; /* from the file's unit to the struct's */
};

#define TEXT_FIELD(type, member) \
    { #member, offsetof(struct type, member), sizeof(((struct type *)0)->member), FIELD_TEXT, 0 }
#define REAL_FIELD(type, name, member, scale) \
    { name, offsetof(struct type, member), 0, FIELD_REAL, scale }
#define COUNT_FIELD(type, member) \
    { #member, offsetof(struct type, member), 0, FIELD_COUNT, 1 }

static const struct field chip_fields[] = {
    TEXT_FIELD(plan_chip, name),
    TEXT_FIELD(plan_chip, aliases),
    TEXT_FIELD(plan_chip, node),
    TEXT_FIELD(plan_chip, source),
    REAL_FIELD(plan_chip, "launch_year", launch_year, 1),
    REAL_FIELD(plan_chip, "kernels_year", kernels_year, 1),
    REAL_FIELD(plan_chip, "tdp_watts", tdp_watts, 1),
    REAL_FIELD(plan_chip, "price_usd", price_usd, 1),
    REAL_FIELD(plan_chip, "rent_usd_per_hour", rent_usd_per_hour, 1),
    REAL_FIELD(plan_chip, "memory_gb", memory_bytes, 1e9),
    REAL_FIELD(plan_chip, "memory_gb_per_s", memory_bytes_per_s, 1e9),
    REAL_FIELD(plan_chip, "peak_fp32", peak_flop_per_s[PLAN_FP32], 1e12),
    REAL_FIELD(plan_chip, "peak_tf32", peak_flop_per_s[PLAN_TF32], 1e12),
    REAL_FIELD(plan_chip, "peak_bf16", peak_flop_per_s[PLAN_BF16], 1e12),
    REAL_FIELD(plan_chip, "peak_fp8", peak_flop_per_s[PLAN_FP8], 1e12),
    REAL_FIELD(plan_chip, "peak_fp4", peak_flop_per_s[PLAN_FP4], 1e12),
    REAL_FIELD(plan_chip, "peak_int8", peak_flop_per_s[PLAN_INT8], 1e12),
    REAL_FIELD(plan_chip, "matmul_fp32", matmul_flop_per_s[PLAN_FP32], 1e12),
    REAL_FIELD(plan_chip, "matmul_bf16", matmul_flop_per_s[PLAN_BF16], 1e12),
    REAL_FIELD(plan_chip, "matmul_fp8", matmul_flop_per_s[PLAN_FP8], 1e12),
    REAL_FIELD(plan_chip, "matmul_fp4", matmul_flop_per_s[PLAN_FP4], 1e12),
    REAL_FIELD(plan_chip, "attention", attention_flop_per_s, 1e12),
    REAL_FIELD(plan_chip, "attention_first", attention_first_flop_per_s, 1e12),
    REAL_FIELD(plan_chip, "link_gb_per_s", link_bytes_per_s, 1e9),
    COUNT_FIELD(plan_chip, link_chips),
    {"is_cpu", offsetof(struct plan_chip, is_cpu), 0, FIELD_FLAG, 0},
};

static const struct field node_fields[] = {
    TEXT_FIELD(plan_node, name),
    TEXT_FIELD(plan_node, chip),
    TEXT_FIELD(plan_node, network),
    TEXT_FIELD(plan_node, source),
    COUNT_FIELD(plan_node, n_chips),
    REAL_FIELD(plan_node, "host_watts", host_watts, 1),
    REAL_FIELD(plan_node, "idle_watts", idle_watts, 1),
    REAL_FIELD(plan_node, "nameplate_watts", nameplate_watts, 1),
    REAL_FIELD(plan_node, "measured_load_watts", measured_load_watts, 1),
    REAL_FIELD(plan_node, "price_usd", price_usd, 1),
    REAL_FIELD(plan_node, "host_memory_gb", host_memory_bytes, 1e9),
};

static const struct field network_fields[] = {
    TEXT_FIELD(plan_network, name),
    TEXT_FIELD(plan_network, source),
    REAL_FIELD(plan_network, "gb_per_s_per_chip", bytes_per_s_per_chip, 1e9),
    REAL_FIELD(plan_network, "latency_us", latency_s, 1e-6),
    REAL_FIELD(plan_network, "oversubscription", oversubscription, 1),
    COUNT_FIELD(plan_network, pod_chips),
    REAL_FIELD(plan_network, "watts_per_chip", watts_per_chip, 1),
    REAL_FIELD(plan_network, "price_usd_per_chip", price_usd_per_chip, 1),
};

static const struct field site_fields[] = {
    TEXT_FIELD(plan_site, name),
    TEXT_FIELD(plan_site, source),
    REAL_FIELD(plan_site, "pue", pue, 1),
    REAL_FIELD(plan_site, "usd_per_kwh", usd_per_kwh, 1),
    REAL_FIELD(plan_site, "carbon_g_per_kwh", carbon_g_per_kwh, 1),
    REAL_FIELD(plan_site, "capital_usd_per_watt", capital_usd_per_watt, 1),
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* One kind of row. Every row struct begins with its key. */
static const struct kind {
    const char *name;
    const struct field *fields;
    size_t n_fields, row_bytes;
} kinds[HARDWARE_KIND_COUNT] = {
    [HARDWARE_CHIP] = {"chips", chip_fields, N_OF(chip_fields), sizeof(struct plan_chip)},
    [HARDWARE_NODE] = {"nodes", node_fields, N_OF(node_fields), sizeof(struct plan_node)},
    [HARDWARE_NETWORK] = {"networks", network_fields, N_OF(network_fields), sizeof(struct plan_network)},
    [HARDWARE_SITE] = {"sites", site_fields, N_OF(site_fields), sizeof(struct plan_site)},
};

/* ---- rows ---- */

static char *find_key(struct hardware_table *t, size_t row_bytes, const char *key) {
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->rows + i * row_bytes, key) == 0) return t->rows + i * row_bytes;
    return NULL;
}

/* The row of a key, made where it is new. */
static cria_status row_of(struct hardware_table *t, size_t row_bytes, const char *key, char **ret,
                          struct cria_error *err) {
    char *row = find_key(t, row_bytes, key);
    if (!row) {
        char *rows = alloc_resize(t->rows, t->n + 1, row_bytes);
        if (!rows) return ERROR_NOMEM(err, (t->n + 1) * row_bytes, "the hardware table");
        t->rows = rows;
        row = rows + t->n++ * row_bytes;
        memset(row, 0, row_bytes);
        memcpy(row, key, strlen(key) + 1);
    }
    *ret = row;
    return CRIA_OK;
}

static cria_status set_number(const struct field *f, char *at, const char *value, struct cria_error *err) {
    char *end;
    errno = 0;
    double x = strtod(value, &end);
    if (end == value || *end || errno || !isfinite(x) || x < 0 || x > 1e15)
        return ERROR_SET(err, CRIA_FORMAT, "%s: expected a number from 0 to 1e15, found \"%s\"", f->name, value);
    if (f->kind == FIELD_COUNT) {
        if (x != floor(x) || x < 1)
            return ERROR_SET(err, CRIA_FORMAT, "%s: expected a count of at least 1, found \"%s\"", f->name, value);
        *(int64_t *)at = (int64_t)x;
    } else {
        *(double *)at = x * f->scale;
    }
    return CRIA_OK;
}

static cria_status set_field(const struct field *f, char *row, const char *value, struct cria_error *err) {
    char *at = row + f->offset;
    if (f->kind == FIELD_REAL || f->kind == FIELD_COUNT) return set_number(f, at, value, err);
    if (f->kind == FIELD_FLAG) {
        bool is_true = strcmp(value, "true") == 0;
        if (!is_true && strcmp(value, "false") != 0)
            return ERROR_SET(err, CRIA_FORMAT, "%s: expected true or false, found \"%s\"", f->name, value);
        *(bool *)at = is_true;
        return CRIA_OK;
    }
    size_t n = strlen(value);
    if (n >= f->n_bytes)
        return ERROR_SET(err, CRIA_LIMIT, "%s: %zu bytes of text; at most %zu fit", f->name, n, f->n_bytes - 1);
    memcpy(at, value, n + 1);
    return CRIA_OK;
}

/* One value of a file: "chips.h100-sxm.tdp_watts" = "700". */
static cria_status take_item(plan_hardware *hw, const struct conf_yaml_item *item, struct cria_error *err) {
    /* What `plan calibrate` measured beside the chip stands in the same file (machine.h). */
    if (strncmp(item->path, "machine.", 8) == 0) return CRIA_OK;
    const char *dot = strchr(item->path, '.');
    const char *second = dot ? strchr(dot + 1, '.') : NULL;
    if (!second || strchr(second + 1, '.'))
        return ERROR_SET(err, CRIA_FORMAT, "%s: expected KIND.KEY.FIELD, such as chips.h100-sxm.tdp_watts", item->path);
    size_t k = 0, n_kind = (size_t)(dot - item->path), n_key = (size_t)(second - dot - 1);
    while (k < HARDWARE_KIND_COUNT && (strncmp(kinds[k].name, item->path, n_kind) != 0 || kinds[k].name[n_kind])) k++;
    if (k == HARDWARE_KIND_COUNT)
        return ERROR_SET(err, CRIA_FORMAT, "%s: expected chips, nodes, networks or sites", item->path);
    char key[PLAN_KEY_BYTES];
    if (n_key >= sizeof key)
        return ERROR_SET(err, CRIA_LIMIT, "%s: the key has %zu bytes; at most %zu fit", item->path, n_key,
                         sizeof key - 1);
    memcpy(key, dot + 1, n_key);
    key[n_key] = 0;
    char *row;
    cria_status status = row_of(&hw->tables[k], kinds[k].row_bytes, key, &row, err);
    if (status != CRIA_OK) return status;
    for (size_t i = 0; i < kinds[k].n_fields; i++)
        if (strcmp(kinds[k].fields[i].name, second + 1) == 0)
            return set_field(&kinds[k].fields[i], row, item->value, err);
    return ERROR_SET(err, CRIA_FORMAT, "%s: there is no such figure", item->path);
}

static cria_status take_text(plan_hardware *hw, const char *name, const char *text, size_t n, struct cria_error *err) {
    struct conf_yaml *y = NULL;
    cria_status status = conf_yaml_parse(&y, name, text, n, err);
    for (int i = 0; status == CRIA_OK && i < y->n_items; i++) {
        status = take_item(hw, &y->items[i], err);
        if (status != CRIA_OK) error_prefix(err, "%s:%d", name, y->items[i].line);
    }
    conf_yaml_destroy(&y);
    return status;
}

/* What a step's time divides by has to be there; the rest may be unknown. */
static cria_status check_chips(const plan_hardware *hw, struct cria_error *err) {
    const struct plan_chip *c;
    for (size_t i = 0; (c = hardware_chip_at(hw, i)); i++) {
        if (c->memory_bytes <= 0 || c->memory_bytes_per_s <= 0 || c->link_bytes_per_s <= 0 || c->link_chips < 1 ||
            (c->peak_flop_per_s[PLAN_BF16] <= 0 && c->peak_flop_per_s[PLAN_FP32] <= 0))
            return ERROR_SET(err, CRIA_FORMAT,
                             "chips.%s: memory_gb, memory_gb_per_s, link_gb_per_s, link_chips and peak_bf16 or "
                             "peak_fp32 have to be given",
                             c->key);
    }
    const struct plan_node *n;
    for (size_t i = 0; (n = hardware_node_at(hw, i)); i++)
        if (n->n_chips < 1) return ERROR_SET(err, CRIA_FORMAT, "nodes.%s: n_chips has to be given", n->key);
    const struct plan_network *w;
    for (size_t i = 0; (w = hardware_network_at(hw, i)); i++)
        if (w->bytes_per_s_per_chip <= 0)
            return ERROR_SET(err, CRIA_FORMAT, "networks.%s: gb_per_s_per_chip has to be given", w->key);
    return CRIA_OK;
}

cria_status hardware_open(plan_hardware **ret, const char *path, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *text = NULL;
    plan_hardware *hw = ALLOC_NEW(plan_hardware);
    if (!hw) return ERROR_NOMEM(err, sizeof *hw, "the hardware tables");
    const struct hardware_embedded *file;
    for (size_t i = 0; (file = hardware_embed_file(i)); i++)
        TRY(take_text(hw, file->name, file->begin, (size_t)(file->end - file->begin), err));
    if (path) {
        size_t n;
        TRY(file_read(path, CONF_YAML_BYTES, &text, &n, err));
        TRY(take_text(hw, path, text, n, err));
    }
    TRY(check_chips(hw, err));
    *ret = hw;
    hw = NULL;
out:
    alloc_free(text);
    hardware_close(&hw);
    return status;
}

void hardware_close(plan_hardware **hw) {
    if (!*hw) return;
    for (size_t k = 0; k < HARDWARE_KIND_COUNT; k++) alloc_free((*hw)->tables[k].rows);
    alloc_free(*hw);
    *hw = NULL;
}

static const void *row_at(const plan_hardware *hw, enum hardware_kind k, size_t i) {
    return i < hw->tables[k].n ? hw->tables[k].rows + i * kinds[k].row_bytes : NULL;
}

const struct plan_chip *hardware_chip_at(const plan_hardware *hw, size_t i) { return row_at(hw, HARDWARE_CHIP, i); }
const struct plan_node *hardware_node_at(const plan_hardware *hw, size_t i) { return row_at(hw, HARDWARE_NODE, i); }
const struct plan_network *hardware_network_at(const plan_hardware *hw, size_t i) {
    return row_at(hw, HARDWARE_NETWORK, i);
}
const struct plan_site *hardware_site_at(const plan_hardware *hw, size_t i) { return row_at(hw, HARDWARE_SITE, i); }
