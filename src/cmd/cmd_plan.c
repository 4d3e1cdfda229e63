/* cmd_plan.c: plan train, plan serve, plan site, plan compare: options and files into scenarios, answers out as text,
 * JSON or a page. The planner computes (plan/scenario.h); this file reads and writes. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "plan/plan_page.h"
#include "plan/scenario_text.h"
#include "report/table.h"

enum { MAX_SCENARIOS = 8, MAX_YAML_BYTES = 1 << 20, MAX_TEXT_BYTES = 16 << 20 };

struct plan {
    plan_hardware *hw;
    struct scenario scenarios[MAX_SCENARIOS];
    int n;
    const char *title;               /* of a built-in set, or NULL */
    struct scenario_answer *answers; /* owned */
    struct scenario_lever *levers;   /* owned; SCENARIO_PARAM_COUNT for each */
    struct scenario_told told[MAX_SCENARIOS];
};

static const struct {
    enum conf_id id;
    const char *key;
} keyed_options[] = {
    {CONF_PLAN_MODEL, "model"},       {CONF_PLAN_GPU, "gpu"},
    {CONF_PLAN_GPUS, "gpus"},         {CONF_PLAN_TOKENS, "tokens"},
    {CONF_PLAN_USERS, "users"},       {CONF_PLAN_POWER_CAP, "power-cap"},
    {CONF_PLAN_PLACE, "site"},        {CONF_PLAN_PRECISION, "precision"},
    {CONF_PLAN_SOFTWARE, "software"},
};

static cria_status read_file(struct plan *p, const char *path, struct cria_error *err) {
    char *text = NULL;
    size_t n = 0;
    int n_read = 0;
    cria_status status = file_read(path, MAX_YAML_BYTES, &text, &n, err);
    if (status == CRIA_OK)
        status = scenario_read_yaml(path, text, n, MAX_SCENARIOS - p->n, &p->scenarios[p->n], &n_read, err);
    p->n += n_read;
    alloc_free(text);
    return status;
}

static cria_status read_set(struct plan *p, const char *name, struct cria_error *err) {
    int n = 0;
    if (file_exists(name)) return read_file(p, name, err);
    const cria_status status = scenario_set_open(name, MAX_SCENARIOS - p->n, &p->scenarios[p->n], &n, err);
    p->n += n;
    for (int i = 0; status == CRIA_OK && scenario_set_name(i); i++)
        if (strcmp(scenario_set_name(i), name) == 0) p->title = scenario_set_title(i);
    return status;
}

/* What the command line says on top. */
static cria_status apply_options(struct scenario *s, const struct conf *c, struct cria_error *err) {
    for (size_t i = 0; i < sizeof keyed_options / sizeof *keyed_options; i++) {
        const char *text = conf_text(c, keyed_options[i].id);
        if (!text || !conf_is_set(c, keyed_options[i].id)) continue;
        const cria_status status = scenario_set(s, keyed_options[i].key, text, err);
        if (status != CRIA_OK) return status;
    }
    for (int i = 0; i < conf_count(c, CONF_PLAN_SET); i++) {
        const cria_status status = scenario_set_pair(s, conf_texts(c, CONF_PLAN_SET)[i], err);
        if (status != CRIA_OK) {
            error_prefix(err, "--set");
            return status;
        }
    }
    return CRIA_OK;
}

static cria_status collect(struct plan *p, const struct conf *c, enum scenario_kind kind, struct cria_error *err) {
    const char *file = conf_text(c, CONF_PLAN_SCENARIO);
    cria_status status = CRIA_OK;
    if (kind == SCENARIO_NONE) {
        if (c->n_arguments == 0)
            return ERROR_SET(err, CRIA_USAGE,
                             "compare what? A YAML file of scenarios, or a built-in set: power, "
                             "llama3, llama4, 350k, 500m-users");
        for (int i = 0; i < c->n_arguments; i++) TRY(read_set(p, c->arguments[i], err));
    } else if (file) {
        TRY(read_file(p, file, err));
        if (p->n != 1 || p->scenarios[0].kind != kind)
            TRY(ERROR_SET(err, CRIA_USAGE, "%s: expected one scenario of kind %s; plan compare takes others", file,
                          scenario_kind_name(kind)));
    } else {
        scenario_init(&p->scenarios[0], kind, scenario_kind_name(kind));
        p->n = 1;
    }
    for (int i = 0; i < p->n; i++) TRY(apply_options(&p->scenarios[i], c, err));
out:
    return status;
}

static cria_status answer(struct plan *p, struct cria_error *err) {
    cria_status status = CRIA_OK;
    p->answers = alloc_zeroed((size_t)p->n, sizeof *p->answers);
    p->levers = alloc_zeroed((size_t)p->n * SCENARIO_PARAM_COUNT, sizeof *p->levers);
    if (!p->answers || !p->levers) return ERROR_NOMEM(err, (size_t)p->n * sizeof *p->answers, "the plan");
    for (int i = 0; i < p->n; i++) {
        struct scenario_told *t = &p->told[i];
        struct scenario_lever *levers = &p->levers[i * SCENARIO_PARAM_COUNT];
        TRY(scenario_evaluate(&p->scenarios[i], p->hw, false, &p->answers[i], err));
        TRY(scenario_sensitivity(&p->answers[i], p->hw, scenario_main_figure(p->scenarios[i].kind), levers,
                                 &t->n_levers, err));
        t->answer = &p->answers[i];
        t->levers = levers;
    }
out:
    return status;
}

static cria_status write_page(const struct plan *p, const char *path, struct cria_error *err) {
    struct page page = page_make();
    cria_status status;
    TRY(cmd_check_target(path, err));
    plan_page_write(&page, p->title, p->told, p->n);
    TRY(page_status(&page, err));
    TRY(file_write_atomic(path, page.out.data, page.out.n_bytes, err));
out:
    page_free(&page);
    return status;
}

static cria_status tell(const struct plan *p, const struct conf *c, struct cria_error *err) {
    struct buffer out = buffer_make(MAX_TEXT_BYTES);
    cria_status status = CRIA_OK;
    if (conf_text(c, CONF_PLAN_HTML)) TRY(write_page(p, conf_text(c, CONF_PLAN_HTML), err));
    if (conf_flag(c, CONF_PLAN_JSON)) {
        scenario_text_json(&out, p->told, p->n);
        TRY(cmd_write_line(&out, err));
    } else {
        if (p->title) buffer_append_format(&out, "%s\n", p->title);
        TRY(p->n == 1 ? scenario_text_write(&out, &p->told[0], err) : scenario_text_compare(&out, p->told, p->n, err));
        TRY(cmd_write_buffer(&out, err));
    }
out:
    buffer_free(&out);
    return status;
}

static cria_status tell_keys(enum scenario_kind kind, struct cria_error *err) {
    struct table t = table_make();
    struct buffer out = buffer_make(MAX_TEXT_BYTES);
    cria_status status;
    static const char *const columns[] = {"key", "default", "what", "why"};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) table_column(&t, columns[i], TABLE_LEFT);
    for (int i = 0; i < SCENARIO_PARAM_COUNT; i++) {
        const struct scenario_param_row *row = scenario_param_row((enum scenario_param)i);
        char value[64];
        if (kind != SCENARIO_NONE && !(row->kinds & 1u << kind)) continue;
        scenario_text_value((enum scenario_param)i, row->fallback, value);
        table_cell(&t, "%s", row->key);
        table_cell(&t, "%s", value);
        table_cell(&t, "%s", row->what);
        table_cell(&t, "%s", row->source ? row->source : "");
    }
    TRY(table_status(&t, err));
    table_write_text(&out, &t, 0);
    TRY(cmd_write_buffer(&out, err));
out:
    table_free(&t);
    buffer_free(&out);
    return status;
}

static cria_status run(const struct conf *c, enum scenario_kind kind, struct cria_error *err) {
    struct plan *p = NULL;
    cria_status status;
    if (conf_flag(c, CONF_PLAN_KEYS)) return tell_keys(kind, err);
    p = ALLOC_NEW(struct plan);
    if (!p) return ERROR_NOMEM(err, sizeof *p, "the plan");
    TRY(collect(p, c, kind, err));
    TRY(hardware_open(&p->hw, conf_text(c, CONF_PLAN_HARDWARE), err));
    TRY(answer(p, err));
    TRY(tell(p, c, err));
out:
    alloc_free(p->answers);
    alloc_free(p->levers);
    hardware_close(&p->hw);
    alloc_free(p);
    return status;
}

cria_status cmd_plan_train(const struct conf *c, struct cria_error *err) { return run(c, SCENARIO_TRAIN, err); }

cria_status cmd_plan_serve(const struct conf *c, struct cria_error *err) { return run(c, SCENARIO_SERVE, err); }

cria_status cmd_plan_site(const struct conf *c, struct cria_error *err) { return run(c, SCENARIO_SITE, err); }

cria_status cmd_plan_compare(const struct conf *c, struct cria_error *err) { return run(c, SCENARIO_NONE, err); }
