/* llama_plan_test.c: a session's memory is the table of activations, with the bytes of the device, and a few tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "llama/llama_private.h"

enum { ROWS = 7, LOGITS = 3 };

/* A model of some shape without weights, described for this machine. */
static void make_shape(llama_model *m, enum llama_compute compute, bool tied) {
    *m = (llama_model){.config = {.d_model = 96,
                                  .n_layers = 2,
                                  .n_heads = 6,
                                  .n_kv_heads = 2,
                                  .head_size = 24,
                                  .d_ff = 200,
                                  .n_vocab = 50,
                                  .n_context = 128,
                                  .norm_eps = 1e-5,
                                  .tied = tied,
                                  .rope = {.kind = ARCH_ROPE_PLAIN, .theta = 10000}},
                       .compute = compute};
    assert_int_equal(arch_config_check(&m->config, NULL), CRIA_OK);
    assert_int_equal(device_create_cpu(&m->dev, &(struct device_options){0}, NULL), CRIA_OK);
    m->layers = alloc_zeroed(2, sizeof *m->layers);
    assert_non_null(m->layers);
    llama_load_describe(m, NULL);
}

static void free_shape(llama_model *m) {
    alloc_free(m->layers);
    device_destroy(&m->dev);
}

static plan *book(const llama_model *m, struct llama_books *books) {
    struct llama_session_options o = {
        .max_rows = ROWS, .max_logits = LOGITS, .kv_tokens = 64, .max_sequences = 2, .max_context = 64};
    plan *p = NULL;
    assert_int_equal(llama_plan_options(&m->config, m->compute, &o, NULL), CRIA_OK);
    assert_int_equal(llama_plan_book(m, &o, &p, books, NULL), CRIA_OK);
    return p;
}

/* The numbers of a row as the table has them, without what a device adds. */
static size_t plain_bytes(const llama_model *m, const struct arch_activation_row *row) {
    const bool is_f32 = row->number == ARCH_NUMBER_F32 || m->compute == LLAMA_COMPUTE_F32;
    return (size_t)arch_letter_value(&m->config, row->columns, ROWS, LOGITS) * (is_f32 ? 4 : 2);
}

static void check_booking(const llama_model *m, const plan *p, int booking, const struct arch_activation_row *row) {
    const struct plan_booking b = plan_booking_at(p, booking);
    const size_t n_rows = row->rows == ARCH_LETTER_N ? LOGITS : ROWS;
    assert_string_equal(b.name, row->name);
    assert_int_equal(b.first_use, row->first_use);
    assert_int_equal(b.last_use, row->last_use);
    assert_true(b.n_bytes >= n_rows * plain_bytes(m, row));
    if (row->number == ARCH_NUMBER_F32) assert_int_equal(b.n_bytes, n_rows * plain_bytes(m, row));
}

/* Catches a value of the forward pass that is booked beside the table, or a row of the table that is not booked, is too
 * small, or lives for other stages than the table says. */
static void test_bookings_are_the_table(void **state) {
    (void)state;
    for (int round = 0; round < 4; round++) {
        llama_model m;
        struct llama_books books;
        make_shape(&m, round & 1 ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_BF16, round & 2);
        plan *p = book(&m, &books);
        int n_booked = 0, n_staged = 0;
        for (int a = 0; a < ARCH_A_COUNT; a++) {
            const struct arch_activation_row *row = arch_activation_row((enum arch_activation)a);
            if (row->place != ARCH_PLACE_BOOKED) continue;
            check_booking(&m, p, books.activations[a], row);
            n_booked++;
        }
        for (int i = 0; i < plan_count(p); i++) {
            const struct plan_booking b = plan_booking_at(p, i);
            if (b.last_use != PLAN_ALWAYS_LAST) n_staged++;
        }
        assert_int_equal(n_staged, n_booked + 1); /* the attention's scratch */
        plan_destroy(&p);
        free_shape(&m);
    }
}

/* Catches rows of the table that would overwrite one another while both are needed. */
static void test_lives_do_not_overlap(void **state) {
    (void)state;
    llama_model m;
    struct llama_books books;
    make_shape(&m, LLAMA_COMPUTE_BF16, false);
    plan *p = book(&m, &books);
    assert_true(plan_bytes(p) < plan_booked_bytes(p)); /* something is shared at all */
    for (int i = 0; i < plan_count(p); i++)
        for (int j = 0; j < i; j++) {
            const struct plan_booking a = plan_booking_at(p, i), b = plan_booking_at(p, j);
            const bool meet = a.first_use <= b.last_use && b.first_use <= a.last_use;
            const bool touch = a.offset < b.offset + b.n_bytes && b.offset < a.offset + a.n_bytes;
            if (meet && touch) fail_msg("%s and %s share bytes", a.name, b.name);
        }
    plan_destroy(&p);
    free_shape(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bookings_are_the_table),
        cmocka_unit_test(test_lives_do_not_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
