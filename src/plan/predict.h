/* predict.h: published runs in, the same rows with predictions out.
 *
 * A row's columns are those of tests/plan/published-runs.csv (its README explains them); any may be missing or empty.
 * Of a row only what a user would know before the run is read: the list is in predict_columns.c, and no measured column
 * is in it. What is not stated is assumed as a competent user of that software would choose it. A row that cannot be
 * predicted gets empty cells and a reason; it never fails the file. */
#ifndef PLAN_PREDICT_H
#define PLAN_PREDICT_H

#include "base/buffer.h"
#include "base/error.h"
#include "plan/hardware.h"
#include "plan/planner.h"

/* The whole of a CSV file (n bytes) with the columns pred_step_time_s, pred_mfu, pred_memory_gib_per_gpu and
 * pred_tokens_per_s_per_gpu, each with _low and _high, and pred_reason added; other cells are kept as they are.
 * FORMAT where the text is no table. */
CRIA_MUST_CHECK cria_status predict_csv(const plan_hardware *hw, const char *text, size_t n, struct buffer *out,
                                        struct cria_error *err);

#endif
