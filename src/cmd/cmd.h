/* cmd.h: the subcommands of `cria`, one thin file each, behind one table in main.c.
 *
 * A command reads its options, composes the modules below and writes its result to standard output; everything else
 * (notices, progress, the error that ends it) goes to standard error. It returns a status; main() turns that into the
 * exit status: 0 success, 1 failure, 2 wrong usage. This is the only module that prints. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/error.h"
#include "conf/conf.h"

typedef cria_status cmd_fn(const struct conf *c, struct cria_error *err);

cmd_fn cmd_bench;
cmd_fn cmd_chat;
cmd_fn cmd_completion;
cmd_fn cmd_data_build;
cmd_fn cmd_data_check;
cmd_fn cmd_data_get;
cmd_fn cmd_data_has;
cmd_fn cmd_detokenize;
cmd_fn cmd_doctor;
cmd_fn cmd_generate;
cmd_fn cmd_inspect;
cmd_fn cmd_list;
cmd_fn cmd_options;
cmd_fn cmd_perplexity;
cmd_fn cmd_plan_calibrate;
cmd_fn cmd_plan_compare;
cmd_fn cmd_plan_predict;
cmd_fn cmd_plan_serve;
cmd_fn cmd_plan_site;
cmd_fn cmd_plan_train;
cmd_fn cmd_pull;
cmd_fn cmd_report;
cmd_fn cmd_rm;
cmd_fn cmd_template;
cmd_fn cmd_tokenize;
cmd_fn cmd_tokenizer_eval;
cmd_fn cmd_tokenizer_train;
cmd_fn cmd_train;
cmd_fn cmd_verify;
cmd_fn cmd_version;

#endif
