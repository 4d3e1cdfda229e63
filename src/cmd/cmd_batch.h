/* cmd_batch.h: --jsonl for generate and perplexity: a line in, a line out, N at once, in input order, resumable. */
#ifndef CMD_CMD_BATCH_H
#define CMD_CMD_BATCH_H

#include "cmd/cmd_request.h"

/* Loads the model, runs every line and writes the results. A line that cannot be computed gives an object with `error`,
 * and the status at the end is FORMAT with the number of such lines. */
CRIA_MUST_CHECK cria_status cmd_batch(const struct conf *c, struct cmd_model *m, const struct cmd_settings *settings,
                                      int64_t context, struct cria_error *err);

#endif
