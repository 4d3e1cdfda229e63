/* hardware_rows.h: what hardware.c and hardware_find.c share; private to them. */
#ifndef PLAN_HARDWARE_ROWS_H
#define PLAN_HARDWARE_ROWS_H

#include "plan/hardware.h"

enum hardware_kind { HARDWARE_CHIP, HARDWARE_NODE, HARDWARE_NETWORK, HARDWARE_SITE, HARDWARE_KIND_COUNT };

struct hardware_table {
    char *rows; /* owned; structs of the kind, each beginning with its key */
    size_t n;
};

struct plan_hardware {
    struct hardware_table tables[HARDWARE_KIND_COUNT];
};

#endif
