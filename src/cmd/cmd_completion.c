/* cmd_completion.c: what is made from the option table and the build alone: completion, options, version. */
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "kernel/order.h"

enum { MAX_PAGE_BYTES = 1 << 20 };

cria_status cmd_completion(const struct conf *c, struct cria_error *err) {
    struct buffer script = buffer_make(MAX_PAGE_BYTES);
    cria_status status = conf_completion(&script, c->arguments[0], err);
    if (status == CRIA_OK) status = cmd_write_buffer(&script, err);
    buffer_free(&script);
    return status;
}

cria_status cmd_options(const struct conf *c, struct cria_error *err) {
    struct buffer page = buffer_make(MAX_PAGE_BYTES);
    if (conf_flag(c, CONF_MARKDOWN)) {
        conf_help_markdown(&page);
    } else {
        for (enum conf_command command = CONF_COMMAND_NONE + 1; command < CONF_COMMAND_COUNT; command++) {
            if (page.n_bytes) buffer_append_text(&page, "\n\n");
            conf_help_command(&page, command);
        }
    }
    const cria_status status = cmd_write_buffer(&page, err);
    buffer_free(&page);
    return status;
}

cria_status cmd_version(const struct conf *c, struct cria_error *err) {
    (void)c;
    return cmd_print(err, "cria %s (arithmetic %d)\n", CRIA_VERSION, ORDER_ARITHMETIC_VERSION);
}
