/* conf.h: every option of the program, once.
 *
 * One table (conf_table.c) says for each option its name, type, default, range, help, which commands take it and
 * whether it changes results. The command line, --help, shell completion and docs/OPTIONS.md are made from it, so they
 * cannot disagree. Values arrive through one door, conf_set(), with where they came from; a configuration file is one
 * more caller of it.
 *
 * Callers may believe: after conf_parse() every value is inside its range, every word is one of its list, and an option
 * that the command does not take is not set. This module knows nothing of models and never opens a file.
 * Thread rules: a struct conf is read-only after parsing. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"

enum conf_command {
    CONF_COMMAND_NONE,
    CONF_CHAT,
    CONF_GENERATE,
    CONF_PERPLEXITY,
    CONF_TOKENIZE,
    CONF_DETOKENIZE,
    CONF_TOKENIZER_TRAIN,
    CONF_TOKENIZER_EVAL,
    CONF_DATA_BUILD,
    CONF_DATA_HAS,
    CONF_DATA_CHECK,
    CONF_DATA_GET,
    CONF_TEMPLATE,
    CONF_PULL,
    CONF_LIST,
    CONF_RM,
    CONF_INSPECT,
    CONF_BENCH,
    CONF_REPORT,
    CONF_PLAN_TRAIN,
    CONF_PLAN_SERVE,
    CONF_PLAN_SITE,
    CONF_PLAN_COMPARE,
    CONF_PLAN_CALIBRATE,
    CONF_PLAN_PREDICT,
    CONF_DOCTOR,
    CONF_COMPLETION,
    CONF_OPTIONS,
    CONF_VERSION,
    CONF_TRAIN,
    CONF_VERIFY,
    CONF_COMMAND_COUNT
};

struct conf_command_row {
    const char *name;      /* one word, or two: "tokenizer train" */
    const char *arguments; /* as in the usage line: "SOURCE"; "" for none */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs for --help; lines of at most 96 columns */
    const char *examples;  /* lines without indentation */
    int min_arguments, max_arguments;
    bool is_hidden; /* not in the list of commands */
};

enum conf_id {
    CONF_ID_NONE,
    CONF_MODEL,
    CONF_PROMPT,
    CONF_SYSTEM,
    CONF_IDS,
    CONF_FILE,
    CONF_JSONL,
    CONF_TEMPLATE_FILE,
    CONF_LOAD,
    CONF_SPECIAL,
    CONF_BOS,
    CONF_CONTEXT,
    CONF_STRIDE,
    CONF_MAX_TOKENS,
    CONF_TEMPERATURE,
    CONF_TOP_K,
    CONF_TOP_P,
    CONF_MIN_P,
    CONF_TYPICAL,
    CONF_REPETITION_PENALTY,
    CONF_PRESENCE_PENALTY,
    CONF_FREQUENCY_PENALTY,
    CONF_PENALTY_WINDOW,
    CONF_LOGIT_BIAS,
    CONF_SEED,
    CONF_STOP,
    CONF_IGNORE_EOS,
    CONF_THREADS,
    CONF_CPU_MASK,
    CONF_COMPUTE,
    CONF_KV,
    CONF_PREFILL_CHUNK,
    CONF_BATCH,
    CONF_NO_PREFIX_CACHE,
    CONF_CHECK_TENSORS,
    CONF_JSON,
    CONF_LOGITS,
    CONF_TOP,
    CONF_OUTPUT,
    CONF_TENSORS,
    CONF_NAMES,
    CONF_NAME,
    CONF_SHA256,
    CONF_PROMPT_TOKENS,
    CONF_DEPTH,
    CONF_SEQUENCES,
    CONF_REPEAT,
    CONF_MARKDOWN,
    CONF_QUIET,
    CONF_HELP,
    CONF_RUN_END, /* of the options of conf_rows_run.c; the next area goes on from here (conf_rows.h) */
    CONF_TOKENIZER_FIRST = CONF_RUN_END,
    CONF_TOKENIZER_FILES = CONF_TOKENIZER_FIRST,
    CONF_TOKENIZER_FIELD,
    CONF_TOKENIZER_SEPARATOR,
    CONF_TOKENIZER_ITEMS,
    CONF_TOKENIZER_SIZE,
    CONF_TOKENIZER_MIN_COUNT,
    CONF_TOKENIZER_SPLITTER,
    CONF_TOKENIZER_SPECIAL,
    CONF_TOKENIZER_BOS,
    CONF_TOKENIZER_EOS,
    CONF_TOKENIZER_MAX_WORDS,
    CONF_TOKENIZER_THREADS,
    CONF_TOKENIZER_OUTPUT,
    CONF_TOKENIZER_BY_FILE,
    CONF_TOKENIZER_JSON,
    CONF_TOKENIZER_END, /* of conf_rows_tokenizer.c */
    CONF_REPORT_FIRST = CONF_TOKENIZER_END,
    CONF_REPORT_TITLE = CONF_REPORT_FIRST,
    CONF_REPORT_CO2,
    CONF_REPORT_PRICE,
    CONF_REPORT_CURRENCY,
    CONF_REPORT_BASELINES,
    CONF_REPORT_SAMPLES,
    CONF_REPORT_OUTPUT,
    CONF_REPORT_TENSORBOARD,
    CONF_REPORT_END, /* of conf_rows_report.c */
    CONF_PLAN_FIRST = CONF_REPORT_END,
    CONF_PLAN_MODEL = CONF_PLAN_FIRST,
    CONF_PLAN_GPU,
    CONF_PLAN_GPUS,
    CONF_PLAN_TOKENS,
    CONF_PLAN_USERS,
    CONF_PLAN_POWER_CAP,
    CONF_PLAN_PLACE,
    CONF_PLAN_PRECISION,
    CONF_PLAN_SOFTWARE,
    CONF_PLAN_SET,
    CONF_PLAN_SCENARIO,
    CONF_PLAN_HARDWARE,
    CONF_PLAN_KEYS,
    CONF_PLAN_JSON,
    CONF_PLAN_HTML,
    CONF_PLAN_CSV,
    CONF_PLAN_CONSTANTS,
    CONF_PLAN_OUTPUT,
    CONF_PLAN_END, /* of conf_rows_plan.c */
    CONF_TRAIN_FIRST = CONF_PLAN_END,
    CONF_TRAIN_OUT = CONF_TRAIN_FIRST,
    CONF_TRAIN_INIT,
    CONF_TRAIN_PRESET,
    CONF_TRAIN_WIDTH,
    CONF_TRAIN_LAYERS,
    CONF_TRAIN_HEADS,
    CONF_TRAIN_KV_HEADS,
    CONF_TRAIN_HEAD_SIZE,
    CONF_TRAIN_FF_WIDTH,
    CONF_TRAIN_VOCAB,
    CONF_TRAIN_CONTEXT,
    CONF_TRAIN_TIED,
    CONF_TRAIN_ROPE_BASE,
    CONF_TRAIN_DATA,
    CONF_TRAIN_ROWS,
    CONF_TRAIN_EVAL_DATA,
    CONF_TRAIN_SEQ_LEN,
    CONF_TRAIN_TRUST_FILES,
    CONF_TRAIN_SEED,
    CONF_TRAIN_STEPS,
    CONF_TRAIN_GLOBAL_BATCH,
    CONF_TRAIN_BATCH_RAMP,
    CONF_TRAIN_MICRO_BATCH,
    CONF_TRAIN_LEAVES,
    CONF_TRAIN_DTYPE,
    CONF_TRAIN_SCHEDULE,
    CONF_TRAIN_LR,
    CONF_TRAIN_MIN_LR,
    CONF_TRAIN_WARMUP,
    CONF_TRAIN_DECAY,
    CONF_TRAIN_OPTIMIZER,
    CONF_TRAIN_BETA1,
    CONF_TRAIN_BETA2,
    CONF_TRAIN_EPS,
    CONF_TRAIN_WEIGHT_DECAY,
    CONF_TRAIN_MOMENTUM,
    CONF_TRAIN_CLIP,
    CONF_TRAIN_RECOMPUTE,
    CONF_TRAIN_ON_NAN,
    CONF_TRAIN_ON_SPIKE,
    CONF_TRAIN_SPIKE,
    CONF_TRAIN_EVAL_EVERY,
    CONF_TRAIN_EVAL_ROWS,
    CONF_TRAIN_DIGEST_EVERY,
    CONF_TRAIN_CHECKPOINT_EVERY,
    CONF_TRAIN_CHECKPOINT_MINUTES,
    CONF_TRAIN_KEEP,
    CONF_TRAIN_SAVE_BEHIND,
    CONF_TRAIN_IDLE_WATTS,
    CONF_TRAIN_CORE_WATTS,
    CONF_TRAIN_VIEW,
    CONF_TRAIN_DRY_RUN,
    CONF_TRAIN_FROM,
    CONF_TRAIN_TO,
    CONF_TRAIN_END, /* of conf_rows_train.c */
    CONF_DATA_FIRST = CONF_TRAIN_END,
    CONF_DATA_SOURCE = CONF_DATA_FIRST,
    CONF_DATA_HELD_OUT_SOURCE,
    CONF_DATA_TEST_SET,
    CONF_DATA_TOKENIZER,
    CONF_DATA_FIELD,
    CONF_DATA_SEPARATOR,
    CONF_DATA_FILE,
    CONF_DATA_SEQ_LEN,
    CONF_DATA_HELD_OUT,
    CONF_DATA_NEAR,
    CONF_DATA_TEST_WORDS,
    CONF_DATA_CLEAN,
    CONF_DATA_FILTER,
    CONF_DATA_BOS,
    CONF_DATA_EOS,
    CONF_DATA_SHARD,
    CONF_DATA_THREADS,
    CONF_DATA_OUT,
    CONF_DATA_SHA256,
    CONF_DATA_JSON,
    CONF_DATA_END, /* of conf_rows_data.c */
    CONF_ID_COUNT = CONF_DATA_END
};

enum conf_type {
    CONF_TYPE_NONE,
    CONF_FLAG,
    CONF_INT,
    CONF_REAL,
    CONF_TEXT,
    CONF_PATH,      /* text that names a file */
    CONF_WORD,      /* one of a list */
    CONF_INT_LIST,  /* 1,2,3 */
    CONF_TEXT_LIST, /* the option may be repeated */
    CONF_PAIR_LIST, /* INTEGER=REAL, may be repeated and comma-separated */
    CONF_TYPE_COUNT
};

enum conf_group {
    CONF_GROUP_NONE,
    CONF_GROUP_INPUT,
    CONF_GROUP_SAMPLING,
    CONF_GROUP_RUNNING,
    CONF_GROUP_OUTPUT,
    CONF_GROUP_GENERAL,
    CONF_GROUP_COUNT
};

enum conf_origin { CONF_ORIGIN_NONE, CONF_ORIGIN_DEFAULT, CONF_ORIGIN_FILE, CONF_ORIGIN_ARGUMENT };

struct conf_option {
    const char *name; /* without dashes */
    char letter;      /* short form, or 0 */
    enum conf_type type;
    enum conf_group group;
    const char *value;         /* what --help calls the value: "FILE" */
    const char *fallback;      /* the default as one would write it; NULL: none */
    const char *chat_fallback; /* where chat has another one */
    const char *fallback_help; /* what --help says in place of a missing default: "from the clock" */
    const char *const *words;  /* WORD: the list, NULL at its end */
    int64_t int_min, int_max;  /* INT, INT_LIST, and the integer of PAIR_LIST */
    double real_min, real_max; /* REAL, and the real of PAIR_LIST */
    uint64_t commands;         /* bit 1 << command */
    bool changes_results;      /* part of what a result depends on; goes into manifests */
    const char *help;
};

struct conf_pair {
    int64_t key;
    double value;
};

struct conf_value {
    enum conf_origin origin;
    int64_t integer; /* FLAG (0, 1), INT, WORD (place in the list) */
    double real;
    const char *text;        /* borrowed from the arguments or the table */
    int64_t *integers;       /* owned */
    const char **texts;      /* owned array of borrowed texts */
    struct conf_pair *pairs; /* owned */
    int n;
};

struct conf {
    enum conf_command command;
    struct conf_value values[CONF_ID_COUNT];
    const char **arguments; /* owned array of borrowed texts: what is no option */
    int n_arguments;
};

#define CONF_MAX_LIST (1 << 20)

const struct conf_command_row *conf_command_row(enum conf_command c);
const struct conf_option *conf_option(enum conf_id id);
/* NONE where there is no such name. */
enum conf_command conf_find_command(const char *name);
enum conf_id conf_find_option(enum conf_command command, const char *name); /* of those that the command takes */

/* argv[0] is the first word behind the command's name. USAGE names the option, and the nearest known one for a typing
 * error. */
CRIA_MUST_CHECK cria_status conf_parse(struct conf *ret, enum conf_command command, int argc, const char *const *argv,
                                       struct cria_error *err);
/* Sets one option from text; text NULL for a flag. A list grows; any other option may be set once from one origin. */
CRIA_MUST_CHECK cria_status conf_set(struct conf *c, enum conf_id id, const char *text, enum conf_origin origin,
                                     struct cria_error *err);
/* Sets options from a configuration file whose keys are option names ("batch-size" or "batch_size"; a list for a list,
 * true or false for a flag). What an argument has set stays. An unknown key is an error that names the line and the
 * nearest known key; so is one of the keys in `apart`, a NULL-ended list, no error: they belong to somebody else. The
 * items' texts are borrowed. */
struct conf_yaml;
CRIA_MUST_CHECK cria_status conf_set_yaml(struct conf *c, const struct conf_yaml *file, const char *const *apart,
                                          struct cria_error *err);
/* Frees what parsing allocated; takes a zeroed one. */
void conf_deinit(struct conf *c);
/* USAGE "unknown command" with the nearest known one; for the first word of commands of two words, what may follow. */
cria_status conf_unknown_command(const char *name, struct cria_error *err);

bool conf_is_set(const struct conf *c, enum conf_id id); /* by the user, not by a default */
bool conf_flag(const struct conf *c, enum conf_id id);
int64_t conf_int(const struct conf *c, enum conf_id id); /* 0 where not set and without default */
double conf_real(const struct conf *c, enum conf_id id);
const char *conf_text(const struct conf *c, enum conf_id id); /* NULL where not set; the word of a WORD */
int conf_count(const struct conf *c, enum conf_id id);        /* entries of a list */
const int64_t *conf_ints(const struct conf *c, enum conf_id id);
const char *const *conf_texts(const struct conf *c, enum conf_id id);
const struct conf_pair *conf_pairs(const struct conf *c, enum conf_id id);

/* "12", "-3", "64KiB", "2MiB", "1GiB": the whole text, without overflow. */
CRIA_MUST_CHECK cria_status conf_read_int(const char *text, int64_t min, int64_t max, int64_t *ret,
                                          struct cria_error *err);
/* "0.7", "3e-4", "-1": finite decimal numbers; the whole text. */
CRIA_MUST_CHECK cria_status conf_read_real(const char *text, double min, double max, double *ret,
                                           struct cria_error *err);

/* How messages look, by TERM and NO_COLOR. */
enum log_style conf_log_style(void);

/* Pages made from the table. The texts end with a newline. */
void conf_help_program(struct buffer *out, const char *version);
void conf_help_command(struct buffer *out, enum conf_command command);
/* The commands of two words that begin with this one; false, and nothing written, where there are none. */
bool conf_help_family(struct buffer *out, const char *first);
void conf_help_markdown(struct buffer *out);
/* shell: "bash" or "zsh"; USAGE for another. */
CRIA_MUST_CHECK cria_status conf_completion(struct buffer *out, const char *shell, struct cria_error *err);

#endif
