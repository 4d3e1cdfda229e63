/* cmd_plan_measure.h: measuring what the parts of a forward pass take on this machine, through the device that models
 * run on. */
#ifndef CMD_CMD_PLAN_MEASURE_H
#define CMD_CMD_PLAN_MEASURE_H

#include "device/device.h"
#include "plan/machine.h"

/* Takes some twenty seconds of d. Best of several passes each: what other work takes is not counted in. */
CRIA_MUST_CHECK cria_status cmd_plan_measure(device *d, struct machine *ret, struct cria_error *err);

/* Where calibrate keeps its file: machine.yaml in the data folder; owned by the caller. */
CRIA_MUST_CHECK cria_status cmd_plan_machine_path(char **ret, struct cria_error *err);
/* The machine that was measured, from that file; NOTFOUND where there is none. */
CRIA_MUST_CHECK cria_status cmd_plan_machine(struct machine *ret, struct cria_error *err);

#endif
