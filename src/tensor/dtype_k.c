/* dtype_k.c: see dtype_k.h. Offsets inside the blocks:
 *
 *   Q4_K   0 d, 2 dmin, 4 scales[12], 16 codes[128]
 *   Q5_K   0 d, 2 dmin, 4 scales[12], 16 fifth bits[32], 48 codes[128]
 *   Q6_K   0 low codes[128], 128 high codes[64], 192 scales[16], 208 d */
#include "tensor/dtype_k.h"

#include "base/error.h"

static uint16_t load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static void store_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

void dtype_k_halves(enum dtype d, const uint8_t *p, uint16_t *ret_d, uint16_t *ret_dmin) {
    *ret_d = load_u16(d == DTYPE_Q6_K ? p + 208 : p);
    *ret_dmin = d == DTYPE_Q6_K ? 0 : load_u16(p + 2);
}

int dtype_k_bias(enum dtype d) { return d == DTYPE_Q6_K ? 32 : 0; }

/* The 6-bit scale and minimum of part k of Q4_K and Q5_K. */
static void scale_of(const uint8_t *s, int k, struct dtype_k_step *ret) {
    const int scale = k < 4 ? s[k] & 63 : (s[k + 4] & 15) | s[k - 4] >> 6 << 4;
    ret->scale[0] = ret->scale[1] = (int8_t)scale;
    ret->minimum = (uint8_t)(k < 4 ? s[k + 4] & 63 : s[k + 4] >> 4 | s[k] >> 6 << 4);
}

static void step_q4_q5(enum dtype d, const uint8_t *p, int step, struct dtype_k_step *ret) {
    const uint8_t *codes = p + (d == DTYPE_Q5_K ? 48 : 16) + step / 2 * 32, *fifth = p + 16;
    scale_of(p + 4, step, ret);
    for (int k = 0; k < DTYPE_BLOCK; k++) {
        const int low = codes[k] >> 4 * (step % 2) & 15;
        ret->code[k] = (uint8_t)(d == DTYPE_Q5_K ? low | (fifth[k] >> step & 1) << 4 : low);
    }
}

static void step_q6(const uint8_t *p, int step, struct dtype_k_step *ret) {
    const int half = step / 4, quarter = step % 4;
    const uint8_t *low = p + 64 * half + 32 * (quarter % 2), *high = p + 128 + 32 * half,
                  *scales = p + 192 + 8 * half + 2 * quarter;
    ret->scale[0] = (int8_t)scales[0];
    ret->scale[1] = (int8_t)scales[1];
    ret->minimum = 0;
    for (int k = 0; k < DTYPE_BLOCK; k++)
        ret->code[k] = (uint8_t)((low[k] >> 4 * (quarter / 2) & 15) | (high[k] >> 2 * quarter & 3) << 4);
}

void dtype_k_step_at(enum dtype d, const uint8_t *p, int step, struct dtype_k_step *ret) {
    if (d == DTYPE_Q6_K) step_q6(p, step, ret);
    else step_q4_q5(d, p, step, ret);
}

void dtype_k_step_values(enum dtype d, const uint8_t *p, int step, float *out) {
    uint16_t half_d, half_min;
    struct dtype_k_step s;
    dtype_k_halves(d, p, &half_d, &half_min);
    dtype_k_step_at(d, p, step, &s);
    const float unit = dtype_f32_from_f16(half_d), minimum = dtype_f32_from_f16(half_min) * (float)s.minimum;
    for (int k = 0; k < DTYPE_BLOCK; k++) {
        const float product = unit * (float)s.scale[k / 16] * (float)(s.code[k] - dtype_k_bias(d)); /* exact */
        out[k] = d == DTYPE_Q6_K ? product : product - minimum;
    }
}

void dtype_k_values(enum dtype d, const uint8_t *p, float *out) {
    for (int s = 0; s < DTYPE_K_STEPS; s++) dtype_k_step_values(d, p, s, out + s * DTYPE_BLOCK);
}

static int rounded_within(float x, int low, int high) {
    if (!(x > (float)low)) return low;
    return x >= (float)high ? high : (int)(x + (x < 0.0f ? -0.5f : 0.5f));
}

static float inverse_or_zero(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

static void put_scale(uint8_t *s, int k, int scale, int minimum) {
    if (k < 4) {
        s[k] = (uint8_t)((s[k] & 192) | scale);
        s[k + 4] = (uint8_t)((s[k + 4] & 192) | minimum);
    } else {
        s[k + 4] = (uint8_t)((scale & 15) | (minimum & 15) << 4);
        s[k - 4] = (uint8_t)((s[k - 4] & 63) | scale >> 4 << 6);
        s[k] = (uint8_t)((s[k] & 63) | minimum >> 4 << 6);
    }
}

static void store_q4_q5(enum dtype d, const float *x, uint8_t *p) {
    const int top = d == DTYPE_Q5_K ? 31 : 15;
    uint8_t *codes = p + (d == DTYPE_Q5_K ? 48 : 16), *fifth = p + 16;
    float scale[DTYPE_K_STEPS], minimum[DTYPE_K_STEPS], top_scale = 0.0f, top_minimum = 0.0f;
    for (int s = 0; s < DTYPE_K_STEPS; s++) {
        float low = 0.0f, high = x[s * DTYPE_BLOCK];
        for (int k = 0; k < DTYPE_BLOCK; k++) {
            if (x[s * DTYPE_BLOCK + k] < low) low = x[s * DTYPE_BLOCK + k];
            if (x[s * DTYPE_BLOCK + k] > high) high = x[s * DTYPE_BLOCK + k];
        }
        scale[s] = (high - low) / (float)top;
        minimum[s] = -low;
        if (scale[s] > top_scale) top_scale = scale[s];
        if (minimum[s] > top_minimum) top_minimum = minimum[s];
    }
    const uint16_t half_d = dtype_f16_from_f32(top_scale / 63.0f), half_min = dtype_f16_from_f32(top_minimum / 63.0f);
    const float unit = dtype_f32_from_f16(half_d), unit_min = dtype_f32_from_f16(half_min);
    memset(p, 0, dtype_info(d)->block_bytes);
    store_u16(p, half_d);
    store_u16(p + 2, half_min);
    for (int s = 0; s < DTYPE_K_STEPS; s++) {
        const int whole = rounded_within(scale[s] * inverse_or_zero(unit), 0, 63);
        const int whole_min = rounded_within(minimum[s] * inverse_or_zero(unit_min), 0, 63);
        const float inverse = inverse_or_zero(unit * (float)whole), offset = unit_min * (float)whole_min;
        put_scale(p + 4, s, whole, whole_min);
        for (int k = 0; k < DTYPE_BLOCK; k++) {
            const int code = rounded_within((x[s * DTYPE_BLOCK + k] + offset) * inverse, 0, top);
            codes[s / 2 * 32 + k] = (uint8_t)(codes[s / 2 * 32 + k] | (code & 15) << 4 * (s % 2));
            if (code > 15) fifth[k] = (uint8_t)(fifth[k] | 1 << s);
        }
    }
}

static void store_q6(const float *x, uint8_t *p) {
    float scale[16], top = 0.0f;
    for (int part = 0; part < 16; part++) {
        float largest = 0.0f;
        for (int i = 0; i < 16; i++) {
            const float magnitude = x[part * 16 + i] < 0.0f ? -x[part * 16 + i] : x[part * 16 + i];
            if (magnitude > largest) largest = magnitude;
        }
        scale[part] = largest / 31.0f;
        if (scale[part] > top) top = scale[part];
    }
    const uint16_t half_d = dtype_f16_from_f32(top / 127.0f);
    const float unit = dtype_f32_from_f16(half_d);
    memset(p, 0, dtype_info(DTYPE_Q6_K)->block_bytes);
    store_u16(p + 208, half_d);
    for (int i = 0; i < DTYPE_K_BLOCK; i++) {
        const int part = i / 16, whole = rounded_within(scale[part] * inverse_or_zero(unit), 0, 127);
        const int code = rounded_within(x[i] * inverse_or_zero(unit * (float)whole), -32, 31) + 32;
        const int half = i / 128, quarter = i % 128 / 32, k = i % 32;
        uint8_t *low = p + 64 * half + 32 * (quarter % 2) + k, *high = p + 128 + 32 * half + k;
        p[192 + part] = (uint8_t)whole;
        *low = (uint8_t)(*low | (code & 15) << 4 * (quarter / 2));
        *high = (uint8_t)(*high | code >> 4 << 2 * quarter);
    }
}

void dtype_k_store(enum dtype d, const float *x, uint8_t *p) {
    if (d == DTYPE_Q6_K) store_q6(x, p);
    else store_q4_q5(d, x, p);
}
