/* hardware.h: chips, nodes, networks and sites as data.
 *
 * The built-in tables are the YAML files of hardware/, embedded when Cria is built; a user's own file of the same form
 * can be added, and its rows replace built-in ones of the same key. Every row says where its figures come from.
 * A struct plan_hardware never changes once it is open; its rows live as long as it does. Any thread may read it.
 * Units stand in every name: bytes, bytes per second, FLOP per second (a multiply-add is 2), watts, US dollars, grams
 * of CO2 per kilowatt-hour. A figure that nobody published is 0. */
#ifndef PLAN_HARDWARE_H
#define PLAN_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Number formats of matrix products. */
enum plan_precision {
    PLAN_PRECISION_NONE,
    PLAN_FP32,
    PLAN_TF32,
    PLAN_BF16, /* FP16 too: the same rate on every chip of the table */
    PLAN_FP8,
    PLAN_FP4,
    PLAN_INT8,
    PLAN_PRECISION_COUNT
};

#define PLAN_KEY_BYTES 32
#define PLAN_TEXT_BYTES 256

struct plan_chip {
    char key[PLAN_KEY_BYTES];      /* "h100-sxm" */
    char name[64];                 /* "NVIDIA H100 SXM 80 GB" */
    char aliases[PLAN_TEXT_BYTES]; /* other spellings, separated by commas */
    char node[PLAN_KEY_BYTES];     /* the node it usually sits in */
    char source[PLAN_TEXT_BYTES];  /* where the figures come from */
    double launch_year;            /* first shipments, with the fraction of the year */
    double kernels_year;           /* when software for its kind of processor began to mature; 0: launch_year */
    double tdp_watts;              /* of one chip (package) */
    double price_usd;              /* to buy, one chip in a server's share */
    double rent_usd_per_hour;      /* to rent, one chip with its server's share */
    double memory_bytes;           /* of one chip */
    double memory_bytes_per_s;     /* data-sheet bandwidth */
    double peak_flop_per_s[PLAN_PRECISION_COUNT];   /* dense data-sheet rate; 0: it has no such unit */
    double matmul_flop_per_s[PLAN_PRECISION_COUNT]; /* the best large product measured; 0: not known */
    double attention_flop_per_s;                    /* a mature fused attention kernel, BF16, long sequences */
    double attention_first_flop_per_s;              /* the kernels of the chip's first year */
    double link_bytes_per_s;                        /* to its scale-up domain (NVLink, xGMI, ICI), one way */
    int64_t link_chips;                             /* chips in the scale-up domain */
    bool is_cpu;
};

struct plan_node {
    char key[PLAN_KEY_BYTES]; /* "dgx-h100" */
    char name[64];
    char chip[PLAN_KEY_BYTES];
    char network[PLAN_KEY_BYTES];
    char source[PLAN_TEXT_BYTES];
    int64_t n_chips;
    double host_watts;          /* all but the chips, at full load */
    double idle_watts;          /* the whole node doing nothing */
    double nameplate_watts;     /* the whole node at most */
    double measured_load_watts; /* the whole node in training, measured; 0: not known */
    double price_usd;           /* the whole node with its chips */
    double host_memory_bytes;
};

struct plan_network {
    char key[PLAN_KEY_BYTES]; /* "ib-400" */
    char name[64];
    char source[PLAN_TEXT_BYTES];
    double bytes_per_s_per_chip; /* one way */
    double latency_s;            /* one message, same leaf */
    double oversubscription;     /* of the top layer: 7 where 1:7 */
    int64_t pod_chips;           /* chips below the oversubscribed layer */
    double watts_per_chip;       /* switches and optics */
    double price_usd_per_chip;
};

struct plan_site {
    char key[PLAN_KEY_BYTES]; /* "us-industrial" */
    char name[64];
    char source[PLAN_TEXT_BYTES];
    double pue;
    double usd_per_kwh;
    double carbon_g_per_kwh;
    double capital_usd_per_watt; /* of the building, per watt of IT load */
};

typedef struct plan_hardware plan_hardware;

/* Opens the built-in tables and, where path is not NULL, a user's file on top. FORMAT names the file, line and key. */
CRIA_MUST_CHECK cria_status hardware_open(plan_hardware **ret, const char *path, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void hardware_close(plan_hardware **hw);

/* Rows by key, name or alias, however spelled ("H100 SXM 80GB (DGX)", "h100_sxm"): NOTFOUND names the nearest known. */
CRIA_MUST_CHECK cria_status hardware_chip(const plan_hardware *hw, const char *name, const struct plan_chip **ret,
                                          struct cria_error *err);
CRIA_MUST_CHECK cria_status hardware_node(const plan_hardware *hw, const char *name, const struct plan_node **ret,
                                          struct cria_error *err);
CRIA_MUST_CHECK cria_status hardware_network(const plan_hardware *hw, const char *name, const struct plan_network **ret,
                                             struct cria_error *err);
CRIA_MUST_CHECK cria_status hardware_site(const plan_hardware *hw, const char *name, const struct plan_site **ret,
                                          struct cria_error *err);
/* The i-th row, or NULL behind the last. */
const struct plan_chip *hardware_chip_at(const plan_hardware *hw, size_t i);
const struct plan_node *hardware_node_at(const plan_hardware *hw, size_t i);
const struct plan_network *hardware_network_at(const plan_hardware *hw, size_t i);
const struct plan_site *hardware_site_at(const plan_hardware *hw, size_t i);

/* "bf16"; never NULL. */
const char *hardware_precision_name(enum plan_precision precision);

#endif
