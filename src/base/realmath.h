/* realmath.h: exp, log, sin and cos of doubles from plain IEEE operations, so that every machine gets the same bits.
 *
 * A C library picks its versions by the CPU and changes them between releases; a rotation table or a frequency made
 * with them would differ between machines. These use only +, -, * and / in double (no fused multiply-add) and integer
 * operations: their bits depend on the argument alone. Relative error below 1e-15 (measured: 2 units in the last
 * place). Results and arguments below the smallest normal double count as zero, so the flush-to-zero state of the
 * thread makes no difference. Pure; any thread. */
#ifndef BASE_REALMATH_H
#define BASE_REALMATH_H

/* e^x. NaN gives NaN; above 709.78 infinity; below -708.39, where the result is no normal number, zero. */
double realmath_exp(double x);
/* The natural logarithm. NaN and x < 0 give NaN, 0 gives -infinity, infinity gives infinity. */
double realmath_log(double x);
/* base^exponent = exp(exponent * log(base)) for base > 0; relative error about (1 + |exponent * log(base)|) * 3e-16. */
double realmath_pow(double base, double exponent);
/* Sine and cosine of x radians for |x| < 1.3e7; NaN outside. */
double realmath_sin(double x);
double realmath_cos(double x);

#endif
