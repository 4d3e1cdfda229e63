/* dtype_k.h: blocks of 256 with 6-bit or 8-bit scales for their parts: Q4_K, Q5_K, Q6_K (docs/FORMATS.md, "Blocks").
 *
 * A block is read as eight steps of 32 elements. Element k of a step stands for
 *     d * scale[k / 16] * (code[k] - bias) - dmin * minimum
 * whose products are exact in f32: there is at most one rounding. Q6_K has no minimum, the others one scale a step. */
#ifndef TENSOR_DTYPE_K_H
#define TENSOR_DTYPE_K_H

#include <stdbool.h>

#include "tensor/dtype.h"

enum { DTYPE_K_STEPS = DTYPE_K_BLOCK / DTYPE_BLOCK };

struct dtype_k_step {
    uint8_t code[DTYPE_BLOCK];
    int8_t scale[2];
    uint8_t minimum;
};

/* The halves d and dmin of the block at p; dmin is 0 for Q6_K. */
void dtype_k_halves(enum dtype d, const uint8_t *p, uint16_t *ret_d, uint16_t *ret_dmin);
/* Step 0 .. 7 of the block at p. */
void dtype_k_step_at(enum dtype d, const uint8_t *p, int step, struct dtype_k_step *ret);
/* 32 for Q6_K, else 0. */
int dtype_k_bias(enum dtype d);
/* The 32 values of a step, and all 256. */
void dtype_k_step_values(enum dtype d, const uint8_t *p, int step, float *out);
void dtype_k_values(enum dtype d, const uint8_t *p, float *out);
/* Quantises 256 values: the extremes of each part decide its scale (a search for better ones is export's business). */
void dtype_k_store(enum dtype d, const float *x, uint8_t *p);

#endif
