/* predict_columns.h: the columns that a prediction may read; private to predict*.c. */
#ifndef PLAN_PREDICT_COLUMNS_H
#define PLAN_PREDICT_COLUMNS_H

#include "plan/csv_table.h"
#include "plan/planner.h"

enum predict_column {
    PREDICT_ID,
    PREDICT_KIND,
    PREDICT_SOURCE,
    PREDICT_NOTES,
    PREDICT_DATE,
    PREDICT_MODEL,
    PREDICT_PARAMS_TOTAL,
    PREDICT_PARAMS_ACTIVE,
    PREDICT_LAYERS,
    PREDICT_DIM,
    PREDICT_FFN,
    PREDICT_HEADS,
    PREDICT_KV_HEADS,
    PREDICT_VOCAB,
    PREDICT_SEQ_LEN,
    PREDICT_GPU,
    PREDICT_NUM_GPUS,
    PREDICT_PRECISION,
    PREDICT_DP,
    PREDICT_TP,
    PREDICT_PP,
    PREDICT_CP,
    PREDICT_EP,
    PREDICT_MICRO_BATCH,
    PREDICT_BATCH_TOKENS,
    PREDICT_RECOMPUTE,
    PREDICT_COLUMN_COUNT
};

/* A row as predictions see it. */
struct predict_row {
    const csv_table *table; /* borrowed */
    const int *columns;     /* borrowed: where each column stands in the table, -1: nowhere */
    size_t i;
};

/* Where the columns stand in a table. */
void predict_columns_find(const csv_table *t, int columns[PREDICT_COLUMN_COUNT]);
/* The cell's text; "" where there is none. */
const char *predict_columns_text(const struct predict_row *row, enum predict_column column);
/* The cell as a number: 0 where it is empty or no positive number ("1.5e9", "15.6T" and "8K" are numbers). */
double predict_columns_number(const struct predict_row *row, enum predict_column column);
/* The number behind `word` in the notes ("VP=8"), or -1; "VP=n/a" is 0. */
double predict_columns_noted(const struct predict_row *row, const char *word);
/* Whether the source, the notes or the model's name hold a word, in any case. */
bool predict_columns_mention(const struct predict_row *row, const char *word);

/* The model of a row: by its columns, its name, its parameters, whichever it gives. NOTFOUND where it gives none. */
CRIA_MUST_CHECK cria_status predict_model(const struct predict_row *row, struct plan_model *ret,
                                          struct cria_error *err);
/* The whole run of a training row; layout and all. */
CRIA_MUST_CHECK cria_status predict_train(const struct predict_row *row, const plan_hardware *hw,
                                          struct plan_train *ret, struct cria_error *err);
/* How the row's source counts attention in its model FLOPs. */
enum plan_attention_count predict_attention_count(const struct predict_row *row, const struct plan_train *t);
/* The format of products that a text names, NONE where it names none; of several the lowest that the chip has. */
enum plan_precision predict_precision(const char *text, const struct plan_chip *chip);

#endif
