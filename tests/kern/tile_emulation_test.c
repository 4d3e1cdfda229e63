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

int main(void) {
    cases_flush_subnormals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_emulated_tiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
