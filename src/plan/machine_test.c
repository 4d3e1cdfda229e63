/* machine_test.c: the machine's file read back, and passes as the sum of their parts. */
#include "plan/machine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs those above */
#include <cmocka.h>
#include <string.h>

static struct machine make_machine(void) {
    struct machine m = {.name = "test machine",
                        .n_threads = 2,
                        .memory_bytes = 16e9,
                        .read_bytes_per_s = 2e10,
                        .product_flop_per_s = 1e11,
                        .key_1_s = 1e-10,
                        .key_n_s = 5e-11,
                        .number_s = 1e-10,
                        .operation_s = 1e-6};
    for (int i = 0; i < MACHINE_ROW_COUNTS; i++)
        m.param_s[DTYPE_BF16][i] = 1e-10 + 2e-11 * machine_rows(i); /* read once, then multiply */
    return m;
}

static struct machine_model make_model(void) {
    struct machine_model model = {.config = {.d_model = 1024,
                                             .n_layers = 10,
                                             .n_heads = 16,
                                             .n_kv_heads = 4,
                                             .head_size = 64,
                                             .d_ff = 4096,
                                             .n_vocab = 32000,
                                             .n_context = 8192},
                                  .head = DTYPE_BF16};
    model.layer_params[DTYPE_BF16] = 1.5e8;
    return model;
}

/* What was written is read back to the digits that were written; a chip stands beside it. */
static void test_file(void **state) {
    (void)state;
    const struct machine m = make_machine();
    struct buffer out = buffer_make(1 << 20);
    struct machine back;
    struct cria_error err;
    machine_write(&out, &m);
    assert_int_equal(machine_read("m.yaml", out.data, out.n_bytes, &back, &err), CRIA_OK);
    assert_string_equal(back.name, m.name);
    assert_true(back.n_threads == 2 && back.key_1_s == m.key_1_s && back.memory_bytes == m.memory_bytes);
    for (int i = 0; i < MACHINE_ROW_COUNTS; i++)
        assert_true(fabs(back.param_s[DTYPE_BF16][i] / m.param_s[DTYPE_BF16][i] - 1) < 1e-5);
    assert_true(back.param_s[DTYPE_Q4_0][0] == 0);
    assert_non_null(strstr(out.data, "this-machine"));
    buffer_free(&out);
}

/* A broken file names its line and key. */
static void test_broken_files(void **state) {
    (void)state;
    static const char *const texts[] = {"machine:\n  all:\n    threads: 2\n    spede: 4\n",
                                        "machine:\n  Q9_9:\n    rows_1_s: 1\n",
                                        "machine:\n  BF16:\n    rows_3_s: 1\n",
                                        "machine:\n  all:\n    threads: many\n",
                                        "machine:\n  all:\n    threads: 2\n",
                                        "machine: 4\n",
                                        ""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct machine m;
        struct cria_error err;
        assert_int_not_equal(machine_read("m.yaml", texts[i], strlen(texts[i]), &m, &err), CRIA_OK);
        assert_non_null(strstr(err.text, "m.yaml"));
    }
}

/* Decode of one sequence by hand: products of the layers and the head, keys, rows, operations. */
static void test_decode_by_hand(void **state) {
    (void)state;
    const struct machine m = make_machine();
    const struct machine_model model = make_model();
    double s;
    assert_int_equal(machine_decode_s(&m, &model, 500, 1, &s, NULL), CRIA_OK);
    const double products = (1.5e8 + 1024.0 * 32000) * 1.2e-10, keys = 10 * 500 * 1024 * 1e-10;
    const double rows = (10 * (2 * 1024 + 1024 + 512 + 4096.0) + 32000) * 1e-10, operations = 80e-6;
    assert_true(fabs(s - (products + keys + rows + operations)) < 1e-9);
}

/* Eight sequences share the reading of weights; a prompt costs as its rows; chunks add up; depth adds keys. */
static void test_shape(void **state) {
    (void)state;
    const struct machine m = make_machine();
    const struct machine_model model = make_model();
    double one, eight, deep, whole, parts, half;
    assert_int_equal(machine_decode_s(&m, &model, 0, 1, &one, NULL), CRIA_OK);
    assert_int_equal(machine_decode_s(&m, &model, 0, 8, &eight, NULL), CRIA_OK);
    assert_int_equal(machine_decode_s(&m, &model, 4096, 1, &deep, NULL), CRIA_OK);
    assert_true(eight > one && eight < 4 * one && deep > one);
    assert_int_equal(machine_prefill_s(&m, &model, 2048, 2048, &whole, NULL), CRIA_OK);
    assert_int_equal(machine_prefill_s(&m, &model, 2048, 512, &parts, NULL), CRIA_OK);
    assert_int_equal(machine_prefill_s(&m, &model, 1024, 512, &half, NULL), CRIA_OK);
    assert_true(fabs(parts / whole - 1) < 0.02);
    assert_true(parts > 2 * half && parts < 3 * half);
    struct machine_model other = model;
    struct cria_error err;
    other.head = DTYPE_Q4_K;
    assert_int_equal(machine_decode_s(&m, &other, 0, 1, &one, &err), CRIA_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Q4_K"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_decode_by_hand),
        cmocka_unit_test(test_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
