/* cmd_plan_calibrate.c: plan calibrate: measures this machine and writes its hardware file. */
#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_plan_measure.h"
#include "hub/hub.h"

enum { MAX_FILE_BYTES = 1 << 20 };

static cria_status tell(const struct machine *m, const char *path, struct cria_error *err) {
    cria_status status;
    TRY(cmd_print(err, "%s, %lld thread%s: reads %.1f GB/s, multiplies %.1f Gflop/s in the cache\n", m->name,
                  (long long)m->n_threads, m->n_threads == 1 ? "" : "s", m->read_bytes_per_s * 1e-9,
                  m->product_flop_per_s * 1e-9));
    TRY(cmd_print(err, "  %-6s  %14s  %14s\n", "type", "1 row, G/s", "256 rows, G/s"));
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++) {
        if (m->param_s[d][0] <= 0) continue;
        const double last = m->param_s[d][MACHINE_ROW_COUNTS - 1] / machine_rows(MACHINE_ROW_COUNTS - 1);
        TRY(cmd_print(err, "  %-6s  %14.2f  %14.2f\n", dtype_name((enum dtype)d), 1e-9 / m->param_s[d][0],
                      1e-9 / last));
    }
    TRY(cmd_print(err, "parameters a second and row; written to %s\n", path));
out:
    return status;
}

cria_status cmd_plan_calibrate(const struct conf *c, struct cria_error *err) {
    const char *mask = conf_text(c, CONF_CPU_MASK), *wanted = conf_text(c, CONF_PLAN_OUTPUT);
    const struct device_options options = {.n_threads = (int)conf_int(c, CONF_THREADS),
                                           .max_isa = mask ? kernel_isa_from_name(mask) : KERNEL_ISA_NONE};
    struct buffer out = buffer_make(MAX_FILE_BYTES);
    struct machine m;
    device *d = NULL;
    char *path = NULL, *folder = NULL;
    cria_status status;
    if (!wanted) {
        TRY(hub_folder(&folder, err));
        TRY(file_make_folder(folder, err));
        TRY(cmd_plan_machine_path(&path, err));
    }
    TRY(cmd_check_target(wanted ? wanted : path, err));
    TRY(device_create_cpu(&d, &options, err));
    TRY(cmd_plan_measure(d, &m, err));
    machine_write(&out, &m);
    TRY(buffer_status(&out, "the machine's file", err));
    TRY(file_write_atomic(wanted ? wanted : path, out.data, out.n_bytes, err));
    TRY(tell(&m, wanted ? wanted : path, err));
out:
    device_destroy(&d);
    buffer_free(&out);
    alloc_free(path);
    alloc_free(folder);
    return status;
}
