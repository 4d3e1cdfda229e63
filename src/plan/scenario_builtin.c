/* scenario_builtin.c: the well-known questions as sets of scenarios (scenario.h). Inputs only: every figure that is
 * compared with the published one comes out of the model (tests/plan/test_plan_facts.py). */
#include <string.h>

#include "plan/plan_names.h"
#include "plan/scenario.h"

enum { MAX_PAIRS = 12 };

struct builtin {
    const char *set;
    enum scenario_kind kind;
    const char *name;
    const char *pairs[MAX_PAIRS]; /* as for --set; NULL behind the last */
};

static const struct {
    const char *name, *title;
} sets[] = {
    {"power", "How many megawatts are 100,000 H100, and what would El Capitan's 30 MW feed?"},
    {"llama3", "Llama 3.1 on 15 trillion tokens: days, failures, energy and money on 16,384 H100"},
    {"llama4", "Llama 4 Scout and Maverick: many parameters, 17 billion of them at work"},
    {"350k", "350,000 H100 as one site"},
    {"500m-users", "500 million users a month on an 8B, a 70B and a 405B model"},
};

static const struct builtin builtins[] = {
    {"power", SCENARIO_SITE, "100,000 H100", {"gpus=100000", "gpu=h100", "pue=1.21", "kwh-price=0.078", "load=1"}},
    {"power", SCENARIO_SITE, "H100 on 30 MW", {"power-cap=30MW", "gpu=h100", "load=1"}},
    {"power", SCENARIO_SITE, "MI300X on 30 MW", {"power-cap=30MW", "gpu=mi300x", "load=1"}},
    {"power", SCENARIO_SITE, "GB200 on 150 MW", {"power-cap=150MW", "gpu=gb200", "load=1"}},
    {"llama3",
     SCENARIO_TRAIN,
     "Llama 3.1 405B",
     {"model=llama3-405b", "gpus=16384", "tokens=15.6T", "batch-tokens=16777216", "sequence=8192", "year=2024.3"}},
    {"llama3",
     SCENARIO_TRAIN,
     "Llama 3.1 70B",
     {"model=llama3-70b", "gpus=16384", "tokens=15T", "batch-tokens=16777216", "sequence=8192", "year=2024.3"}},
    {"llama3",
     SCENARIO_TRAIN,
     "Llama 3.1 8B",
     {"model=llama3-8b", "gpus=4096", "tokens=15T", "batch-tokens=16777216", "sequence=8192", "year=2024.3"}},
    {"llama4",
     SCENARIO_TRAIN,
     "Llama 4 Scout",
     {"model=llama4-scout", "gpus=16384", "tokens=40T", "batch-tokens=33554432", "sequence=8192", "year=2025.0"}},
    {"llama4",
     SCENARIO_TRAIN,
     "Llama 4 Maverick",
     {"model=llama4-maverick", "gpus=16384", "tokens=22T", "batch-tokens=33554432", "sequence=8192", "year=2025.0"}},
    {"350k", SCENARIO_SITE, "350,000 H100", {"gpus=350000", "gpu=h100", "site=us-hyperscale", "load=0.8"}},
    {"350k", SCENARIO_SITE, "600,000 H100 equivalents", {"gpus=600000", "gpu=h100", "site=us-hyperscale", "load=0.8"}},
    {"500m-users", SCENARIO_SERVE, "8B, 500 million", {"model=llama3-8b", "users=500M", "gpu=h100"}},
    {"500m-users", SCENARIO_SERVE, "70B, 500 million", {"model=llama3-70b", "users=500M", "gpu=h100"}},
    {"500m-users", SCENARIO_SERVE, "405B, 500 million", {"model=llama3-405b", "users=500M", "gpu=h100"}},
};

const char *scenario_set_name(int i) { return i >= 0 && i < (int)(sizeof sets / sizeof *sets) ? sets[i].name : NULL; }

const char *scenario_set_title(int i) { return i >= 0 && i < (int)(sizeof sets / sizeof *sets) ? sets[i].title : NULL; }

static cria_status unknown_set(const char *name, struct cria_error *err) {
    const char *nearest = sets[0].name;
    for (size_t i = 1; i < sizeof sets / sizeof *sets; i++)
        if (plan_names_distance(name, sets[i].name) < plan_names_distance(name, nearest)) nearest = sets[i].name;
    return ERROR_SET(
        err, CRIA_NOTFOUND,
        "there is no file and no set of scenarios \"%s\"; the nearest set is \"%s\" (power, llama3, llama4, "
        "350k, 500m-users)",
        name, nearest);
}

cria_status scenario_set_open(const char *name, int max, struct scenario *ret_rows, int *ret_n,
                              struct cria_error *err) {
    int n = 0;
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        const struct builtin *b = &builtins[i];
        if (strcmp(b->set, name) != 0) continue;
        if (n == max) return ERROR_SET(err, CRIA_LIMIT, "the set %s has more than %d scenarios", name, max);
        scenario_init(&ret_rows[n], b->kind, b->name);
        for (int p = 0; p < MAX_PAIRS && b->pairs[p]; p++) {
            const cria_status status = scenario_set_pair(&ret_rows[n], b->pairs[p], err);
            if (status != CRIA_OK) return status;
        }
        n++;
    }
    if (n == 0) return unknown_set(name, err);
    *ret_n = n;
    return CRIA_OK;
}
