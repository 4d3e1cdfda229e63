/* data_rows.h: what training reads: rows of token ids with their targets, in an order that only the data and a seed
 * decide.
 *
 * A data folder (`cria data build`, docs/FORMATS.md, "Data folder") holds documents as runs of ids and, for each row
 * length, how pieces of documents were packed into rows. A row is a list of pieces; a piece is a stretch of one
 * document and a document of its own for attention: positions restart at it and nothing sees across its edges.
 *
 * What a caller may believe:
 *
 *   1. The target of a position is the next id of its document, also where the document goes on in another row; so
 * every id of a document but its first is predicted exactly once a pass. -1 where there is no next id.
 *   2. A phase is a run of rows of one length. Row number i of a phase depends on the folder, the phases and the seed,
 *      and on nothing else: number of ranks, micro-batches, interruptions. A cursor is a phase and a number.
 *   3. Inside a phase no row comes twice before all rows of its source came once (a keyed permutation, by a Feistel
 *      network over Philox); a later phase of the same length goes on where the earlier one stopped.
 *   4. A folder is opened only whole: every file has the size and, unless told otherwise, the SHA-256 that the manifest
 *      says; afterwards rows_get() refuses a file that was written or cut. Each refusal names the file.
 *
 * Rows from a file of ids (`--rows`) stand behind the same face: one phase, file order, each line one piece.
 * After opening any number of threads may call rows_get(), each with a row of its own. */
#ifndef DATA_DATA_ROWS_H
#define DATA_DATA_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ROWS_MAX_PHASES 64
#define ROWS_MAX_SOURCES 256
#define ROWS_MAX_LENGTH (1 << 22) /* ids in a row */

/* A stretch of one document inside a row: positions restart at 0 here. */
struct rows_piece {
    int first, n;
};

struct rows_row {
    int32_t *ids;              /* owned, [n_tokens] */
    int32_t *targets;          /* owned, [n_tokens]: the next id of the document, or -1 */
    int n_tokens;              /* 1 to the row length */
    struct rows_piece *pieces; /* owned, [n_pieces], in order, covering all tokens */
    int n_pieces;
    int n_targets;   /* how many targets are not -1 */
    int64_t n_bytes; /* bytes of text that those targets stand for (special tokens: 0); -1: not known */
    int source;      /* index of the row's source, -1: none */
    int capacity;    /* tokens and pieces that there is room for */
    void *scratch;   /* owned: what rows_get() reads from a file before it checks it */
};

/* One phase as the run asks for it. */
struct rows_phase_options {
    const char *name;      /* borrowed while opening; NULL: "1", "2", ... */
    int seq_len;           /* one that the folder was packed for; 0: the only one */
    double rope_base;      /* handed through to rows_phase; 0: the model's */
    const double *weights; /* [n_weights], one for each source of the folder in its order, >= 0, sum > 0; NULL: the
                              folder's own weights, or where it has none, every row once */
    int n_weights;
    uint64_t n_rows; /* 0: with weights NULL every row once; else as many as bring the scarcest source once */
};

struct rows_options {
    const struct rows_phase_options *phases; /* [n_phases]; n_phases 0: one phase of all defaults */
    int n_phases;
    uint64_t seed;
    bool held_out;    /* the held-out documents instead of those to train on, in their own order, unpermuted */
    bool trust_files; /* sizes are checked, digests are not: for huge folders that were checked before */
};

/* One phase as it is. */
struct rows_phase {
    const char *name; /* borrowed from the rows */
    int seq_len;
    double rope_base;
    uint64_t n_rows;
    uint64_t n_tokens; /* expected: rows times the mean fill of their sources; exact where every row comes once */
};

struct rows_cursor {
    int phase;
    uint64_t number;
};

typedef struct rows rows;

/* Opens a data folder. options NULL: one phase, all rows once, seed 0. FORMAT, IO, NOTFOUND name the file; USAGE a
 * phase that asks for what the folder does not have. */
CRIA_MUST_CHECK cria_status rows_open(rows **ret, const char *folder, const struct rows_options *options,
                                      struct cria_error *err);
/* Opens a file of lines {"ids": [...]}, other keys ignored. Every id must lie in [0, n_vocab). max_length: LIMIT where
 * a line has more ids. token_bytes ([n_vocab], copied) gives n_bytes; NULL: -1. The whole file is read and held. */
CRIA_MUST_CHECK cria_status rows_open_lines(rows **ret, const char *path, int n_vocab, int max_length,
                                            const uint16_t *token_bytes, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void rows_close(rows **r);

/* Room for any row of r in *row, which starts zeroed. */
CRIA_MUST_CHECK cria_status rows_row_make(const rows *r, struct rows_row *row, struct cria_error *err);
void rows_row_free(struct rows_row *row);

/* The row at the cursor, into a row made by rows_row_make(). RANGE past the end of the last phase ("rows used up"); a
 * number past its phase's end is the next phase's. IO where a file changed since it was opened. */
CRIA_MUST_CHECK cria_status rows_get(const rows *r, struct rows_cursor at, struct rows_row *row,
                                     struct cria_error *err);
/* The cursor n rows later; past the end it is {n_phases, excess}. */
struct rows_cursor rows_advance(const rows *r, struct rows_cursor at, uint64_t n);
/* Rows from the cursor to the end of its phase. */
uint64_t rows_left_in_phase(const rows *r, struct rows_cursor at);

int rows_n_phases(const rows *r);
/* The i-th phase; borrowed. */
const struct rows_phase *rows_phase_at(const rows *r, int i);
uint64_t rows_total(const rows *r); /* rows of all phases */
int rows_max_length(const rows *r); /* of all phases, in tokens */
/* 1 + the largest id that may come: the tokenizer's size; of a file of lines n_vocab. */
int rows_n_vocab(const rows *r);
/* Lower-case hexadecimal SHA-256 that stands for all data: of manifest.json, or of the file of lines. Borrowed. */
const char *rows_digest(const rows *r);
/* The Merkle root over all documents, hexadecimal; "" for a file of lines. Borrowed. */
const char *rows_root(const rows *r);
/* Where the folder keeps the tokenizer it was built with; NULL for a file of lines. Borrowed. */
const char *rows_tokenizer_path(const rows *r);
int rows_n_sources(const rows *r);
const char *rows_source_name(const rows *r, int i); /* borrowed */
/* Whether there are rows that hold held-out documents of this length (0: of any). */
bool rows_has_held_out(const rows *r, int seq_len);

#endif
