/* order.h: the one arithmetic: in which order numbers are added, and where they are rounded.
 *
 * The bits of a result depend on the mathematical problem and on nothing else. So every kernel, on every instruction
 * set, computes exactly what is written here; ref/ says it in plain C and the tests compare bits. A change of any bit
 * raises ORDER_ARITHMETIC_VERSION. docs/DECISIONS/0001 tells why these rules and not others.
 *
 * Modes. bf16: each element of a weight matrix stands for one bf16 number (bf16 as it is, f32 and f16 rounded, a
 *   quantised element as bf16(scale * code [+ min]), the product exact and the sum rounded once in f32); activations
 *   are rounded to bf16 where the activation table of arch/ says so. f32: the exact stored value, nothing rounded.
 * Rounding is to nearest even; subnormal inputs and results are flushed to zero (FTZ and DAZ in every thread).
 *
 * Product, bf16, one output: K ascends in steps of ORDER_STEP; the accumulator starts at +0; a step is
 *     e = +0; for the 16 even k ascending: e = fma(x_k, w_k, e)
 *     o = +0; for the 16 odd  k ascending: o = fma(x_k, w_k, o)
 *     accumulator = accumulator + (e + o)
 *   K is padded with zeros to whole steps. (It is what the AMX tile unit does; see docs/DECISIONS/0002 for how plain
 *   vector units do the same.) Starting e and o with a product instead of fma(.., +0) changes at most the sign of a
 *   zero, which the accumulator, never -0 itself, does not show.
 * Product, f32: one chain: accumulator = fma(x_k, w_k, accumulator), k ascending from +0.
 * Shards: the attention output and down projections are S chains (arch_shards) and a binary tree: neighbours are
 *   added, then neighbours of the sums, until one is left.
 * Row reductions: element i is added to chain i mod ORDER_LANES, i ascending; then chains i and i + 8 are added, i and
 *   i + 4, i + 2, i + 1. Sums of squares chain with fma.
 * Attention: keys in blocks of ORDER_KEY_BLOCK, blocks ascending in spans of ORDER_SPAN keys, counted from the
 *   sequence's first token. For each query row and block with at least one visible key:
 *     s_j = (q . k_j) * scale, the product as above over the head size; keys not visible do not count
 *     m' = max(m, max s_j);  c = exp(m - m');  p_j = exp(s_j - m') rounded to the cache's format, 0 where not visible
 *     l_i = fma(l_i, c, p_i) for lane i < 16, then l_i = l_i + p_(i+16);  o = o * c, then o = o + product step (p, v)
 *   The span's l is the tree sum of the 16 lanes. Spans (m, l, o) are merged in a binary tree fixed by span number, an
 *   unpaired last one passing through: m = max, c1 = exp(m1 - m), c2 = exp(m2 - m), l = fma(l1, c1, l2 * c2), o alike.
 *   The result is o * (1 / l), rounded as the table says.
 * Attention, backward: s as above, m and l the merged ones; P = exp(s - m) * (1 / l); D = the row reduction of dO * O;
 *   dP = dO . v, the product; dS = P * (dP - D) * scale. P, dS, dO, q, k and v are rounded to the cache's format where
 *   they enter a product. For a key and its KV head: query heads of the group ascending, query blocks ascending, one
 *   chain in steps of ORDER_KEY_BLOCK queries: dv of (P, dO), dk of (dS, q). dq: key blocks ascending inside a span,
 *   one chain of (dS, k); the spans' sums are added in a binary tree like the forward's.
 * Vocabulary: (m, l) for each of ORDER_VOCAB_SHARDS shards of whole steps, l a row reduction of exp(x - m); merged in a
 *   tree like spans; log-sum-exp = m + log(l), the log in double and rounded once.
 * Norm: r = 1 / sqrt(sum / D + eps), y = (x * r) * w. Gate: h = (g / (1 + exp(-g))) * u. Rotation of (a, b):
 *   a' = fma(a, cos, -(b * sin)), b' = fma(b, cos, a * sin). Residual: x = x + product, after the shard tree.
 *
 * Backward. Gradients are f32; what enters a product is rounded there as the mode says.
 * Input gradients, of up to three products over one x: the product above with the turned weights, its k the outputs:
 *   for each shard a chain over its outputs of the first matrix, then the second, then the third, each beginning a
 *   step; the shards are added in a tree.
 * Weight gradients: the product above over tokens, ascending, each data row beginning a step; the accumulator starts at
 *   what the tokens before left there. Norm gains: w' = fma(dy, x * r, w'), tokens ascending. Embedding: rows added,
 *   tokens ascending.
 * Norm: g = dy * w; c = the row reduction of g * x, chained with fma; k = ((c * r) * r) / D; dx = fma(fma(x, -k, g), r,
 *   dx). Gate: e = 1 + exp(-g), s = 1 / e, a = g / e; du = dh * a, dg = (dh * u) * fma(a, 1 - s, s). Rotation: by the
 *   opposite angle. Loss of a token: log-sum-exp - x_target; dx = exp(x - log-sum-exp), less 1 at the target.
 * AdamW: the lines of device/device_backward.h, one rounding an operation, no fma, left to right.
 * Sums of losses and of squared gradients are exact (base/exact_sum.h). */
#ifndef KERNEL_ORDER_H
#define KERNEL_ORDER_H

#define ORDER_ARITHMETIC_VERSION 1

#define ORDER_STEP 32
#define ORDER_LANES 16
#define ORDER_KEY_BLOCK 32
#define ORDER_SPAN 512
#define ORDER_VOCAB_SHARDS 8

#endif
