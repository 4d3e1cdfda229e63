/* pack_test.c: packing, held to a slow best-fit-decreasing that searches all open rows. */
#include "data/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { MOST = 3000 };

struct taken {
    int rooms[MOST]; /* what each row has left, in the order of the rows */
    int n_rows, n_whole, seq_len;
    uint64_t n_ids;
    uint8_t *seen; /* of each id, as an input */
};

static cria_status take_row(void *arg, const struct data_piece *pieces, int n, struct cria_error *err) {
    (void)err;
    struct taken *t = arg;
    int room = t->seq_len;
    for (int i = 0; i < n; i++) {
        assert_true(pieces[i].n > 0);
        room -= (int)pieces[i].n;
        t->n_ids += pieces[i].n;
        for (uint32_t k = 0; k < pieces[i].n; k++) assert_int_equal(t->seen[pieces[i].first_token + k]++, 0);
    }
    assert_true(room >= 0);
    if (n == 1 && room == 0 && t->n_rows == t->n_whole) t->n_whole++;
    t->rooms[t->n_rows++] = room;
    return CRIA_OK;
}

static int descending(const void *a, const void *b) { return *(const int *)b - *(const int *)a; }

/* The rooms that remain when lengths, longest first, go each into the fullest row that can take it. */
static int slow_fit(int *lengths, int n, int seq_len, int *rooms) {
    int n_rows = 0;
    qsort(lengths, (size_t)n, sizeof *lengths, descending);
    for (int i = 0; i < n; i++) {
        int best = -1;
        for (int r = 0; r < n_rows; r++)
            if (rooms[r] >= lengths[i] && (best < 0 || rooms[r] < rooms[best])) best = r;
        if (best < 0) {
            best = n_rows;
            rooms[n_rows++] = seq_len;
        }
        rooms[best] -= lengths[i];
    }
    return n_rows;
}

/* Catches: an id lost or doubled, a row too long, a piece put where a fuller row had room, at lengths around the words
 * of the bitmap. */
static void rows_are_the_best_fit(void **state) {
    (void)state;
    static const int lengths[] = {1, 2, 7, 63, 64, 65, 127, 1000, 4095, 4096, 5000};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        const int seq_len = lengths[l];
        int wanted[MOST], rooms[MOST], n_wanted = 0, n_whole = 0;
        struct taken *t = calloc(1, sizeof *t);
        struct cria_error err;
        pack *p;
        uint64_t at = 0, n_inputs = 0;
        t->seq_len = seq_len;
        t->seen = calloc(8000000, 1);
        assert_int_equal(pack_create(&p, seq_len, take_row, t, &err), CRIA_OK);
        for (uint64_t i = 0; i < 300; i++) {
            const uint32_t n =
                (uint32_t)(random_u64(l, RANDOM_TEST, i) % (uint64_t)(2 * seq_len < 9 ? 9 : 2 * seq_len));
            if (n > 1 && (int)(n - 1) / seq_len + t->n_rows >= MOST - 300) break;
            assert_int_equal(pack_add(p, at, n, &err), CRIA_OK);
            at += n;
            if (n < 2) continue;
            n_inputs += n - 1;
            n_whole += (int)(n - 1) / seq_len;
            if ((int)(n - 1) % seq_len) wanted[n_wanted++] = (int)(n - 1) % seq_len;
        }
        assert_int_equal(t->n_rows, n_whole);
        assert_int_equal(pack_flush(p, &err), CRIA_OK);
        assert_int_equal(t->n_ids, n_inputs);
        const int n_rows = slow_fit(wanted, n_wanted, seq_len, rooms);
        assert_int_equal(t->n_rows - n_whole, n_rows);
        qsort(rooms, (size_t)n_rows, sizeof *rooms, descending);
        qsort(t->rooms + n_whole, (size_t)n_rows, sizeof *rooms, descending);
        assert_memory_equal(rooms, t->rooms + n_whole, (size_t)n_rows * sizeof *rooms);
        pack_destroy(&p);
        free(t->seen);
        free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_the_best_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
