/* plan_test.c: the memory plan: what lives together never shares a byte, what does not does. */
#include "tensor/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tensor/pages.h"

#define SEED 20251121u

static uint32_t next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Catches two live buffers on the same bytes, wrong alignment and a total that is too small. */
static void test_random_plans_never_overlap(void **state) {
    (void)state;
    print_message("seed %u\n", SEED);
    uint32_t random = SEED;
    for (int round = 0; round < 200; round++) {
        plan *p = NULL;
        assert_int_equal(plan_create(&p, NULL), CRIA_OK);
        const int n = (int)(next(&random) % 40);
        for (int i = 0; i < n; i++) {
            const int first = (int)(next(&random) % 10), length = (int)(next(&random) % 5);
            int number = -1;
            assert_int_equal(plan_book(p, "b", next(&random) % 5000, (size_t)1 << next(&random) % 13, first,
                                       first + length, &number, NULL),
                             CRIA_OK);
            assert_int_equal(number, i);
        }
        assert_int_equal(plan_seal(p, NULL), CRIA_OK);
        assert_true(plan_bytes(p) <= plan_booked_bytes(p) + (size_t)n * 4096);
        for (int i = 0; i < n; i++) {
            const struct plan_booking a = plan_booking_at(p, i);
            assert_true(a.offset % a.alignment == 0 && a.offset + a.n_bytes <= plan_bytes(p));
            for (int j = 0; j < i; j++) {
                const struct plan_booking b = plan_booking_at(p, j);
                const int apart = a.offset + a.n_bytes <= b.offset || b.offset + b.n_bytes <= a.offset;
                assert_true(apart || a.last_use < b.first_use || b.last_use < a.first_use);
            }
        }
        plan_destroy(&p);
    }
}

/* Catches a plan that shares nothing: a chain of temporary buffers needs the two largest neighbours only. */
static void test_disjoint_lifetimes_share(void **state) {
    (void)state;
    plan *p = NULL;
    assert_int_equal(plan_create(&p, NULL), CRIA_OK);
    for (int i = 0; i < 10; i++) assert_int_equal(plan_book(p, "step", 1000, 8, i, i + 1, NULL, NULL), CRIA_OK);
    assert_int_equal(plan_seal(p, NULL), CRIA_OK);
    assert_int_equal(plan_bytes(p), 2000);
    assert_int_equal(plan_booked_bytes(p), 10000);
    plan_destroy(&p);
}

/* Catches pointers outside the allocation or not aligned, in small and in huge-page plans. */
static void test_bound_pointers_can_be_written(void **state) {
    (void)state;
    for (size_t bytes = 100; bytes < (size_t)8 << 20; bytes *= 100) {
        plan *p = NULL;
        assert_int_equal(plan_create(&p, NULL), CRIA_OK);
        for (int i = 0; i < 3; i++) assert_int_equal(plan_book(p, "b", bytes, 64, 0, 1, NULL, NULL), CRIA_OK);
        assert_int_equal(plan_seal(p, NULL), CRIA_OK);
        assert_int_equal(plan_allocate(p, "test", NULL), CRIA_OK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal((uintptr_t)plan_bind(p, i) % 64, 0);
            memset(plan_bind(p, i), i, bytes);
        }
        for (int i = 0; i < 3; i++) {
            const uint8_t *data = plan_bind(p, i);
            assert_true(data[0] == i && data[bytes - 1] == i);
        }
        plan_destroy(&p);
    }
}

/* Catches sizes that wrap around, and a leak where memory ends midway. */
static void test_overflow_and_no_memory(void **state) {
    (void)state;
    struct cria_error err = {0};
    plan *p = NULL;
    assert_int_equal(plan_create(&p, NULL), CRIA_OK);
    assert_int_equal(plan_book(p, "vast", SIZE_MAX, 8, 0, 1, NULL, &err), CRIA_LIMIT);
    assert_non_null(strstr(err.text, "vast"));
    assert_int_equal(plan_book(p, "b", SIZE_MAX / 2, 8, 0, 1, NULL, NULL), CRIA_OK);
    assert_int_equal(plan_book(p, "c", SIZE_MAX / 2, 8, 0, 1, NULL, NULL), CRIA_OK);
    assert_int_equal(plan_book(p, "d", 16, 8, 0, 1, NULL, NULL), CRIA_LIMIT);
    plan_destroy(&p);
    for (uint64_t n = 1; n <= 4; n++) {
        alloc_fail_at(n);
        cria_status status = plan_create(&p, NULL);
        if (status == CRIA_OK) status = plan_book(p, "b", 100, 8, 0, 1, NULL, NULL);
        if (status == CRIA_OK) status = plan_seal(p, NULL);
        if (status == CRIA_OK) status = plan_allocate(p, "test", NULL);
        alloc_fail_at(0);
        assert_int_equal(status, CRIA_NOMEM);
        plan_destroy(&p);
    }
}

/* Catches memory that is not zero, or not given back (the sanitizer sees a leak). */
static void test_pages(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 4096, (size_t)2 << 20, ((size_t)5 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pages p = {0};
        assert_int_equal(pages_get(&p, sizes[i], "test", NULL), CRIA_OK);
        const uint8_t *data = p.data;
        assert_true((uintptr_t)data % PAGES_ALIGNMENT == 0 && data[0] == 0 && data[p.n_bytes - 1] == 0);
        pages_release(&p);
        assert_null(p.data);
    }
    struct pages p = {0};
    struct cria_error err = {0};
    assert_int_equal(pages_get(&p, SIZE_MAX - 5, "everything", &err), CRIA_NOMEM);
    assert_non_null(strstr(err.text, "everything"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_plans_never_overlap),
        cmocka_unit_test(test_disjoint_lifetimes_share),
        cmocka_unit_test(test_bound_pointers_can_be_written),
        cmocka_unit_test(test_overflow_and_no_memory),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
