/* rows.c: cursors, rows as memory, and what is said about the whole (see data_rows.h). Where rows come from is in
 * rows_folder.c and rows_lines.c, their order in rows_phases.c. */
#include "data/data_rows.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "data/rows_private.h"

static void close_file(struct rows_file *f) {
    if (f->path && f->fd >= 0) close(f->fd);
    alloc_free(f->path);
}

void rows_close(rows **rows_at) {
    rows *r = *rows_at;
    if (!r) return;
    *rows_at = NULL;
    for (int i = 0; i < r->n_plans; i++) {
        alloc_free(r->plans[i].name);
        alloc_free(r->plans[i].shares);
    }
    for (int i = 0; r->shards && i < r->manifest.n_shards; i++) close_file(&r->shards[i]);
    for (int i = 0; r->packings && i < r->manifest.n_packings; i++) {
        close_file(&r->packings[i].ends);
        close_file(&r->packings[i].pieces);
    }
    alloc_free(r->plans);
    alloc_free(r->shards);
    alloc_free(r->packings);
    alloc_free(r->tokenizer_path);
    alloc_free(r->token_bytes);
    alloc_free(r->ids);
    alloc_free(r->line_ends);
    data_manifest_free(&r->manifest);
    alloc_free(r);
}

cria_status rows_row_make(const rows *r, struct rows_row *row, struct cria_error *err) {
    const size_t n = (size_t)r->max_length;
    struct rows_row made = {.capacity = r->max_length, .source = -1};
    made.ids = alloc_array(n, sizeof *made.ids);
    made.targets = alloc_array(n, sizeof *made.targets);
    made.pieces = alloc_array(n, sizeof *made.pieces);
    made.scratch = alloc_array(n + 1, sizeof(struct data_piece));
    if (!made.ids || !made.targets || !made.pieces || !made.scratch) {
        rows_row_free(&made);
        return ERROR_NOMEM(err, n * (2 * sizeof(int32_t) + sizeof(struct rows_piece) + sizeof(struct data_piece)),
                           "a row");
    }
    *row = made;
    return CRIA_OK;
}

void rows_row_free(struct rows_row *row) {
    alloc_free(row->ids);
    alloc_free(row->targets);
    alloc_free(row->pieces);
    alloc_free(row->scratch);
    *row = (struct rows_row){0};
}

void rows_count(const rows *r, struct rows_row *row) {
    int64_t n_bytes = 0;
    row->n_targets = 0;
    for (int i = 0; i < row->n_tokens; i++) {
        if (row->targets[i] < 0) continue;
        row->n_targets++;
        if (r->token_bytes) n_bytes += r->token_bytes[row->targets[i]];
    }
    row->n_bytes = r->token_bytes ? n_bytes : -1;
}

/* Moves a number past its phase's end into the phase it lies in. */
static struct rows_cursor settle(const rows *r, struct rows_cursor at) {
    while (at.phase < r->n_plans && at.number >= r->plans[at.phase].face.n_rows)
        at.number -= r->plans[at.phase++].face.n_rows;
    return at;
}

static void get_line(const rows *r, uint64_t line, struct rows_row *row) {
    const uint64_t first = line ? r->line_ends[line - 1] : 0;
    const int n = (int)(r->line_ends[line] - first);
    memcpy(row->ids, r->ids + first, (size_t)n * sizeof *row->ids);
    memcpy(row->targets, r->ids + first + 1, (size_t)(n - 1) * sizeof *row->ids);
    row->targets[n - 1] = -1;
    row->n_tokens = n;
    row->pieces[0] = (struct rows_piece){0, n};
    row->n_pieces = 1;
    row->source = -1;
}

cria_status rows_get(const rows *r, struct rows_cursor at, struct rows_row *row, struct cria_error *err) {
    if (at.phase < 0) return ERROR_SET(err, CRIA_RANGE, "no phase %d", at.phase);
    CRIA_ASSERT(row->capacity >= r->max_length);
    at = settle(r, at);
    if (at.phase >= r->n_plans)
        return ERROR_SET(err, CRIA_RANGE, "rows used up: there are %llu, and row %llu more was asked for",
                         (unsigned long long)rows_total(r), (unsigned long long)at.number + 1);
    if (r->is_lines) get_line(r, at.number, row);
    else {
        const cria_status status = rows_folder_get(r, at.phase, at.number, row, err);
        if (status != CRIA_OK) return status;
    }
    rows_count(r, row);
    return CRIA_OK;
}

struct rows_cursor rows_advance(const rows *r, struct rows_cursor at, uint64_t n) {
    at.number += n;
    return settle(r, at);
}

uint64_t rows_left_in_phase(const rows *r, struct rows_cursor at) {
    at = settle(r, at);
    return at.phase < r->n_plans ? r->plans[at.phase].face.n_rows - at.number : 0;
}

int rows_n_phases(const rows *r) { return r->n_plans; }
const struct rows_phase *rows_phase_at(const rows *r, int i) { return &r->plans[i].face; }

uint64_t rows_total(const rows *r) {
    uint64_t total = 0;
    for (int i = 0; i < r->n_plans; i++) total += r->plans[i].face.n_rows;
    return total;
}

int rows_max_length(const rows *r) { return r->max_length; }
int rows_n_vocab(const rows *r) { return r->n_vocab; }
const char *rows_digest(const rows *r) { return r->digest; }
const char *rows_root(const rows *r) { return r->manifest.root; }
const char *rows_tokenizer_path(const rows *r) { return r->tokenizer_path; }
int rows_n_sources(const rows *r) { return r->manifest.n_sources; }
const char *rows_source_name(const rows *r, int i) { return r->manifest.sources[i].name; }

bool rows_has_held_out(const rows *r, int seq_len) {
    for (int i = 0; i < r->manifest.n_packings; i++) {
        const struct data_packing *p = &r->manifest.packings[i];
        if (seq_len && p->seq_len != seq_len) continue;
        for (int g = 0; g < p->n_groups; g++)
            if (p->groups[g].is_held_out) return true;
    }
    return false;
}
