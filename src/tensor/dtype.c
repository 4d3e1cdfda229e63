/* dtype.c: see dtype.h.
 *
 * Conversions of 16-bit numbers are integer work, or floating point on normal numbers only, so that they do not depend
 * on whether the thread flushes subnormal numbers. Stored rows have no alignment: they are read byte by byte or by
 * memcpy. */
#include "tensor/dtype.h"

#include <stdbool.h>

#include "base/checked.h"
#include "base/error.h"
#include "tensor/dtype_k.h"

static const struct dtype_info infos[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 1, 4, 0, "F32"},
    [DTYPE_BF16] = {"BF16", 1, 2, 30, "BF16"},
    [DTYPE_F16] = {"F16", 1, 2, 1, "F16"},
    [DTYPE_Q8_0] = {"Q8_0", DTYPE_BLOCK, sizeof(struct block_q8_0), 8, NULL},
    [DTYPE_Q4_0] = {"Q4_0", DTYPE_BLOCK, sizeof(struct block_q4_0), 2, NULL},
    [DTYPE_Q4_1] = {"Q4_1", DTYPE_BLOCK, sizeof(struct block_q4_1), 3, NULL},
    [DTYPE_Q4_K] = {"Q4_K", DTYPE_K_BLOCK, 144, 12, NULL},
    [DTYPE_Q5_K] = {"Q5_K", DTYPE_K_BLOCK, 176, 13, NULL},
    [DTYPE_Q6_K] = {"Q6_K", DTYPE_K_BLOCK, 210, 14, NULL},
};

const struct dtype_info *dtype_info(enum dtype d) {
    CRIA_ASSERT(d > DTYPE_NONE && d < DTYPE_COUNT);
    return &infos[d];
}

const char *dtype_name(enum dtype d) { return dtype_info(d)->name; }

size_t dtype_bytes(enum dtype d, size_t n) {
    const struct dtype_info *info = dtype_info(d);
    size_t bytes;
    if (n % info->block_elements || checked_mul_size(n / info->block_elements, info->block_bytes, &bytes)) return 0;
    return bytes;
}

static uint16_t load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static void store_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

float dtype_f32_from_f16(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u) return dtype_f32_from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x400u) return dtype_f32_from_bits(sign | ((magnitude << 13) + (112u << 23)));
    const float value = (float)(int32_t)magnitude * 0x1p-24f; /* a subnormal half is a normal f32 */
    return dtype_f32_from_bits(sign | dtype_bits_from_f32(value));
}

uint16_t dtype_f16_from_f32(float f) {
    const uint32_t bits = dtype_bits_from_f32(f), magnitude = bits & 0x7fffffffu;
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x1ffu));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to 2^16 or above */
    if (magnitude < 0x33000000u) return sign;                        /* below half of the smallest half */
    const int exponent = (int)(magnitude >> 23);
    uint32_t mantissa, shift;
    if (exponent >= 113) { /* normal: the exponent is rebased, and a carry out of the mantissa goes into it */
        mantissa = magnitude - (112u << 23);
        shift = 13;
    } else {
        mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        shift = (uint32_t)(126 - exponent);
    }
    const uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), half = 1u << (shift - 1);
    const uint32_t rounded = kept + (rest > half || (rest == half && (kept & 1u)));
    return (uint16_t)(sign | rounded);
}

/* dtype_bf16_from_f32 for a number that is finite and not subnormal: no branch, so that loops of it vectorise. */
static uint16_t round_plain(float f) {
    const uint32_t u = dtype_bits_from_f32(f);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

/* Blocks of quantised types: the values of the block at p. */
static void q8_0_values(const uint8_t *p, float *restrict out) {
    const float d = dtype_f32_from_f16(load_u16(p));
    for (int i = 0; i < DTYPE_BLOCK; i++) out[i] = (float)(int8_t)p[2 + i] * d;
}

static void q4_0_values(const uint8_t *p, float *restrict out) {
    const float d = dtype_f32_from_f16(load_u16(p));
    for (int i = 0; i < DTYPE_BLOCK / 2; i++) {
        out[i] = (float)((p[2 + i] & 15) - 8) * d;
        out[i + DTYPE_BLOCK / 2] = (float)((p[2 + i] >> 4) - 8) * d;
    }
}

static void q4_1_values(const uint8_t *p, float *restrict out) {
    const float d = dtype_f32_from_f16(load_u16(p)), m = dtype_f32_from_f16(load_u16(p + 2));
    for (int i = 0; i < DTYPE_BLOCK / 2; i++) {
        const float low = (float)(p[4 + i] & 15) * d, high = (float)(p[4 + i] >> 4) * d; /* exact */
        out[i] = low + m;
        out[i + DTYPE_BLOCK / 2] = high + m;
    }
}

static void q4_k_values(const uint8_t *p, float *restrict out) { dtype_k_values(DTYPE_Q4_K, p, out); }
static void q5_k_values(const uint8_t *p, float *restrict out) { dtype_k_values(DTYPE_Q5_K, p, out); }
static void q6_k_values(const uint8_t *p, float *restrict out) { dtype_k_values(DTYPE_Q6_K, p, out); }

typedef void block_values_fn(const uint8_t *p, float *restrict out);

static block_values_fn *block_values(enum dtype d) {
    switch (d) {
        case DTYPE_Q8_0:
            return q8_0_values;
        case DTYPE_Q4_0:
            return q4_0_values;
        case DTYPE_Q4_1:
            return q4_1_values;
        case DTYPE_Q4_K:
            return q4_k_values;
        case DTYPE_Q5_K:
            return q5_k_values;
        case DTYPE_Q6_K:
            return q6_k_values;
        default:
            return NULL;
    }
}

void dtype_row_to_f32(enum dtype d, const void *stored, size_t n, float *out) {
    const struct dtype_info *info = dtype_info(d);
    const uint8_t *p = stored;
    block_values_fn *values = block_values(d);
    CRIA_DASSERT(n % info->block_elements == 0);
    if (values) {
        for (size_t i = 0; i < n; i += info->block_elements, p += info->block_bytes) values(p, out + i);
    } else if (d == DTYPE_F32) {
        memcpy(out, stored, n * sizeof *out);
    } else if (d == DTYPE_BF16) {
        for (size_t i = 0; i < n; i++) out[i] = dtype_f32_from_bf16(load_u16(p + 2 * i));
    } else {
        for (size_t i = 0; i < n; i++) out[i] = dtype_f32_from_f16(load_u16(p + 2 * i));
    }
}

/* The 32 values of step `step` of a quantised row. */
static void step_values(enum dtype d, const uint8_t *row, size_t step, float *out) {
    const struct dtype_info *info = dtype_info(d);
    const size_t steps = info->block_elements / DTYPE_BLOCK;
    const uint8_t *block = row + step / steps * info->block_bytes;
    if (steps > 1) dtype_k_step_values(d, block, (int)(step % steps), out);
    else block_values(d)(block, out);
}

void dtype_range_to_f32(enum dtype d, const void *row, size_t first, size_t n, float *out) {
    if (!block_values(d)) {
        dtype_row_to_f32(d, (const uint8_t *)row + first * dtype_info(d)->block_bytes, n, out);
        return;
    }
    for (size_t done = 0; done < n;) {
        float values[DTYPE_BLOCK];
        const size_t in_step = (first + done) % DTYPE_BLOCK;
        const size_t here = n - done < DTYPE_BLOCK - in_step ? n - done : DTYPE_BLOCK - in_step;
        step_values(d, row, (first + done) / DTYPE_BLOCK, values);
        memcpy(out + done, values + in_step, here * sizeof *out);
        done += here;
    }
}

bool dtype_block_is_finite(enum dtype d, const void *block) {
    const uint8_t *p = block;
    uint16_t scale, minimum = 0;
    switch (d) {
        case DTYPE_F32:
            return (load_u16(p + 2) & 0x7f80u) != 0x7f80u;
        case DTYPE_BF16:
            return (load_u16(p) & 0x7f80u) != 0x7f80u;
        case DTYPE_Q4_1:
            scale = load_u16(p);
            minimum = load_u16(p + 2);
            break;
        case DTYPE_Q4_K:
        case DTYPE_Q5_K:
        case DTYPE_Q6_K:
            dtype_k_halves(d, p, &scale, &minimum);
            break;
        default:
            scale = load_u16(p);
    }
    return (scale & 0x7c00u) != 0x7c00u && (minimum & 0x7c00u) != 0x7c00u;
}

/* A number whose bits of exponent are all set is none. Runs of a constant length vectorise. */
enum { FINITE_RUN = 64 };

static bool words_are_finite(const uint8_t *p, size_t n, uint16_t exponent) {
    uint16_t run[FINITE_RUN], bad = 0;
    for (; n >= FINITE_RUN; n -= FINITE_RUN, p += sizeof run) {
        memcpy(run, p, sizeof run);
        for (int i = 0; i < FINITE_RUN; i++) bad |= (uint16_t)((run[i] & exponent) == exponent);
    }
    for (size_t i = 0; i < n; i++) bad |= (load_u16(p + 2 * i) & exponent) == exponent;
    return !bad;
}

static bool floats_are_finite(const uint8_t *p, size_t n) {
    uint32_t run[FINITE_RUN], bad = 0;
    for (; n >= FINITE_RUN; n -= FINITE_RUN, p += sizeof run) {
        memcpy(run, p, sizeof run);
        for (int i = 0; i < FINITE_RUN; i++) bad |= (uint32_t)((run[i] & 0x7f800000u) == 0x7f800000u);
    }
    for (size_t i = 0; i < n; i++) bad |= !dtype_block_is_finite(DTYPE_F32, p + 4 * i);
    return !bad;
}

bool dtype_row_is_finite(enum dtype d, const void *stored, size_t n) {
    const struct dtype_info *info = dtype_info(d);
    const uint8_t *p = stored;
    CRIA_DASSERT(n % info->block_elements == 0);
    if (d == DTYPE_F32) return floats_are_finite(p, n);
    if (info->block_elements == 1) return words_are_finite(p, n, d == DTYPE_F16 ? 0x7c00 : 0x7f80);
    for (size_t i = 0; i < n; i += info->block_elements, p += info->block_bytes) {
        if (!dtype_block_is_finite(d, p)) return false;
    }
    return true;
}

void dtype_row_to_bf16(enum dtype d, const void *stored, size_t n, uint16_t *out) {
    const struct dtype_info *info = dtype_info(d);
    const uint8_t *p = stored;
    block_values_fn *values = block_values(d);
    CRIA_DASSERT(n % info->block_elements == 0);
    if (values) {
        for (size_t i = 0; i < n; i += info->block_elements, p += info->block_bytes) {
            float block[DTYPE_K_BLOCK];
            values(p, block);
            if (dtype_block_is_finite(d, p)) {
                for (size_t j = 0; j < info->block_elements; j++) out[i + j] = round_plain(block[j]);
            } else {
                for (size_t j = 0; j < info->block_elements; j++) out[i + j] = dtype_bf16_from_f32(block[j]);
            }
        }
    } else if (d == DTYPE_BF16) {
        memcpy(out, stored, n * sizeof *out);
    } else if (d == DTYPE_F32) {
        for (size_t i = 0; i < n; i++) {
            float value;
            memcpy(&value, p + 4 * i, sizeof value);
            out[i] = dtype_bf16_from_f32(value);
        }
    } else {
        for (size_t i = 0; i < n; i++) out[i] = dtype_bf16_from_f32(dtype_f32_from_f16(load_u16(p + 2 * i)));
    }
}

/* x truncated into [low, high]; 0 for a NaN. */
static int truncate_within(float x, int low, int high) {
    if (x != x) return 0;
    if (x <= (float)low) return low;
    return x >= (float)high ? high : (int)x;
}

/* Half away from zero, within the signed bytes. */
static int round_to_byte(float x) {
    const int whole = truncate_within(x, -127, 127);
    const float rest = x - (float)whole;
    return whole + (rest >= 0.5f && whole < 127) - (rest <= -0.5f && whole > -127);
}

static float inverse_or_zero(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

static void q8_0_store(const float *x, uint8_t *p) {
    float largest = 0.0f;
    for (int i = 0; i < DTYPE_BLOCK; i++) {
        const float magnitude = x[i] < 0.0f ? -x[i] : x[i];
        if (magnitude > largest) largest = magnitude;
    }
    const float d = largest / 127.0f, inverse = inverse_or_zero(d);
    store_u16(p, dtype_f16_from_f32(d));
    for (int i = 0; i < DTYPE_BLOCK; i++) p[2 + i] = (uint8_t)(int8_t)round_to_byte(x[i] * inverse);
}

static void q4_0_store(const float *x, uint8_t *p) {
    float largest = 0.0f, extreme = 0.0f;
    for (int i = 0; i < DTYPE_BLOCK; i++) {
        const float magnitude = x[i] < 0.0f ? -x[i] : x[i];
        if (magnitude > largest) {
            largest = magnitude;
            extreme = x[i];
        }
    }
    const float d = extreme / -8.0f, inverse = inverse_or_zero(d);
    store_u16(p, dtype_f16_from_f32(d));
    for (int i = 0; i < DTYPE_BLOCK / 2; i++) {
        const int low = truncate_within(x[i] * inverse + 8.5f, 0, 15);
        const int high = truncate_within(x[i + DTYPE_BLOCK / 2] * inverse + 8.5f, 0, 15);
        p[2 + i] = (uint8_t)(low | high << 4);
    }
}

static void q4_1_store(const float *x, uint8_t *p) {
    float low_end = x[0], high_end = x[0];
    for (int i = 1; i < DTYPE_BLOCK; i++) {
        if (x[i] < low_end) low_end = x[i];
        if (x[i] > high_end) high_end = x[i];
    }
    const float d = (high_end - low_end) / 15.0f, inverse = inverse_or_zero(d);
    store_u16(p, dtype_f16_from_f32(d));
    store_u16(p + 2, dtype_f16_from_f32(low_end));
    for (int i = 0; i < DTYPE_BLOCK / 2; i++) {
        const int low = truncate_within((x[i] - low_end) * inverse + 0.5f, 0, 15);
        const int high = truncate_within((x[i + DTYPE_BLOCK / 2] - low_end) * inverse + 0.5f, 0, 15);
        p[4 + i] = (uint8_t)(low | high << 4);
    }
}

void dtype_row_from_f32(enum dtype d, const float *values, size_t n, void *out) {
    const struct dtype_info *info = dtype_info(d);
    uint8_t *p = out;
    CRIA_DASSERT(n % info->block_elements == 0);
    for (size_t i = 0; i < n; i += info->block_elements, p += info->block_bytes) {
        switch (d) {
            case DTYPE_F32:
                memcpy(p, values + i, 4);
                break;
            case DTYPE_BF16:
                store_u16(p, dtype_bf16_from_f32(values[i]));
                break;
            case DTYPE_F16:
                store_u16(p, dtype_f16_from_f32(values[i]));
                break;
            case DTYPE_Q8_0:
                q8_0_store(values + i, p);
                break;
            case DTYPE_Q4_0:
                q4_0_store(values + i, p);
                break;
            case DTYPE_Q4_1:
                q4_1_store(values + i, p);
                break;
            case DTYPE_Q4_K:
            case DTYPE_Q5_K:
            case DTYPE_Q6_K:
                dtype_k_store(d, values + i, p);
                break;
            case DTYPE_NONE:
            case DTYPE_COUNT:
                break;
        }
    }
}
