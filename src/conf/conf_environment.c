/* conf_environment.c: what the environment says about the terminal; every other setting is an option. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

enum log_style conf_log_style(void) {
    const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    if (!terminal || !*terminal || strcmp(terminal, "dumb") == 0) return LOG_PLAIN;
    return no_colour && *no_colour ? LOG_NO_COLOUR : LOG_COLOUR;
}
