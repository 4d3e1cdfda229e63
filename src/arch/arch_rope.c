/* arch_rope.c: the frequencies of the rotation; the derivation is in docs/MODEL.md, section "Rotation".
 *
 * The plain frequency is rounded to f32 first, as the reference has it, and the scaled one again: at most one unit in
 * the last place from the reference's own f32 arithmetic. */
#include "arch/arch.h"

#include "base/realmath.h"

#define TWO_PI 6.283185307179586476925

/* Llama 3.1's rule: wavelengths far below the original context are kept, those far above divided by the factor, and
 * those between are blended. */
static double scale_llama3(const struct arch_rope *r, double f) {
    const double context = (double)r->original_context, wavelength = TWO_PI / f;
    if (wavelength < context / r->high_factor) return f;
    if (wavelength > context / r->low_factor) return f / r->factor;
    if (r->low_factor == r->high_factor)
        return f; /* the blend's interval is one point, and its width would divide by 0 */
    const double smooth = (context / wavelength - r->low_factor) / (r->high_factor - r->low_factor);
    return (1.0 - smooth) * f / r->factor + smooth * f;
}

void arch_rope_frequencies(const struct arch_config *c, float *out) {
    const struct arch_rope *r = &c->rope;
    for (int64_t i = 0; i < c->head_size / 2; i++) {
        const double exponent = -2.0 * (double)i / (double)c->head_size;
        const float plain = (float)realmath_pow(r->theta, exponent);
        double f = (double)plain;
        switch (r->kind) {
            case ARCH_ROPE_LINEAR:
                f = f / r->factor;
                break;
            case ARCH_ROPE_LLAMA3:
                f = scale_llama3(r, f);
                break;
            case ARCH_ROPE_DIVISORS:
                f = f / (double)r->divisors[i];
                break;
            case ARCH_ROPE_PLAIN:
            case ARCH_ROPE_NONE:
                break;
        }
        out[i] = (float)f;
    }
}
