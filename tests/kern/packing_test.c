/* packing_test.c: tiles made from floats that lie the other way round (pack_tile) are those that rows make, on every
 * instruction set, for every edge. Catches: a pair of k in the wrong halves, another rounding of NaN, infinities,
 * halfway cases or subnormals, an edge that reads or writes beyond its numbers. */
#include "product_cases.h"

enum { STRIDE = KERNEL_PANEL + 5, TILE_FLOATS = KERNEL_PANEL * ORDER_STEP };

/* Numbers that rounding treats apart come up often. */
static float any_number(void) {
    static const uint32_t special[] = {0x7f800000, 0xff800000, 0x7fc00001, 0x7f800001, 0xffc12345, 0x00000001,
                                       0x80000010, 0x007fffff, 0x80000000, 0x3f808000, 0x3f818000, 0x7f7fffff};
    const uint64_t bits = cases_draw();
    if (bits % 8 == 0) return dtype_f32_from_bits(special[(bits >> 8) % (sizeof special / sizeof special[0])]);
    return dtype_f32_from_bits((uint32_t)(bits >> 32));
}

static void check_bf16(const struct kernel_table *t, const float *values, int n_k, int n_outputs) {
    uint8_t expected[TILE_FLOATS * 2] = {0}, got[TILE_FLOATS * 2 + 64];
    memset(got, 0xa5, sizeof got);
    for (int n = 0; n < n_outputs; n++) {
        uint16_t row[ORDER_STEP] = {0};
        for (int k = 0; k < n_k; k++) row[k] = dtype_bf16_from_f32(values[k * STRIDE + n]);
        t->pack_row(expected, n, row);
    }
    t->bf16.pack_tile(got, values, STRIDE, n_k, n_outputs);
    if (memcmp(expected, got, sizeof expected) != 0)
        fail_msg("%s: bf16 tile of %d k, %d outputs differs (seed %llu)", kernel_isa_name(t->isa), n_k, n_outputs,
                 (unsigned long long)cases_seed);
    for (size_t i = sizeof expected; i < sizeof got; i++) assert_int_equal(got[i], 0xa5);
}

static void check_f32(const struct kernel_table *t, const float *values, int n_k, int n_outputs) {
    float got[TILE_FLOATS + KERNEL_PANEL];
    for (int i = 0; i < TILE_FLOATS + KERNEL_PANEL; i++) got[i] = 7.0f;
    t->f32.pack_tile((uint8_t *)got, values, STRIDE, n_k, n_outputs);
    for (int k = 0; k < ORDER_STEP; k++)
        for (int n = 0; n < KERNEL_PANEL; n++) {
            const float expected = k < n_k && n < n_outputs ? values[k * STRIDE + n] : 0.0f;
            assert_memory_equal(&got[k * KERNEL_PANEL + n], &expected, sizeof expected);
        }
    for (int i = TILE_FLOATS; i < TILE_FLOATS + KERNEL_PANEL; i++) assert_true(got[i] == 7.0f);
}

static void test_pack_tile(void **state) {
    (void)state;
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        struct kernel_table t;
        kernel_table_init(&t, (enum kernel_isa)isa);
        for (int n_k = 0; n_k <= ORDER_STEP; n_k++)
            for (int n_outputs = 1; n_outputs <= KERNEL_PANEL; n_outputs++) {
                /* Allocated to size, so that a sanitizer sees a read behind the last number. */
                const size_t n = n_k ? (size_t)(n_k - 1) * STRIDE + (size_t)n_outputs : 1;
                float *values = alloc_array(n, sizeof *values);
                assert_non_null(values);
                for (size_t i = 0; i < n; i++) values[i] = any_number();
                check_bf16(&t, values, n_k, n_outputs);
                check_f32(&t, values, n_k, n_outputs);
                alloc_free(values);
            }
    }
}

/* Where a table says so, a row of activations is the column of words that its numbers make in a tile. */
static void test_rows_are_columns(void **state) {
    (void)state;
    int n_tables = 0;
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        struct kernel_table t;
        kernel_table_init(&t, (enum kernel_isa)isa);
        if (!t.bf16.x_is_column) continue;
        for (int round = 0; round < 100; round++) check_columns(&t);
        n_tables++;
    }
    print_message("%d tables\n", n_tables);
}

int main(void) {
    cases_flush_subnormals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pack_tile), cmocka_unit_test(test_rows_are_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
