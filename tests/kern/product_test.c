/* product_test.c: every instruction set that this machine has computes the bits of the reference (order.h).
 * Catches: a lane or nibble in the wrong place, an edge block, another order of additions, a write outside the output.
 */
#include "product_cases.h"

static void test_products(void **state) {
    (void)state;
    for (int isa = KERNEL_ISA_AVX2; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) {
            printf("%s: not on this machine: %s\n", kernel_isa_name((enum kernel_isa)isa), reason);
            continue;
        }
        struct kernel_table t;
        kernel_table_init(&t, (enum kernel_isa)isa);
        check_all_cases(&t);
    }
}

int main(void) {
    cases_flush_subnormals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
