/* pack.c: see pack.h. Open rows hang in lists by the room they have left; a bit for each length says which lists are
 * not empty, and a bit for each 64 of those which words are not zero. */
#include "data/pack.h"

#include <string.h>

#include "base/alloc.h"

#define NONE UINT32_MAX

struct open_row {
    uint32_t last_piece; /* of the row, linked backwards */
    uint32_t next_row;   /* with the same room */
    uint32_t n_pieces, room;
};

struct pack {
    int seq_len;
    pack_row_fn *on_row;
    void *arg;
    struct data_piece *pieces; /* owned, [PACK_WINDOW] */
    uint32_t n_pieces;
    uint32_t *order;         /* owned, [PACK_WINDOW]: the pieces, longest first */
    uint32_t *earlier;       /* owned, [PACK_WINDOW]: the piece before this one in its row */
    struct open_row *rows;   /* owned, [PACK_WINDOW] */
    uint32_t *heads;         /* owned, [seq_len + 1]: the first row with that room; counts while sorting */
    uint64_t *bits, *groups; /* owned */
    size_t n_groups;
    struct data_piece *row; /* owned, [seq_len]: a row that is handed out */
};

cria_status pack_create(pack **ret, int seq_len, pack_row_fn *on_row, void *arg, struct cria_error *err) {
    if (seq_len < 1 || seq_len > DATA_MAX_LENGTH)
        return ERROR_SET(err, CRIA_RANGE, "rows of %d ids; expected 1 to %d", seq_len, DATA_MAX_LENGTH);
    pack *p = ALLOC_NEW(pack);
    if (!p) return ERROR_NOMEM(err, sizeof *p, "packing");
    const size_t n = (size_t)seq_len + 1;
    p->seq_len = seq_len;
    p->on_row = on_row;
    p->arg = arg;
    p->n_groups = n / 4096 + 1;
    p->pieces = alloc_array(PACK_WINDOW, sizeof *p->pieces);
    p->order = alloc_array(PACK_WINDOW, sizeof *p->order);
    p->earlier = alloc_array(PACK_WINDOW, sizeof *p->earlier);
    p->rows = alloc_array(PACK_WINDOW, sizeof *p->rows);
    p->heads = alloc_array(n + 1, sizeof *p->heads);
    p->bits = alloc_array(p->n_groups * 64, sizeof *p->bits);
    p->groups = alloc_array(p->n_groups, sizeof *p->groups);
    p->row = alloc_array(n, sizeof *p->row);
    if (!p->pieces || !p->order || !p->earlier || !p->rows || !p->heads || !p->bits || !p->groups || !p->row) {
        pack_destroy(&p);
        return ERROR_NOMEM(err, PACK_WINDOW * 40 + n * 8, "packing");
    }
    *ret = p;
    return CRIA_OK;
}

void pack_destroy(pack **at) {
    pack *p = *at;
    if (!p) return;
    *at = NULL;
    alloc_free(p->pieces);
    alloc_free(p->order);
    alloc_free(p->earlier);
    alloc_free(p->rows);
    alloc_free(p->heads);
    alloc_free(p->bits);
    alloc_free(p->groups);
    alloc_free(p->row);
    alloc_free(p);
}

/* Fills order: by length, longest first, equal ones as they came (counting sort). */
static void sort_pieces(pack *p) {
    const size_t n = (size_t)p->seq_len + 1;
    memset(p->heads, 0, (n + 1) * sizeof *p->heads);
    for (uint32_t i = 0; i < p->n_pieces; i++) p->heads[n - p->pieces[i].n]++; /* place 0 is not used: n <= seq_len */
    for (size_t i = 1; i <= n; i++) p->heads[i] += p->heads[i - 1];
    for (uint32_t i = 0; i < p->n_pieces; i++) p->order[p->heads[n - p->pieces[i].n - 1]++] = i;
}

/* The smallest room of at least `length` that an open row has, or 0. */
static uint32_t find_room(const pack *p, uint32_t length) {
    size_t word = length / 64;
    uint64_t found = p->bits[word] & (UINT64_MAX << (length % 64));
    if (!found) {
        size_t group = ++word / 64;
        if (group >= p->n_groups) return 0;
        uint64_t words = p->groups[group] & (UINT64_MAX << (word % 64));
        while (!words && ++group < p->n_groups) words = p->groups[group];
        if (!words) return 0;
        word = group * 64 + (size_t)__builtin_ctzll(words);
        found = p->bits[word];
    }
    return (uint32_t)(word * 64 + (size_t)__builtin_ctzll(found));
}

static void hang(pack *p, uint32_t row) {
    const uint32_t room = p->rows[row].room;
    p->rows[row].next_row = p->heads[room];
    p->heads[room] = row;
    p->bits[room / 64] |= (uint64_t)1 << (room % 64);
    p->groups[room / 4096] |= (uint64_t)1 << (room / 64 % 64);
}

/* Takes the row that came last off the list of that room. */
static uint32_t unhang(pack *p, uint32_t room) {
    const uint32_t row = p->heads[room];
    p->heads[room] = p->rows[row].next_row;
    if (p->heads[room] == NONE) {
        p->bits[room / 64] &= ~((uint64_t)1 << (room % 64));
        if (!p->bits[room / 64]) p->groups[room / 4096] &= ~((uint64_t)1 << (room / 64 % 64));
    }
    return row;
}

/* Puts all pieces of the window into rows; returns how many. */
static uint32_t fit(pack *p) {
    uint32_t n_rows = 0;
    memset(p->heads, 0xff, ((size_t)p->seq_len + 1) * sizeof *p->heads);
    memset(p->bits, 0, p->n_groups * 64 * sizeof *p->bits);
    memset(p->groups, 0, p->n_groups * sizeof *p->groups);
    for (uint32_t i = 0; i < p->n_pieces; i++) {
        const uint32_t piece = p->order[i], length = p->pieces[piece].n, room = find_room(p, length);
        const uint32_t row = room ? unhang(p, room) : n_rows++;
        if (!room) p->rows[row] = (struct open_row){.last_piece = NONE, .room = (uint32_t)p->seq_len};
        p->earlier[piece] = p->rows[row].last_piece;
        p->rows[row].last_piece = piece;
        p->rows[row].n_pieces++;
        p->rows[row].room -= length;
        if (p->rows[row].room > 0) hang(p, row);
    }
    return n_rows;
}

cria_status pack_flush(pack *p, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (p->n_pieces == 0) return CRIA_OK;
    sort_pieces(p);
    const uint32_t n_rows = fit(p);
    for (uint32_t i = 0; i < n_rows; i++) {
        uint32_t at = p->rows[i].n_pieces;
        for (uint32_t piece = p->rows[i].last_piece; piece != NONE; piece = p->earlier[piece])
            p->row[--at] = p->pieces[piece];
        TRY(p->on_row(p->arg, p->row, (int)p->rows[i].n_pieces, err));
    }
    p->n_pieces = 0;
out:
    return status;
}

cria_status pack_add(pack *p, uint64_t first_token, uint32_t n_tokens, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (n_tokens < 2) return CRIA_OK;
    uint32_t left = n_tokens - 1;
    const uint32_t seq_len = (uint32_t)p->seq_len;
    for (; left >= seq_len; left -= seq_len, first_token += seq_len) {
        const struct data_piece whole = {.first_token = first_token, .n = seq_len};
        TRY(p->on_row(p->arg, &whole, 1, err));
    }
    if (left == 0) return CRIA_OK;
    if (p->n_pieces == PACK_WINDOW) TRY(pack_flush(p, err));
    p->pieces[p->n_pieces++] = (struct data_piece){.first_token = first_token, .n = left};
out:
    return status;
}
