/* pack.h: documents into rows of at most seq_len ids, by best fit.
 *
 * A document of n ids gives n - 1 inputs (its last id is only a target). Stretches of seq_len inputs become rows of
 * their own at once; what remains at the document's end is kept, and every PACK_WINDOW of such pieces are packed
 * together: longest first, each into the fullest row that still has room for it (best-fit decreasing, as Ding et al.,
 * "Fewer Truncations Improve Language Modeling", 2024, do for language models). So no document is cut but where it is
 * longer than a row. Memory: about 40 bytes a piece of the window and 8 bytes for each length up to seq_len. */
#ifndef DATA_PACK_H
#define DATA_PACK_H

#include <stdint.h>

#include "base/error.h"
#include "data/data_manifest.h"

#define PACK_WINDOW (1 << 20)

typedef struct pack pack;

/* What is done with a finished row: its pieces in order. */
typedef cria_status pack_row_fn(void *arg, const struct data_piece *pieces, int n, struct cria_error *err);

CRIA_MUST_CHECK cria_status pack_create(pack **ret, int seq_len, pack_row_fn *on_row, void *arg,
                                        struct cria_error *err);
void pack_destroy(pack **p);
/* A document's ids first_token to first_token + n_tokens - 1; one of fewer than two gives nothing. */
CRIA_MUST_CHECK cria_status pack_add(pack *p, uint64_t first_token, uint32_t n_tokens, struct cria_error *err);
/* Finishes all rows; more documents may follow, in rows of their own. */
CRIA_MUST_CHECK cria_status pack_flush(pack *p, struct cria_error *err);

#endif
