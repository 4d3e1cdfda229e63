/* hardware_test.c: the built-in tables and how their rows are found. */
#include "plan/hardware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Catches: a table that does not load, a row that refers to one that is not there, a figure in the wrong unit. */
static void test_built_in(void **state) {
    (void)state;
    struct cria_error err = {0};
    plan_hardware *hw = NULL;
    cria_status status = hardware_open(&hw, NULL, &err);
    if (status != CRIA_OK) fail_msg("%s", err.text);
    const struct plan_chip *c;
    size_t i = 0;
    for (; (c = hardware_chip_at(hw, i)); i++) {
        const struct plan_node *n;
        const struct plan_network *w;
        assert_int_equal(hardware_node(hw, c->node, &n, &err), CRIA_OK);
        assert_string_equal(n->key, c->node);
        assert_int_equal(hardware_network(hw, n->network, &w, &err), CRIA_OK);
        assert_string_equal(w->key, n->network);
        assert_true(c->source[0] && c->name[0]);
        assert_true(c->memory_bytes > 8e9 && c->memory_bytes < 2e12);
        assert_true(c->memory_bytes_per_s > 1e10 && c->memory_bytes_per_s < 2e13);
        assert_true(c->launch_year > 2015 && c->launch_year < 2030);
        for (int p = 0; p < PLAN_PRECISION_COUNT; p++) assert_true(c->matmul_flop_per_s[p] <= c->peak_flop_per_s[p]);
    }
    assert_true(i >= 30);
    const struct plan_site *s;
    for (i = 0; (s = hardware_site_at(hw, i)); i++) assert_true(s->pue >= 1 && s->pue < 2 && s->usd_per_kwh < 1);
    assert_true(i >= 5);
    hardware_close(&hw);
    assert_null(hw);
}

/* Catches: names that people write and that end at another chip, above all those that contain one another. */
static void test_names(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"h100", "h100-sxm"},
        {"H100 SXM 80GB (DGX)", "h100-sxm"},
        {"H100 SXM 80GB (Grand Teton, RoCE 400 Gb/s)", "h100-sxm"},
        {"H100 96GB HBM2e 2.4TB/s, 500 W cap", "h100-hbm2e"},
        {"NVIDIA H100 80GB HBM3", "h100-sxm"},
        {"h100_pcie", "h100-pcie"},
        {"8xH100", "h100-sxm"},
        {"A100 SXM 40GB (64 p4d)", "a100-40g"},
        {"A100 SXM 80GB (DGX, Selene, 8x200 Gb/s)", "a100-80g"},
        {"GB300 (NVL72)", "gb300"},
        {"B300 (DGX, 8/node)", "b300"},
        {"B200 SXM 180GB", "b200"},
        {"GB200", "gb200"},
        {"TPU v5e", "tpu-v5e"},
        {"TPU v5p", "tpu-v5p"},
        {"Apple M3 Max CPU", "m3-max-cpu"},
        {"MI300X 192GB", "mi300x"},
        {"AMD Instinct MI355X", "mi355x"},
        {"H800 SXM 80GB", "h800"},
        {"8x H100s", "h100-sxm"},
        {"TPUv5p-256", "tpu-v5p"},
        {"v5e-256", "tpu-v5e"},
        {"NVIDIA A100-SXM4-80GB", "a100-80g"},
        {"A100 40GB PCIe", "a100-40g"},
        {"H200x8", "h200"},
        {"GB300s in NVL72", "gb300"},
        {"MI300X-OAM", "mi300x"},
    };
    struct cria_error err = {0};
    plan_hardware *hw = NULL;
    assert_int_equal(hardware_open(&hw, NULL, &err), CRIA_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct plan_chip *c = NULL;
        cria_status status = hardware_chip(hw, cases[i][0], &c, &err);
        if (status != CRIA_OK) fail_msg("%s", err.text);
        if (strcmp(c->key, cases[i][1]) != 0) fail_msg("%s is %s, expected %s", cases[i][0], c->key, cases[i][1]);
    }
    const struct plan_chip *c = NULL;
    assert_int_equal(hardware_chip(hw, "h10", &c, &err), CRIA_NOTFOUND);
    assert_non_null(strstr(err.text, "h10"));
    assert_non_null(strstr(err.text, "nearest"));
    assert_null(c);
    hardware_close(&hw);
}

static cria_status open_with(const char *text, plan_hardware **ret, struct cria_error *err) {
    char path[] = "/tmp/cria-hardware-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    cria_status status = hardware_open(ret, path, err);
    unlink(path);
    return status;
}

/* Catches: a user's file that is ignored, that loses the other figures of a row, or whose mistakes pass. */
static void test_own_file(void **state) {
    (void)state;
    struct cria_error err = {0};
    plan_hardware *hw = NULL;
    assert_int_equal(open_with("chips:\n  h100-sxm:\n    tdp_watts: 650\nsites:\n  home:\n    pue: 1\n", &hw, &err),
                     CRIA_OK);
    const struct plan_chip *c;
    assert_int_equal(hardware_chip(hw, "h100", &c, &err), CRIA_OK);
    assert_true(c->tdp_watts == 650 && c->memory_bytes == 80e9);
    const struct plan_site *s;
    assert_int_equal(hardware_site(hw, "home", &s, &err), CRIA_OK);
    hardware_close(&hw);
    static const char *const wrong[][2] = {
        {"chips:\n  x:\n    tdp: 1\n", "no such figure"},
        {"chips:\n  x:\n    tdp_watts: many\n", "many"},
        {"chips:\n  x:\n    tdp_watts: -1\n", "-1"},
        {"chips:\n  x:\n    tdp_watts: 1\n", "have to be given"},
        {"chip:\n  x:\n    tdp_watts: 1\n", "expected chips"},
        {"chips:\n  h100-sxm:\n    link_chips: 0\n", "at least 1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(open_with(wrong[i][0], &hw, &err), CRIA_FORMAT);
        if (!strstr(err.text, wrong[i][1])) fail_msg("%s", err.text);
        assert_null(hw);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_own_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
