/* tile_emulation_test.c: the tile kernels of kernel/amx, compiled over an emulated tile unit, compute the reference's
 * bits: so their addressing, edges and packing are held on machines without AMX too. On one that has it, product_test
 * runs the real thing. Needs AVX-512 BF16 for the rest of that file (its flags
 * come from CRIA_TEST_FLAGS in CriaTests.cmake). */
#define CRIA_TILE_HEADER "kern/tile_emulation.h"
#define product_fill_amx product_fill_amx_emulated
#include "kernel/amx/product_amx.c"

#include "product_cases.h"

static void test_emulated_tiles(void **state) {
    (void)state;
    const char *reason;
    if (!kernel_isa_usable(KERNEL_ISA_AVX512BF16, &reason)) {
        printf("not on this machine: %s\n", reason);
        skip();
    }
    struct kernel_table t;
    kernel_table_init(&t, KERNEL_ISA_AVX512);
    product_fill_amx_emulated(&t);
    t.isa = KERNEL_ISA_AMX;
    check_all_cases(&t);
}

/* Its tiles are the reference's. */
static void test_pack_tile(void **state) {
    (void)state;
    const char *reason;
    struct kernel_table t, ref;
    if (!kernel_isa_usable(KERNEL_ISA_AVX512BF16, &reason)) skip();
    kernel_table_init(&ref, KERNEL_ISA_REF);
    kernel_table_init(&t, KERNEL_ISA_AVX512);
    product_fill_amx_emulated(&t);
    for (int n_k = 0; n_k <= ORDER_STEP; n_k++)
        for (int n_outputs = 1; n_outputs <= KERNEL_PANEL; n_outputs++) {
            float values[ORDER_STEP * KERNEL_PANEL];
            uint8_t got[1024], expected[1024];
            for (int i = 0; i < ORDER_STEP * KERNEL_PANEL; i++) values[i] = cases_number(i % 3);
            t.bf16.pack_tile(got, values, KERNEL_PANEL, n_k, n_outputs);
            ref.bf16.pack_tile(expected, values, KERNEL_PANEL, n_k, n_outputs);
            assert_memory_equal(got, expected, sizeof got);
        }
    assert_true(t.bf16.x_is_column);
    for (int round = 0; round < 100; round++) check_columns(&t);
}

int main(void) {
    cases_flush_subnormals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_emulated_tiles), cmocka_unit_test(test_pack_tile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
