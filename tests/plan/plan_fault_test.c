/* plan_fault_test.c: the n-th allocation fails, for every n, while the planner answers and draws.
 *
 * Catches an answer that loses memory or a status, and a page that is written in part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/plan_page.h"

/* Opens the tables, answers, finds the levers, writes all forms. */
static cria_status answer(const struct scenario *s, struct cria_error *err) {
    plan_hardware *hw = NULL;
    struct scenario_answer *a = NULL;
    struct scenario_lever levers[SCENARIO_PARAM_COUNT];
    struct buffer text = buffer_make(1 << 20);
    struct page page = page_make();
    int n_levers = 0;
    cria_status status;
    a = ALLOC_NEW(struct scenario_answer);
    if (!a) TRY(ERROR_NOMEM(err, sizeof *a, "an answer"));
    TRY(hardware_open(&hw, NULL, err));
    TRY(scenario_evaluate(s, hw, false, a, err));
    TRY(scenario_sensitivity(a, hw, scenario_main_figure(s->kind), levers, &n_levers, err));
    const struct scenario_told told = {.answer = a, .levers = levers, .n_levers = n_levers};
    TRY(scenario_text_write(&text, &told, err));
    scenario_text_json(&text, &told, 1);
    TRY(buffer_status(&text, "the texts", err));
    plan_page_write(&page, NULL, &told, 1);
    TRY(page_status(&page, err));
out:
    page_free(&page);
    buffer_free(&text);
    hardware_close(&hw);
    alloc_free(a);
    return status;
}

static void fail_everywhere(enum scenario_kind kind, const char *const *pairs) {
    struct scenario s;
    struct cria_error err = {0};
    scenario_init(&s, kind, "fault");
    for (; *pairs; pairs++) assert_int_equal(scenario_set_pair(&s, *pairs, NULL), CRIA_OK);
    alloc_fail_at(0);
    assert_int_equal(answer(&s, &err), CRIA_OK);
    const uint64_t n_all = alloc_fail_at(0);
    /* Opening the tables makes most of them, all alike: of these a few are tried, of the others every second. */
    for (uint64_t n = 1; n <= n_all; n += n < n_all * 4 / 5 ? 1 + n_all / 100 : 2) {
        memset(&err, 0, sizeof err);
        alloc_fail_at(n);
        const cria_status status = answer(&s, &err);
        alloc_fail_at(0);
        /* A success with a failure inside: a picture or a lever that the answer can do without. */
        if (status != CRIA_OK && (status != CRIA_NOMEM || !err.text[0]))
            fail_msg("allocation %llu of %llu: %s: %s", (unsigned long long)n, (unsigned long long)n_all,
                     cria_status_name(status), err.text);
    }
    print_message("%s: %llu allocations\n", scenario_kind_name(kind), (unsigned long long)n_all);
}

static void test_site(void **state) {
    (void)state;
    fail_everywhere(SCENARIO_SITE, (const char *const[]){"gpus=1000", NULL});
}

static void test_serve(void **state) {
    (void)state;
    fail_everywhere(SCENARIO_SERVE, (const char *const[]){"users=1M", "token-price=1", NULL});
}

static void test_train(void **state) {
    (void)state;
    fail_everywhere(SCENARIO_TRAIN, (const char *const[]){"model=llama3-8b", "gpus=16", "tokens=1B", "tp=2", "pp=2",
                                                          "batch-tokens=1048576", "trials=50", NULL});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_site),
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_train),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
