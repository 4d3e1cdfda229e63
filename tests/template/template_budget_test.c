/* template_budget_test.c: templates that mean harm, and those that are merely wrong: each ends with a clean error, in
 * time and in little memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "text/template.h"

#ifdef __SANITIZE_ADDRESS__
#define MAX_SECONDS 1.0
#else
#define MAX_SECONDS 0.05
#endif

static const char variables[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"a\": \"x\", \"l\": [1, 2, 3], \"d\": {\"k\": 1}}";

/* Compiles and renders; the processor time of both together in *ret_seconds. */
static cria_status run(const char *source, size_t n, double *ret_seconds, struct cria_error *err) {
    struct prompt_text p = {0};
    template *t = NULL;
    const double start = clock_cpu_seconds();
    cria_status status = template_compile(&t, source, n, err);
    if (status == CRIA_OK) status = template_render(t, variables, sizeof variables - 1, NULL, &p, err);
    *ret_seconds = clock_cpu_seconds() - start;
    prompt_text_free(&p);
    template_destroy(&t);
    return status;
}

/* The best of a few runs, so that a cold cache does not fail the test. */
static void expect_failure(const char *source, size_t n, const char *word) {
    double best = 1e9;
    for (int i = 0; i < 5 && best > MAX_SECONDS; i++) {
        struct cria_error err = {0};
        double seconds;
        const cria_status status = run(source, n, &seconds, &err);
        if (status == CRIA_OK) fail_msg("%.100s: should fail", source);
        if (status == CRIA_INTERNAL || status == CRIA_NOMEM) fail_msg("%.100s: %s", source, err.text);
        if (!strstr(err.text, "line") || !strstr(err.text, word))
            fail_msg("%.100s: found the error %s", source, err.text);
        if (seconds < best) best = seconds;
    }
    if (best > MAX_SECONDS) fail_msg("%.100s: took %.1f ms", source, best * 1e3);
}

/* Catches a loop, a string or a recursion that no budget counts. */
static void test_hostile(void **state) {
    (void)state;
    static const char *const hostile[][2] = {
        {"{% for i in range(10**9) %}x{% endfor %}", "range"},
        {"{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", ""},
        {"{% for i in range(99999) %}{% for j in l %}{% for k in l %}{% for m in l %}{% endfor %}{% endfor %}{% endfor "
         "%}{% endfor %}",
         ""},
        {"{{ 'x' * 1000000000 }}", ""},
        {"{{ 'x' * 10**12 }}", ""},
        {"{{ [1] * 10**9 }}", ""},
        {"{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
         ""},
        {"{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", ""},
        {"{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", ""},
        {"{% set ns = namespace(s='xy') %}{% for i in range(40) %}{% set ns.s = ns.s|replace('x', 'xxxx') %}{% endfor "
         "%}",
         ""},
        {"{% for i in range(99999) %}{{ 'x' * 20000 }}{% endfor %}", ""},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deep"},
        {"{% macro f(x) %}{{ g(x + 1) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "deep"},
        {"{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", ""},
        {"{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", ""},
        {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deep"},
        {"{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "deep"},
        {"{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x|tojson }}", ""},
        {"{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", ""},
        {"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l == [ns.l] "
         "}}{{ ns.l|tojson }}",
         "deep"},
        {"{{ 9**(9**9) }}", ""},
        {"{{ 10**100000 }}", ""},
        {"{% set ns = namespace(n=99) %}{% for i in range(99999) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", ""},
        {"{{ '%1000000000d' % 1 }}", ""},
        {"{{ '%.1000000000f' % 1 }}", ""},
        {"{{ '{:1000000000}'.format(1) }}", ""},
        {"{{ 'a'.ljust(10**10) }}", ""},
        {"{{ 'a'|center(10**9) }}", ""},
        {"{{ 'a'|indent(10**9) }}", ""},
        {"{{ l|tojson(indent=10**9) }}", ""},
        {"{{ [1]|batch(10**9, 'x')|list }}", ""},
        {"{{ [1]|slice(10**9)|list }}", ""},
        {"{% set s = 'a' * 200000 %}{% for i in range(100000) %}{{ ('a' * 1000 ~ 'b') in s }}{% endfor %}", ""},
        {"{% set s = 'a' * 400000 %}{% for i in range(1000) %}{{ s.rsplit('a' * 100000 ~ 'b') }}{% endfor %}", ""},
        {"{% set s = 'a' * 400000 %}{% for i in range(1000) %}{{ s.rfind('a' * 1000) }}{% endfor %}", ""},
        {"{% set s = 'a ' * 100000 %}{% for i in range(1000) %}{{ s.split()|length }}{% endfor %}", ""},
        {"{% set s = 'a' * 100000 %}{% for i in range(1000) %}{{ s.strip('b' * 100000 ~ 'a') }}{% endfor %}", ""},
        {"{% set s = 'é' * 500000 %}{% for i in range(10000) %}{{ s[499999] }}{% endfor %}", ""},
        {"{% set s = 'ab' * 500000 %}{% for i in range(10000) %}{{ s|upper|length }}{% endfor %}", ""},
        {"{% set s = 'ab' * 500000 %}{% for i in range(10000) %}{{ s|tojson|length }}{% endfor %}", ""},
        {"{% set x = range(100000)|list %}{% for i in range(1000) %}{{ x|sort|length }}{{ x|reverse|list|length }}{% "
         "endfor %}",
         ""},
        {"{% set x = range(100000)|list %}{% for i in range(100000) %}{{ i in x }}{% endfor %}", ""},
        {"{% set x = range(100000)|list %}{% for i in range(100000) %}{% if x == x %}{% endif %}{% endfor %}", ""},
        {"{{ ''.__class__ }}", "__class__"},
        {"{{ ''.__class__.__mro__[1].__subclasses__() }}", "__class__"},
        {"{{ ''['__class__'] }}", "__class__"},
        {"{{ ''|attr('__class__') }}", "__class__"},
        {"{{ l|map(attribute='__class__')|list|string }}{{ (l|map(attribute='__class__')|list)[0].x }}", "__class__"},
        {"{{ '{0.__class__}'.format(l) }}", "__class__"},
        {"{{ range.__globals__ }}", "__globals__"},
        {"{% macro f() %}{% endmacro %}{{ f.__init__.__globals__ }}", "__init__"},
        {"{{ l.append(1) }}", "append"},
        {"{{ d.update({'a': 1}) }}", "update"},
        {"{% set ns = namespace(a=1) %}{% set ns.__class__ = 1 %}", "__class__"},
        {"{{ a|nosuchfilter }}", "nosuchfilter"},
        {"{{ a is nosuchtest }}", "nosuchtest"},
        {"{{ nosuchfunction() }}", "nosuchfunction"},
        {"{{ l[9].x }}", "no element '9'"},
        {"{{ d.q.x }}", "no attribute 'q'"},
        {"{% include '/etc/passwd' %}", "include"},
        {"{% import 'os' as os %}", "import"},
        {"{% extends 'x' %}", "extends"},
        {"{{ strftime_now('%Y') }}", "strftime_now"}, /* no clock was given */
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        expect_failure(hostile[i][0], strlen(hostile[i][0]), hostile[i][1]);
}

static void repeat(struct buffer *b, const char *text, int n) {
    for (int i = 0; i < n; i++) buffer_append_text(b, text);
}

/* Catches recursion of the parser or of the evaluation over what a source nests. */
static void test_deep_source(void **state) {
    (void)state;
    static const char *const parts[][3] = {
        {"{{ ", "(", "1"},
        {"{{ ", "[", "1"},
        {"{{ ", "{'a':", "1"},
        {"{{ ", "-", "1"},
        {"{{ ", "not ", "1"},
        {"{{ 1", "+1", " }}"},
        {"{{ a", ".a", " }}"},
        {"{{ a", "[0]", " }}"},
        {"{{ a", "()", " }}"},
        {"{{ a", "|trim", " }}"},
        {"{{ a", " is none", " }}"},
        {"", "{% if 1 %}", ""},
        {"", "{% for i in l %}", ""},
        {"{{ 1 if ", "1 if ", "1"},
        {"{{ 1", " and 1", " }}"},
        {"{{ 1", " if 1 else 1", " }}"},
        {"{{ 1", "~1", ""},
        {"{{ 1", "<1", ""},
        {"{{ 2", "**2", ""},
        {"", "{% macro f() %}", ""},
        {"{% set ", "(", "a"},
        {"{{ f(", "a=f(", ""},
        {"", "{% set x %}", ""},
        {"{{ a[", "a[", ""},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct buffer b = buffer_make((size_t)4 << 20);
        buffer_append_text(&b, parts[i][0]);
        repeat(&b, parts[i][1], 60000);
        buffer_append_text(&b, parts[i][2]);
        expect_failure(buffer_text(&b), b.n_bytes, "");
        buffer_free(&b);
    }
}

/* Catches a prompt that is legal but far from the limits being refused. */
static void test_room_for_real_work(void **state) {
    (void)state;
    struct buffer b = buffer_make((size_t)4 << 20);
    struct cria_error err = {0};
    struct prompt_text p = {0};
    template *t = NULL;
    static const char source[] =
        "{% set ns = namespace(out='') %}{% for m in messages %}{% set ns.out = ns.out + '<|' + m.role + '|>' + "
        "m.content|trim + '\\n' %}"
        "{% endfor %}{{ ns.out }}";
    buffer_append_text(&b, "{\"messages\": [");
    for (int i = 0; i < 2000; i++) {
        buffer_append_text(&b, i ? ", " : "");
        buffer_append_text(&b, "{\"role\": \"user\", \"content\": \" ");
        repeat(&b, "some words of text ", 8);
        buffer_append_text(&b, "\"}");
    }
    buffer_append_text(&b, "]}");
    assert_int_equal(template_compile(&t, source, sizeof source - 1, &err), CRIA_OK);
    const double start = clock_cpu_seconds();
    if (template_render(t, buffer_text(&b), b.n_bytes, NULL, &p, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_true(clock_cpu_seconds() - start < 1.0);
    assert_true(p.n > 2000 * 150);
    prompt_text_free(&p);
    template_destroy(&t);
    buffer_free(&b);
}

/* Catches a budget that a caller states and that is not kept. */
static void test_small_budgets(void **state) {
    (void)state;
    static const char source[] =
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{% for i in range(100) %}{{ f(5) ~ 'x' * 100 "
        "}}{% endfor %}";
    struct template_budget budgets[] = {template_default_budget, template_default_budget, template_default_budget,
                                        template_default_budget};
    const cria_status expected[] = {CRIA_OK, CRIA_LIMIT, CRIA_LIMIT, CRIA_LIMIT};
    template *t = NULL;
    assert_int_equal(template_compile(&t, source, sizeof source - 1, NULL), CRIA_OK);
    budgets[1].max_steps = 1000;
    budgets[2].max_bytes = 30000;
    budgets[3].max_depth = 10;
    for (int i = 0; i < 4; i++) {
        struct prompt_text p = {0};
        assert_int_equal(template_render(t, "{}", 2, &budgets[i], &p, NULL), expected[i]);
        prompt_text_free(&p);
    }
    template_destroy(&t);
}

/* Catches variables that are taken although JSON or the interface forbids them. */
static void test_bad_variables(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"a\": 1, \"a\": 2}",
                                      "{\"a\": {\"b\": 1, \"b\": 2}}",
                                      "{\"a\": 01}",
                                      "{\"a\": NaN}",
                                      "{} x",
                                      "{\"now\": \"yesterday\"}",
                                      "{\"now\": \"2024-02-30\"}",
                                      "{\"now\": 5}",
                                      "{\"a\": \"\xff\"}"};
    template *t = NULL;
    assert_int_equal(template_compile(&t, "{{ a }}", 7, NULL), CRIA_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct prompt_text p = {0};
        if (template_render(t, bad[i], strlen(bad[i]), NULL, &p, NULL) == CRIA_OK)
            fail_msg("%s: should be refused", bad[i]);
    }
    template_destroy(&t);
}

/* Catches an error that does not say on which line of the template it is. */
static void test_lines(void **state) {
    (void)state;
    static const struct {
        const char *source, *line;
    } rows[] = {{"a\nb\n{{ 1 + }}", "line 3"},
                {"{% if 1 %}\n\n{% endfor %}", "line 3"},
                {"\n\n{{ none + 1 }}\n", "line 3"},
                {"{% for x in l %}\n{{ x }}\n{{ x + 'a' }}{% endfor %}", "line 3"},
                {"\r\n\r\n{{ 'a", "line 3"},
                {"{# a\n b #}\n{% set x = y.z %}", "line 3"},
                {"{% macro f() %}\n\n{{ q.r }}{% endmacro %}\n{{ f() }}", "line 3"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_failure(rows[i].source, strlen(rows[i].source), rows[i].line);
}

/* Catches a leak or a wrong status when the n-th allocation fails. */
static void test_no_memory(void **state) {
    (void)state;
    static const char source[] =
        "{% macro f(x) %}{{ x|upper }}{% endmacro %}{% for m in messages %}{{ f(m.content) ~ m|tojson }}{% endfor %}{{ "
        "'x' * 200000 }}";
    for (uint64_t n = 1;; n++) {
        struct prompt_text p = {0};
        template *t = NULL;
        alloc_fail_at(n);
        cria_status status = template_compile(&t, source, sizeof source - 1, NULL);
        if (status == CRIA_OK) status = template_render(t, variables, sizeof variables - 1, NULL, &p, NULL);
        alloc_fail_at(0);
        prompt_text_free(&p);
        template_destroy(&t);
        if (status == CRIA_OK) break;
        assert_int_equal(status, CRIA_NOMEM);
        assert_true(n < 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_deep_source),
        cmocka_unit_test(test_room_for_real_work),
        cmocka_unit_test(test_small_budgets),
        cmocka_unit_test(test_bad_variables),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
