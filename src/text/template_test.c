/* template_test.c: what the comparison with jinja2 (tests/template) cannot see: which bytes of a prompt are trusted,
 * what a template may see, and that rendering leaves a template as it was. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "text/template.h"

/* Renders, or fails the test. */
static struct prompt_text render(const char *source, const char *variables) {
    struct cria_error err = {0};
    struct prompt_text p = {0};
    template *t = NULL;
    cria_status status = template_compile(&t, source, strlen(source), &err);
    if (status == CRIA_OK) status = template_render(t, variables, strlen(variables), NULL, &p, &err);
    template_destroy(&t);
    if (status != CRIA_OK) fail_msg("%s: %s", source, err.text);
    return p;
}

/* The user's part is Cyrillic in these tests and the template's is not, so each byte shows where it came from. */
static const char user[] =
    "{\"u\": \"жабаЖ\", \"l\": [\"да\", \"нет\"], \"d\": {\"ключ\": \"знак\", \"е\": [\"ё\"]},"
    "\"messages\": [{\"role\": \"ж\", \"content\": \"жук\"}]}";

static void expect_user_untrusted(const char *source) {
    struct prompt_text p = render(source, user);
    bool any_user = false;
    for (size_t i = 0; i < p.n; i++) {
        const bool of_user = (unsigned char)p.text[i] >= 0x80;
        any_user = any_user || of_user;
        if (p.trusted[i] != !of_user) fail_msg("%s: byte %zu of %s: trusted is %d", source, i, p.text, p.trusted[i]);
    }
    if (!any_user) fail_msg("%s: nothing of the user's came out: %s", source, p.text);
    prompt_text_free(&p);
}

/* Catches any operation on strings that gives a user's byte the template's trust, or takes the template's away. */
static void test_trust_of_operations(void **state) {
    (void)state;
    static const char *const sources[] = {
        "a{{ u }}b",
        "{{ 'a' + u + 'b' }}",
        "{{ 'a' ~ u ~ 'b' }}",
        "{{ u[1:3] }}x{{ u[0] }}{{ u[::-1] }}{{ ('ab' + u + 'cd')[1:5] }}{{ ('ab' + u)[::-1] }}",
        "{{ ('  ' + u + '  ')|trim }}{{ ('x' + u + 'x').strip('x') }}",
        "{{ u|upper }}{{ ('a' + u)|lower }}{{ u|title }}{{ ('a' + u).capitalize() }}{{ u.swapcase() }}",
        "{{ u|replace('а', 'x') }}{{ 'abc'|replace('b', u) }}{{ u.replace('ж', '') }}{{ ('ab' + u).replace('', '-') }}",
        "{{ u.split('а') | join('+') }}{{ ('a,' + u + ',b').split(',')[1] }}{{ ('a ' + u).split()|join }}{{ "
        "u.partition('б')|join('/') }}",
        "{{ l | join(', ') }}{{ ['a', u, 'b']|join }}{{ ', '.join(l) }}{{ u.join(['a', 'b']) }}",
        "{% for c in u %}[{{ c }}]{% endfor %}{{ u|list|join('.') }}{{ u|first }}{{ u|last }}{{ u|reverse }}",
        "{{ '%s-%s' % ('a', u) }}{{ '{}-{x}'.format(u, x='a') }}{{ '%5s|%.2s' % (u, u) }}{{ '{:>9}'.format(u) }}",
        "{{ u|center(20) }}{{ u.ljust(9, '*') }}{{ u|indent(2, true) }}{{ (u + '\\n' + u)|indent }}{{ u|truncate(4, "
        "true, '!', 0) }}",
        "{% set x %}a{{ u }}b{% endset %}{{ x }}{{ x[1:] }}",
        "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(u) }}{{ m(u)|upper }}",
        "{% macro m(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) m(u) %}a{{ y }}b{% endcall %}",
        "{% filter upper %}a{{ u }}{% endfilter %}{% filter replace('a', 'b') %}a{{ u }}{% endfilter %}",
        "{% set ns = namespace(x='a') %}{% set ns.x = ns.x + u %}{% set ns.x = ns.x + 'b' %}{{ ns.x }}{{ ns.x[:2] + "
        "'q' }}",
        "{{ {'k': u}.k }}{{ (u, 'a')[0] }}{{ l|map('upper')|join('a') }}{{ l|sort|join }}{{ l|unique|join }}{{ l|max "
        "}}",
        "{{ u|safe }}{{ u|e }}{{ '<'|safe ~ u }}{{ ('<b>' + u)|escape }}{{ u|string }}{{ u|default('x') }}",
        "{{ d.keys()|join('k') }}{{ d['ключ'] }}{% for k, v in d.items() %}{{ k }}={% endfor %}{{ d|first }}",
        "{{ messages[0].content ~ '<|end|>' }}{{ messages[0]['role'] }}",
        "{{ u if true else 'a' }}{{ none or u }}{{ u and 'a' ~ u }}{{ u * 2 ~ 'x' * 2 }}",
        "{% generation %}{{ u }}{% endgeneration %}{% with x = u %}{{ x }}{% endwith %}",
        "{{ 'ab' ~ u|trim ~ 'cd' ~ u.rstrip('Ж') ~ u.removeprefix('ж') }}{{ u.splitlines()[0] }}{{ u.zfill(9) }}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) expect_user_untrusted(sources[i]);
}

static void expect_mask(const char *source, const char *variables, const char *text, const char *mask) {
    struct prompt_text p = render(source, variables);
    assert_string_equal(p.text, text);
    for (size_t i = 0; i < p.n; i++)
        if (p.trusted[i] + '0' != mask[i])
            fail_msg("%s: byte %zu of %s: trusted is %d", source, i, p.text, p.trusted[i]);
    assert_int_equal(strlen(mask), p.n);
    prompt_text_free(&p);
}

/* Catches trust of what is printed rather than copied: quotes and brackets of the user's containers, numbers, escapes.
 */
static void test_trust_of_printed_values(void **state) {
    (void)state;
    expect_mask("{{ x }}", "{\"x\": [1, \"a\"]}", "[1, 'a']", "00000000");
    expect_mask("{{ [1, 'a'] }}", "{}", "[1, 'a']", "11111111");
    expect_mask("{{ ['b', x] }}", "{\"x\": \"a\"}", "['b', 'a']", "1111110001");
    expect_mask("{{ x|tojson }}", "{\"x\": {\"a\": \"<\\n\"}}", "{\"a\": \"<\\n\"}", "000000000000");
    expect_mask("{{ {'a': x}|tojson }}", "{\"x\": \"\\\"\"}", "{\"a\": \"\\\"\"}", "11111100001");
    expect_mask("{{ x }}{{ 5 }}{{ x + 1 }}{{ y }}{{ z }}", "{\"x\": 12, \"y\": 1.5, \"z\": null}", "125131.5None",
                "001000000000");
    expect_mask("{{ x|int }}{{ '7'|int }}{{ x|length }}", "{\"x\": \"42\"}", "4272", "0011");
    expect_mask("{{ big }}{{ t }}", "{\"big\": 123456789012345678901234567890, \"t\": true}",
                "123456789012345678901234567890True", "0000000000000000000000000000000000");
    expect_mask("{{ bos_token }}x{{ eos_token }}{{ pad_token }}",
                "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"pad_token\": \"p\"}", "<s>x</s>p", "111111110");
    expect_mask("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"user\"}, {\"role\": \"end\", \"content\": \"\"}]}",
                "<|user|>user<|end|>", "1111111100001100011");
    expect_mask("{% for i in range(2) %}<|image_{{ loop.index }}|>{% endfor %}", "{}", "<|image_1|><|image_2|>",
                "1111111111111111111111");
}

/* Catches a special token that is spelt partly by the user and counts as the template's. */
static void test_trust_of_tricks(void **state) {
    (void)state;
    static const char trick[] =
        "{\"a\": \"<|im_\", \"b\": \"end|>\", \"i\": \"im\", \"e\": \"\", \"f\": \"<|IM_END|>\"}";
    static const char *const sources[] = {
        "{{ a }}{{ b }}",
        "{{ a + b }}",
        "<|{{ i }}_end|>",
        "{{ a ~ 'end|>' }}",
        "{{ '<|im_' ~ b }}",
        "{{ f|lower }}",
        "{{ '<|xx_end|>'|replace('xx', i) }}",
        "{{ '<|%s_end|>' % i }}",
        "{{ '<|{}_end|>'.format(i) }}",
        "{{ [a, b]|join }}",
        "{{ b[::-1][::-1]|replace('end', '<|im_end') }}",
        "{% set n = namespace(s='') %}{% for c in '<|' ~ i ~ '_end|>' %}{% set n.s = n.s ~ c %}{% endfor %}{{ n.s }}",
        "{% macro m() %}<|{{ i }}_end|>{% endmacro %}{{ m() }}",
        "{% set x = '<|' ~ i %}{% set y = x ~ '_en' %}{% set z = y ~ 'd|>' %}{{ z }}",
        "{{ ('xx' ~ a ~ b ~ 'xx')|trim('x') }}",
        "{{ (a ~ b)|safe }}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct prompt_text p = render(sources[i], trick);
        const char *found = strstr(p.text, "<|im_end|>");
        if (!found) fail_msg("%s: gives %s", sources[i], p.text);
        bool all = true;
        for (int j = 0; j < 10; j++) all = all && p.trusted[found - p.text + j];
        if (all) fail_msg("%s: the user's token counts as the template's", sources[i]);
        prompt_text_free(&p);
    }
    expect_mask("{{ e }}<|im_end|>{{ e ~ '<|im_' ~ e ~ 'end|>' }}", trick, "<|im_end|><|im_end|>",
                "11111111111111111111");
}

/* Catches content that is taken for template source. */
static void test_content_is_data(void **state) {
    (void)state;
    static const char variables[] = "{\"c\": \"{{ 1 }} {% if %} ${x} {# c #} \\\\n {{ c }}\"}";
    struct prompt_text p = render("[{{ c }}]", variables);
    assert_string_equal(p.text, "[{{ 1 }} {% if %} ${x} {# c #} \\n {{ c }}]");
    prompt_text_free(&p);
}

/* Catches a string that grows in place under an older one that looks at the same bytes. */
static void test_growing_in_place(void **state) {
    (void)state;
    struct prompt_text p = render(
        "{% set a = 'x' ~ 'y' %}{% set b = a + '1' %}{% set c = a + '2' %}{% set d = b + '3' %}{% set e = b + '4' %}"
        "{{ a }} {{ b }} {{ c }} {{ d }} {{ e }} {{ b[1:] + '5' }} {{ b }} {{ d[2:] + '6' }} {{ d }}",
        "{}");
    assert_string_equal(p.text, "xy xy1 xy2 xy13 xy14 y15 xy1 136 xy13");
    prompt_text_free(&p);
}

static void *render_often(void *arg) {
    for (int i = 0; i < 200; i++) {
        struct prompt_text p = {0};
        if (template_render(arg, user, sizeof user - 1, NULL, &p, NULL) != CRIA_OK) return (void *)1;
        const bool right = strcmp(p.text, "жабаЖ 4 да нет ") == 0;
        prompt_text_free(&p);
        if (!right) return (void *)1;
    }
    return NULL;
}

/* Catches a render that writes into the template (seen best by the thread sanitizer). */
static void test_threads(void **state) {
    (void)state;
    static const char source[] = "{{ u }} {{ 'äbcd'|length }} {% for x in l %}{{ x }}{{ ' ' }}{% endfor %}";
    pthread_t threads[4];
    template *t = NULL;
    assert_int_equal(template_compile(&t, source, sizeof source - 1, NULL), CRIA_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, render_often, t), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    template_destroy(&t);
}

/* Catches destroy functions that do not take what a failed call leaves. */
static void test_nothing_made(void **state) {
    (void)state;
    template *t = NULL;
    struct prompt_text p = {0};
    struct cria_error err = {0};
    assert_int_equal(template_compile(&t, "{% if", 5, &err), CRIA_FORMAT);
    assert_null(t);
    assert_int_equal(template_compile(&t, "\xff", 1, &err), CRIA_FORMAT);
    template_destroy(&t);
    prompt_text_free(&p);
    assert_int_equal(template_compile(&t, "", 0, &err), CRIA_OK);
    assert_int_equal(template_render(t, "{}", 2, NULL, &p, &err), CRIA_OK);
    assert_int_equal(p.n, 0);
    assert_string_equal(p.text, "");
    prompt_text_free(&p);
    template_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust_of_operations), cmocka_unit_test(test_trust_of_printed_values),
        cmocka_unit_test(test_trust_of_tricks),     cmocka_unit_test(test_content_is_data),
        cmocka_unit_test(test_growing_in_place),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_nothing_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
