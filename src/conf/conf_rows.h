/* conf_rows.h: what the files of option rows share; for the files of conf/ only.
 *
 * Options stand in one file for each area of the program, each an array over a run of enum conf_id: conf_rows_run.c
 * from the first id to CONF_RUN_END, and so on; conf_table.c joins them. A new area adds its ids to conf.h with an
 * X_END behind them, its array here, and a line in conf_table.c. A name may stand in two areas where no command takes
 * both. */
#ifndef CONF_ROWS_H
#define CONF_ROWS_H

#include "conf/conf.h"

#define IN(command) (UINT64_C(1) << CONF_##command)
#define IN_ALL (~UINT64_C(0))

extern const struct conf_option conf_rows_run[CONF_RUN_END];
extern const struct conf_option conf_rows_tokenizer[CONF_TOKENIZER_END - CONF_TOKENIZER_FIRST];
extern const struct conf_option conf_rows_report[CONF_REPORT_END - CONF_REPORT_FIRST];
extern const struct conf_option conf_rows_plan[CONF_PLAN_END - CONF_PLAN_FIRST];
extern const struct conf_option conf_rows_train[CONF_TRAIN_END - CONF_TRAIN_FIRST];
extern const struct conf_option conf_rows_data[CONF_DATA_END - CONF_DATA_FIRST];

#endif
