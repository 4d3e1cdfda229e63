/* scenario.h: a question to the planner as named numbers, and its answer as named figures.
 *
 * A scenario is of one kind (train, serve or site) and holds a value for each parameter of the table in
 * scenario_params.c: key, unit, default, range, and why that is the default. So the command line (--set key=value), a
 * YAML file, the text, the JSON, the page, the comparison and the sensitivities all know the same words. An answer is a
 * list of figures with units and ranges, and what pictures need.
 *
 * Nothing here prints or opens a file. A scenario is plain data; evaluating it is pure. */
#ifndef PLAN_SCENARIO_H
#define PLAN_SCENARIO_H

#include "plan/economics.h"
#include "plan/failures.h"
#include "plan/planner.h"
#include "plan/serving.h"
#include "report/units.h"

enum scenario_kind { SCENARIO_NONE, SCENARIO_TRAIN, SCENARIO_SERVE, SCENARIO_SITE, SCENARIO_KIND_COUNT };

enum scenario_param {
    SCENARIO_GPUS,
    SCENARIO_POWER_CAP,
    /* training */
    SCENARIO_TOKENS,
    SCENARIO_SEQUENCE,
    SCENARIO_BATCH_TOKENS,
    SCENARIO_YEAR,
    SCENARIO_DP,
    SCENARIO_TP,
    SCENARIO_PP,
    SCENARIO_CP,
    SCENARIO_EP,
    SCENARIO_MICRO_BATCH,
    SCENARIO_OTHER_WORK,
    /* failures */
    SCENARIO_FAILURE_SCALE,
    SCENARIO_DETECT,
    SCENARIO_REPLACE,
    SCENARIO_CHECKPOINT_PAUSE,
    SCENARIO_CHECKPOINT_INTERVAL,
    SCENARIO_TRIALS,
    SCENARIO_SEED,
    /* serving */
    SCENARIO_USERS,
    SCENARIO_DAILY_PART,
    SCENARIO_MESSAGES,
    SCENARIO_PROMPT_TOKENS,
    SCENARIO_HISTORY_TOKENS,
    SCENARIO_ANSWER_TOKENS,
    SCENARIO_CACHE_HITS,
    SCENARIO_PEAK,
    SCENARIO_HEADROOM,
    SCENARIO_FIRST_TOKEN,
    SCENARIO_BETWEEN_TOKENS,
    SCENARIO_ENGINE_CHIPS,
    SCENARIO_KV_BYTES,
    SCENARIO_ROUTER_RATE,
    /* power and carbon */
    SCENARIO_LOAD,
    SCENARIO_EXTRA_POWER,
    SCENARIO_CHIP_RATE,
    SCENARIO_CHIP_BANDWIDTH,
    SCENARIO_CHIP_POWER,
    SCENARIO_PUE,
    SCENARIO_KWH_PRICE,
    SCENARIO_CARBON,
    /* money */
    SCENARIO_LEASE,
    SCENARIO_CHIP_PRICE,
    SCENARIO_BUILDING_PRICE,
    SCENARIO_CHIP_YEARS,
    SCENARIO_BUILDING_YEARS,
    SCENARIO_INTEREST,
    SCENARIO_UPKEEP,
    SCENARIO_STAFF,
    SCENARIO_STAFF_PRICE,
    SCENARIO_UTILISATION,
    SCENARIO_TOKEN_PRICE,
    SCENARIO_SOLD_PART,
    SCENARIO_SUBSCRIPTION,
    SCENARIO_PAYING_PART,
    SCENARIO_ADVERTISING,
    SCENARIO_PARAM_COUNT
};

struct scenario_param_row {
    const char *key;
    const char *unit; /* "1" for counts and parts */
    double fallback;  /* 0 where `is_derived`: from the hardware tables, or searched for */
    double min, max;
    unsigned kinds;     /* bits 1 << scenario_kind */
    bool is_derived;    /* 0 means: find it */
    bool is_whole;      /* a count */
    const char *what;   /* one line */
    const char *source; /* why the default; NULL where it is derived */
};

struct scenario {
    char name[64];
    enum scenario_kind kind;
    char model[PLAN_TEXT_BYTES]; /* a preset's name, or a path */
    char gpu[64], site[PLAN_KEY_BYTES], precision[24], software[24];
    double values[SCENARIO_PARAM_COUNT];
    bool is_set[SCENARIO_PARAM_COUNT]; /* by the user; a site's or chip's own figure does not change it */
    struct plan_layout layout;         /* tp 0: searched for; else all but dp, which follows from the chips */
};

const struct scenario_param_row *scenario_param_row(enum scenario_param p);
/* "train" */
const char *scenario_kind_name(enum scenario_kind kind);
/* Defaults of a kind. */
void scenario_init(struct scenario *s, enum scenario_kind kind, const char *name);
/* Sets "key=value" or a key and its value: numbers such as 500M, 15.6T, 30MW, 16384, 5%, 0.9, on a parameter's own
 * unit. The words model, gpu, site, precision, software and name too. RANGE, FORMAT, or NOTFOUND with the nearest key.
 */
CRIA_MUST_CHECK cria_status scenario_set(struct scenario *s, const char *key, const char *text, struct cria_error *err);
CRIA_MUST_CHECK cria_status scenario_set_pair(struct scenario *s, const char *pair, struct cria_error *err);
/* One scenario (its keys at the top, `kind` among them) or several (a list `scenarios`) from YAML text. At most max. */
CRIA_MUST_CHECK cria_status scenario_read_yaml(const char *name, const char *text, size_t n, int max,
                                               struct scenario *ret_rows, int *ret_n, struct cria_error *err);
/* "16384", "500M", "1.5e6", "5%". */
CRIA_MUST_CHECK cria_status scenario_read_number(const char *text, double *ret, struct cria_error *err);

#define SCENARIO_MAX_FIGURES 48
#define SCENARIO_MAX_COSTS 8
#define SCENARIO_MAX_NOTES 24
#define SCENARIO_MAX_BEST 10
#define SCENARIO_MAX_CURVE 24
#define SCENARIO_MAX_FORMATS 10
#define SCENARIO_NOTE_BYTES 512

struct scenario_figure {
    const char *key, *label, *unit;
    enum units_kind kind;
    double value, low, high; /* low = high = 0: no range */
    bool is_headline;
};

struct scenario_cost {
    const char *label;
    double usd;
};

/* The best engine with other numbers: what quantising weights or cache would change. */
struct scenario_format {
    struct serving_format format;
    int64_t engine_chips;
    double batch, tokens_per_s_per_chip, chips; /* chips: that the load would need */
};

/* Points of a curve for a picture. */
struct scenario_curve {
    double x[SCENARIO_MAX_CURVE], y[SCENARIO_MAX_CURVE], z[SCENARIO_MAX_CURVE];
    int n;
};

struct scenario_answer {
    struct scenario question; /* with derived values filled in */
    struct scenario_figure figures[SCENARIO_MAX_FIGURES];
    int n_figures;
    struct scenario_cost costs[SCENARIO_MAX_COSTS];
    int n_costs;
    const char *costs_of;                                /* "a year", "the run" */
    char notes[SCENARIO_MAX_NOTES][SCENARIO_NOTE_BYTES]; /* assumptions with their sources */
    int n_notes;
    struct plan_chip chip; /* the table's, scaled as the scenario says; `train` and `choices` point to it */
    /* training */
    bool has_train;
    struct plan_train train; /* with the layout that was chosen */
    struct plan_candidate best[SCENARIO_MAX_BEST];
    size_t n_best;
    struct failures_job job;
    struct failures_distribution failures;
    struct scenario_curve scaling; /* x chips, y tokens/s, z what it would be without losses */
    /* serving */
    bool has_serving;
    struct serving_choice choices[SCENARIO_MAX_BEST];
    int n_choices;
    struct scenario_format formats[SCENARIO_MAX_FORMATS]; /* fewest chips first; what holds no target is left out */
    int n_formats;
    struct scenario_curve latency; /* x batch, y s between tokens, z output tokens/s of the engine */
    double load_by_hour[24];       /* output tokens/s */
    double watts_by_hour[24];      /* at the meter */
};

/* The answer. Errors name the parameter, model or chip. `is_quick` leaves out what pictures and distributions need. */
CRIA_MUST_CHECK cria_status scenario_evaluate(const struct scenario *s, const plan_hardware *hw, bool is_quick,
                                              struct scenario_answer *ret, struct cria_error *err);
/* The figure, or NULL. */
const struct scenario_figure *scenario_figure(const struct scenario_answer *a, const char *key);

struct scenario_lever {
    enum scenario_param param;
    double at_less, at_more; /* relative change of the figure where the input is 10 percent less, more */
};
/* How a figure follows its inputs, strongest first; each input by itself. ret_rows: SCENARIO_PARAM_COUNT entries. */
CRIA_MUST_CHECK cria_status scenario_sensitivity(const struct scenario_answer *a, const plan_hardware *hw,
                                                 const char *figure, struct scenario_lever *ret_rows, int *ret_n,
                                                 struct cria_error *err);
/* The figure that the sensitivities of a kind are about. */
const char *scenario_main_figure(enum scenario_kind kind);

/* Built-in comparisons: sets of scenarios. The i-th set's name or NULL; its scenarios, at most max. */
const char *scenario_set_name(int i);
const char *scenario_set_title(int i);
CRIA_MUST_CHECK cria_status scenario_set_open(const char *name, int max, struct scenario *ret_rows, int *ret_n,
                                              struct cria_error *err);

#endif
