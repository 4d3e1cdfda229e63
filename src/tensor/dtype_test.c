/* dtype_test.c: every stored number format against published values, exhaustively where the format is small. */
#include "tensor/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A block of byte i = (37 i + 11) & 255 with scale 0.0625 and minimum 0.03125. */
static void make_golden_block(enum dtype d, uint8_t *block) {
    const size_t n = dtype_info(d)->block_bytes;
    for (size_t i = 0; i < n; i++) block[i] = (uint8_t)(37 * i + 11);
    uint8_t *scale = d == DTYPE_Q6_K ? block + 208 : block;
    scale[0] = 0x00;
    scale[1] = 0x2c;
    if (d == DTYPE_Q4_1 || d == DTYPE_Q4_K || d == DTYPE_Q5_K) {
        block[2] = 0x00;
        block[3] = 0x28;
    }
}

struct golden {
    enum dtype d;
    float sum, y0, y1, y2, y15, y16, y31;
};

/* Catches a swapped nibble order, a wrong offset or a wrong block layout (values printed by ggml's own code). */
static void test_golden_blocks(void **state) {
    (void)state;
    static const struct golden golden[] = {
        {DTYPE_Q4_0, -1.3125f, -.1875f, .125f, .4375f, -.5f, -.1875f, 0.f},
        {DTYPE_Q4_1, 16.3125f, .96875f, .28125f, .59375f, .65625f, .59375f, .78125f},
        {DTYPE_Q8_0, -11.f, 5.3125f, 7.625f, -6.0625f, -8.f, -5.6875f, -3.f},
    };
    for (size_t g = 0; g < sizeof golden / sizeof golden[0]; g++) {
        const struct golden *want = &golden[g];
        uint8_t block[1 + sizeof(struct block_q8_0)];
        make_golden_block(want->d, block + 1); /* an odd address: rows need no alignment */
        float y[DTYPE_BLOCK], sum = 0;
        dtype_row_to_f32(want->d, block + 1, DTYPE_BLOCK, y);
        for (int i = 0; i < DTYPE_BLOCK; i++) sum += y[i];
        assert_true(sum == want->sum && y[0] == want->y0 && y[1] == want->y1 && y[2] == want->y2);
        assert_true(y[15] == want->y15 && y[16] == want->y16 && y[31] == want->y31);
    }
}

/* Catches a wrong place of a scale, a high bit or a part in the K family. The published values have six digits; all are
 * multiples of 2^-5, so that half of the last digit tells them apart. */
static void test_golden_k_blocks(void **state) {
    (void)state;
    static const int places[] = {0, 1, 2, 15, 32, 33, 64, 100, 127, 128, 160, 200, 255};
    static const struct {
        enum dtype d;
        float sum, y[13];
    } golden[] = {
        {DTYPE_Q4_K,
         3402.5f,
         {19.7188f, -1.59375f, 8.09375f, 10.0312f, .5f, 1.25f, 26.2812f, 5.9375f, 5.0625f, 26.4375f, 32.8125f, 8.65625f,
          3.03125f}},
        {DTYPE_Q5_K,
         7263.5f,
         {50.7188f, -1.59375f, 39.0938f, 10.0312f, 7.f, -.25f, 26.2812f, 14.6875f, -.1875f, 65.4375f, 10.3125f,
          8.65625f, 6.78125f}},
        {DTYPE_Q6_K,
         288.25f,
         {-89.4375f, 106.f, 36.4375f, -19.875f, 14.4375f, NAN, -190.f, 157.688f, 93.75f, -21.9375f, 41.9375f, 68.0625f,
          -3.75f}},
    };
    for (size_t g = 0; g < sizeof golden / sizeof golden[0]; g++) {
        uint8_t block[1 + 210];
        make_golden_block(golden[g].d, block + 1);
        float y[DTYPE_K_BLOCK], sum = 0;
        dtype_row_to_f32(golden[g].d, block + 1, DTYPE_K_BLOCK, y);
        for (int i = 0; i < DTYPE_K_BLOCK; i++) sum += y[i];
        assert_true(sum == golden[g].sum);
        for (int i = 0; i < 13; i++)
            assert_true(isnan(golden[g].y[i]) || fabsf(y[places[i]] - golden[g].y[i]) <= 1e-3f);
    }
}

/* Quantising and reading back stays within the step of each part: catches a code or scale written to another place. */
static void test_k_blocks_round_trip(void **state) {
    (void)state;
    for (int d = DTYPE_Q4_K; d <= DTYPE_Q6_K; d++) {
        float x[DTYPE_K_BLOCK], y[DTYPE_K_BLOCK];
        uint8_t block[210];
        for (int i = 0; i < DTYPE_K_BLOCK; i++) x[i] = (float)((i * 7919 + 13) % 1000) / 500.0f - 1.0f;
        dtype_row_from_f32((enum dtype)d, x, DTYPE_K_BLOCK, block);
        dtype_row_to_f32((enum dtype)d, block, DTYPE_K_BLOCK, y);
        const float step = d == DTYPE_Q4_K ? 2.0f / 15 : 2.0f / 31; /* and 1/63 of it for the scale's own rounding */
        for (int i = 0; i < DTYPE_K_BLOCK; i++) assert_true(fabsf(x[i] - y[i]) <= 0.85f * step);
    }
}

/* Catches a wrong conversion of any half: the value is rebuilt with ldexp, and must convert back to the same bits. */
static void test_every_half(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = dtype_f32_from_f16((uint16_t)h);
        const uint32_t exponent = h >> 10 & 31u, mantissa = h & 1023u;
        if (exponent == 31) {
            assert_true(mantissa ? isnan(f) : isinf(f));
            const uint16_t back = dtype_f16_from_f32(f);
            assert_int_equal(back, mantissa ? (h | 0x200u) : h);
            continue;
        }
        const double value = exponent ? ldexp(1024.0 + mantissa, (int)exponent - 25) : ldexp(mantissa, -24);
        assert_true((double)f == (h & 0x8000u ? -value : value) && !signbit(f) == !(h & 0x8000u));
        assert_int_equal(dtype_f16_from_f32(f), h);
    }
}

/* Catches wrong rounding to half: for neighbours a < b, the middle goes to the even one and what lies beside it to the
 * nearer one. */
static void test_half_rounding(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7c00u; h++) {
        const float a = dtype_f32_from_f16((uint16_t)h);
        const float b = h + 1 == 0x7c00u ? 65536.0f : dtype_f32_from_f16((uint16_t)(h + 1));
        const float middle = a + (b - a) * 0.5f; /* exact: halves have 11 bits */
        assert_int_equal(dtype_f16_from_f32(middle), h & 1u ? h + 1 : h);
        assert_int_equal(dtype_f16_from_f32(nextafterf(middle, a)), h);
        assert_int_equal(dtype_f16_from_f32(nextafterf(middle, b)), h + 1);
        assert_int_equal(dtype_f16_from_f32(-middle), 0x8000u | (h & 1u ? h + 1 : h));
    }
    assert_int_equal(dtype_f16_from_f32(1e30f), 0x7c00);
    assert_int_equal(dtype_f16_from_f32(-1e-30f), 0x8000);
}

/* Catches wrong rounding to bf16, in the scalar function and in the rows, for plain and for quantised types. */
static void test_bf16_rounding(void **state) {
    (void)state;
    assert_int_equal(dtype_bf16_from_f32(1.00390625f), 0x3f80); /* a tie goes to even */
    assert_int_equal(dtype_bf16_from_f32(1.01171875f), 0x3f82); /* and upwards where that is even */
    assert_int_equal(dtype_bf16_from_f32(1.00390637f), 0x3f81); /* just above the tie */
    assert_int_equal(dtype_bf16_from_f32(3.4e38f), 0x7f80);     /* rounds to infinity */
    assert_int_equal(dtype_bf16_from_f32(-1e-39f), 0x8000);     /* a subnormal is a zero */
    assert_int_equal(dtype_bf16_from_f32(dtype_f32_from_bits(0x7f800001u)) & 0x7fc0, 0x7fc0);
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1};
    uint32_t random = 12345;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        for (int round = 0; round < 3000; round++) {
            uint8_t row[2 * DTYPE_BLOCK * 4];
            for (size_t i = 0; i < sizeof row; i++)
                row[i] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
            float exact[2 * DTYPE_BLOCK];
            uint16_t rounded[2 * DTYPE_BLOCK];
            dtype_row_to_f32(types[t], row, 2 * DTYPE_BLOCK, exact);
            dtype_row_to_bf16(types[t], row, 2 * DTYPE_BLOCK, rounded);
            for (int i = 0; i < 2 * DTYPE_BLOCK; i++) {
                if (types[t] == DTYPE_BF16) {
                    assert_memory_equal(&rounded[i], row + 2 * i, 2);
                } else if (isnan(exact[i])) {
                    assert_true(isnan(dtype_f32_from_bf16(rounded[i])));
                } else {
                    assert_int_equal(rounded[i], dtype_bf16_from_f32(exact[i]));
                }
            }
        }
    }
}

/* Catches a quantiser whose scale, sign or rounding differs from ggml's: codes of hand-computed blocks. */
static void test_quantise(void **state) {
    (void)state;
    float x[DTYPE_BLOCK] = {-8.0f, 7.0f, 3.49f, -3.51f, 0.5f};
    struct block_q4_0 a;
    dtype_row_from_f32(DTYPE_Q4_0, x, DTYPE_BLOCK, &a);
    assert_int_equal(a.d, 0x3c00); /* 1 */
    assert_int_equal(a.q[0], 0 | 8 << 4);
    assert_int_equal(a.q[1], 15 | 8 << 4);
    assert_int_equal(a.q[2], 11 | 8 << 4);
    assert_int_equal(a.q[3], 4 | 8 << 4);
    assert_int_equal(a.q[4], 9 | 8 << 4);
    x[0] = 8.0f; /* the signed extreme decides: the scale is negative */
    dtype_row_from_f32(DTYPE_Q4_0, x, DTYPE_BLOCK, &a);
    assert_int_equal(a.d, 0xbc00);
    assert_int_equal(a.q[1], 1 | 8 << 4);

    float y[DTYPE_BLOCK] = {127.0f, -127.0f, 2.5f, -2.5f, 0.49999997f};
    struct block_q8_0 b;
    dtype_row_from_f32(DTYPE_Q8_0, y, DTYPE_BLOCK, &b);
    assert_int_equal(b.d, 0x3c00);
    assert_true(b.q[0] == 127 && b.q[1] == -127 && b.q[2] == 3 && b.q[3] == -3 && b.q[4] == 0 && b.q[5] == 0);

    float z[DTYPE_BLOCK] = {[0] = 2.0f, [1] = 17.0f, [2] = 9.6f, [31] = 16.4f};
    for (int i = 3; i < 31; i++) z[i] = 2.0f;
    struct block_q4_1 c;
    dtype_row_from_f32(DTYPE_Q4_1, z, DTYPE_BLOCK, &c);
    assert_true(c.d == 0x3c00 && c.m == 0x4000);
    assert_true(c.q[0] == 0 && c.q[1] == 15 && c.q[2] == 8 && c.q[15] == 14 << 4);
    const float zero[DTYPE_BLOCK] = {0};
    dtype_row_from_f32(DTYPE_Q8_0, zero, DTYPE_BLOCK, &b);
    assert_true(b.d == 0 && b.q[0] == 0);
}

/* Catches sizes that overflow or that accept part of a block. */
static void test_sizes(void **state) {
    (void)state;
    assert_int_equal(dtype_bytes(DTYPE_Q4_0, 64), 36);
    assert_int_equal(dtype_bytes(DTYPE_Q4_0, 63), 0);
    assert_int_equal(dtype_bytes(DTYPE_BF16, 3), 6);
    assert_int_equal(dtype_bytes(DTYPE_F32, SIZE_MAX / 2), 0);
    assert_string_equal(dtype_name(DTYPE_Q8_0), "Q8_0");
}

/* Catches a place of a row that the search for NaN and infinities steps over, and finite numbers taken for such. */
static void test_finite_rows(void **state) {
    (void)state;
    static const enum dtype plain[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    for (int k = 0; k < 3; k++) {
        const size_t size = dtype_info(plain[k])->block_bytes;
        const uint8_t top = plain[k] == DTYPE_F16 ? 0x7b : 0x7f, low = plain[k] == DTYPE_F16 ? 0xff : 0x7f;
        uint8_t row[150 * 4 + 1];
        memset(row, 0xff, sizeof row);
        for (size_t i = 0; i < 150; i++) { /* the largest number there is, of either sign; not aligned */
            row[1 + i * size + size - 1] = (uint8_t)(top | (i & 1) << 7);
            row[1 + i * size + size - 2] = low;
        }
        for (size_t n = 0; n <= 150; n++) assert_true(dtype_row_is_finite(plain[k], row + 1, n));
        for (size_t i = 0; i < 150; i++) {
            uint8_t *at = row + 1 + i * size + size - 2, old[2] = {at[0], at[1]};
            at[0] = plain[k] == DTYPE_F16 ? 0x00 : 0x80;
            at[1] = plain[k] == DTYPE_F16 ? 0x7c : 0x7f;
            assert_false(dtype_row_is_finite(plain[k], row + 1, 150));
            assert_true(dtype_row_is_finite(plain[k], row + 1, i));
            memcpy(at, old, 2);
        }
    }
    struct block_q8_0 blocks[3] = {{.d = 0x7bff}, {.d = 0xfbff}, {.d = 0x7c00}};
    assert_true(dtype_row_is_finite(DTYPE_Q8_0, blocks, 2 * DTYPE_BLOCK));
    assert_false(dtype_row_is_finite(DTYPE_Q8_0, blocks, 3 * DTYPE_BLOCK));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_blocks),
        cmocka_unit_test(test_golden_k_blocks),
        cmocka_unit_test(test_k_blocks_round_trip),
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_bf16_rounding),
        cmocka_unit_test(test_quantise),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_finite_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
