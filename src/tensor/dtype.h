/* dtype.h: number formats: their sizes, their names in files, and the exact value that each stored element stands for.
 *
 * A stored row is a run of blocks; plain types have blocks of one element. Block layouts: docs/FORMATS.md, section
 * "Blocks" (they are those of ggml). All functions are pure; any thread; little-endian hosts only. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum dtype {
    DTYPE_NONE,
    DTYPE_F32,
    DTYPE_BF16,
    DTYPE_F16,
    DTYPE_Q8_0,
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_COUNT
};

struct dtype_info {
    const char *name;      /* "Q4_0" */
    size_t block_elements; /* 1, 32 or 256 */
    size_t block_bytes;
    uint32_t ggml_id;             /* in GGUF files */
    const char *safetensors_name; /* NULL: not found there */
};

/* d is a valid dtype other than NONE. */
const struct dtype_info *dtype_info(enum dtype d);
const char *dtype_name(enum dtype d);
/* Bytes of n elements, which is a multiple of the block's elements; 0 for an n that is not, or on overflow. */
size_t dtype_bytes(enum dtype d, size_t n);

#define DTYPE_BLOCK 32    /* elements of a quantised block */
#define DTYPE_K_BLOCK 256 /* and of one of the K family; its fields: tensor/dtype_k.h */

struct block_q8_0 {
    uint16_t d;
    int8_t q[32];
}; /* value = q * d */
struct block_q4_0 {
    uint16_t d;
    uint8_t q[16];
}; /* value = (code - 8) * d; low nibbles 0..15, high 16..31 */
struct block_q4_1 {
    uint16_t d, m;
    uint8_t q[16];
}; /* value = code * d + m */
_Static_assert(sizeof(struct block_q8_0) == 34, "Q8_0");
_Static_assert(sizeof(struct block_q4_0) == 18, "Q4_0");
_Static_assert(sizeof(struct block_q4_1) == 20, "Q4_1");

static inline float dtype_f32_from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint32_t dtype_bits_from_f32(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float dtype_f32_from_bf16(uint16_t h) { return dtype_f32_from_bits((uint32_t)h << 16); }

/* Round to nearest even; a NaN stays a quiet NaN; subnormal f32 inputs become zero of their sign, as the tile unit and
 * vcvtneps2bf16 do. */
static inline uint16_t dtype_bf16_from_f32(float f) {
    const uint32_t u = dtype_bits_from_f32(f);
    if ((u & 0x7f800000u) == 0) return (uint16_t)(u >> 16 & 0x8000u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

/* IEEE binary16, exact; subnormals too. */
float dtype_f32_from_f16(uint16_t h);
/* Round to nearest even, with infinities and subnormals. */
uint16_t dtype_f16_from_f32(float f);

/* Whether all values of the stored block are finite: in quantised blocks the scale (and minimum) decide. A product of a
 * code and a half is no subnormal. */
bool dtype_block_is_finite(enum dtype d, const void *block);
/* The same for a row of n elements, in whole blocks. */
bool dtype_row_is_finite(enum dtype d, const void *stored, size_t n);
/* The exact stored values of n elements (a multiple of the block) as f32: code * d is exact, + m rounds once. */
void dtype_row_to_f32(enum dtype d, const void *stored, size_t n, float *out);
/* The same for elements first .. first + n - 1 of a row that begins at `row`, anywhere inside its blocks. */
void dtype_range_to_f32(enum dtype d, const void *row, size_t first, size_t n, float *out);
/* The bf16 number that each element stands for in compute mode bf16 (see kernel/order.h). */
void dtype_row_to_bf16(enum dtype d, const void *stored, size_t n, uint16_t *out);
/* Quantise n elements as ggml's reference does (llama.md 3.6): for tests and, later, export. */
void dtype_row_from_f32(enum dtype d, const float *values, size_t n, void *out);

#endif
