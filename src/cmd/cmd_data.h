/* cmd_data.h: the settings of `data build`: the command line, which rules, over a YAML file; private to cmd_data*.c. */
#ifndef CMD_CMD_DATA_H
#define CMD_CMD_DATA_H

#include "base/error.h"
#include "conf/conf.h"
#include "conf/conf_yaml.h"
#include "data/build.h"

struct cmd_data {
    const struct conf *arguments; /* borrowed */
    struct conf file;             /* what the YAML file sets */
    struct conf_yaml *yaml;       /* owned; NULL: none */
    struct build_source *sources; /* owned; their texts belong to arguments, yaml and names */
    int n_sources;
    char **names;       /* owned, [n_sources] */
    const char **paths; /* owned: of all sources, one after the other */
};

/* Reads the YAML file that the arguments name, where they do, and gathers the sources of both. */
CRIA_MUST_CHECK cria_status cmd_data_open(struct cmd_data *d, struct cria_error *err);
void cmd_data_close(struct cmd_data *d);
/* Who says the value of the option: the arguments where it is set there, else the file, which has the defaults. */
const struct conf *cmd_data_conf(const struct cmd_data *d, enum conf_id id);

#endif
