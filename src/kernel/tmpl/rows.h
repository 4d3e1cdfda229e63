/* rows.h: the kernels on single rows, written once over 16 lanes and compiled for each instruction set.
 *
 * The including file gives `lanes` (16 floats) with its operations (kernel/ref/lanes_ref.h states their contract) and
 * ROWS(name), which makes the names of this instruction set. The order of operations is kernel/order.h's. */
#include "base/realmath.h"
#include "kernel/kernel.h"
#include "kernel/rows_fill.h"

#include <math.h>

/* exp for all lanes: 2^i * e^r with |r| <= ln 2 / 2; e^r by its Taylor series to r^7, off by less than 2^-27. Results
 * below the smallest normal number are flushed, above the largest become infinite; NaN stays NaN. */
static inline lanes lanes_exp(lanes x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    x = lanes_max(lanes_splat(-104.0f), x);
    x = lanes_min(lanes_splat(89.0f), x);
    const lanes t = lanes_fma(x, lanes_splat(1.44269504f), lanes_splat(magic));
    const lanes i = lanes_sub(t, lanes_splat(magic));
    lanes r = lanes_fma(i, lanes_splat(-0.693359375f), x);
    r = lanes_fma(i, lanes_splat(2.12194440e-4f), r);
    lanes e = lanes_splat(1.0f / 5040);
    e = lanes_fma(e, r, lanes_splat(1.0f / 720));
    e = lanes_fma(e, r, lanes_splat(1.0f / 120));
    e = lanes_fma(e, r, lanes_splat(1.0f / 24));
    e = lanes_fma(e, r, lanes_splat(1.0f / 6));
    e = lanes_fma(e, r, lanes_splat(0.5f));
    e = lanes_fma(e, r, lanes_splat(1.0f));
    e = lanes_fma(e, r, lanes_splat(1.0f));
    return lanes_times_pow2(e, t, magic);
}

/* exp of one number, the same bits as a lane. */
static inline float exp_one(float x) { return lanes_first(lanes_exp(lanes_splat(x))); }

static inline float total(lanes v) {
    v = lanes_add(v, lanes_upper(v, 8));
    v = lanes_add(v, lanes_upper(v, 4));
    v = lanes_add(v, lanes_upper(v, 2));
    return lanes_first(lanes_add(v, lanes_upper(v, 1)));
}

static float ROWS(lanes_total)(const float v[ORDER_LANES]) { return total(lanes_load(v)); }

static void ROWS(rmsnorm)(float *y, const float *x, const float *w, int n, float eps) {
    lanes squares = lanes_splat(0.0f);
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes v = lanes_load_n(x + i, n - i);
        squares = lanes_fma(v, v, squares);
    }
    const float r = 1.0f / sqrtf(total(squares) / (float)n + eps);
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes v = lanes_mul(lanes_load_n(x + i, n - i), lanes_splat(r));
        lanes_store_n(y + i, lanes_mul(v, lanes_load_n(w + i, n - i)), n - i);
    }
}

static void ROWS(gate)(float *h, const float *g, const float *u, int n) {
    const lanes one = lanes_splat(1.0f), zero = lanes_splat(0.0f);
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes a = lanes_load_n(g + i, n - i);
        const lanes s = lanes_div(a, lanes_add(one, lanes_exp(lanes_sub(zero, a))));
        lanes_store_n(h + i, lanes_mul(s, lanes_load_n(u + i, n - i)), n - i);
    }
}

static void ROWS(rope)(float *head, const float *cosines, const float *sines, int half) {
    const lanes zero = lanes_splat(0.0f);
    for (int i = 0; i < half; i += ORDER_LANES) {
        const lanes a = lanes_load_n(head + i, half - i), b = lanes_load_n(head + half + i, half - i);
        const lanes c = lanes_load_n(cosines + i, half - i), s = lanes_load_n(sines + i, half - i);
        lanes_store_n(head + i, lanes_fma(a, c, lanes_sub(zero, lanes_mul(b, s))), half - i);
        lanes_store_n(head + half + i, lanes_fma(b, c, lanes_mul(a, s)), half - i);
    }
}

static void ROWS(scale)(float *y, const float *x, float a, int n) {
    for (int i = 0; i < n; i += ORDER_LANES)
        lanes_store_n(y + i, lanes_mul(lanes_load_n(x + i, n - i), lanes_splat(a)), n - i);
}

static void ROWS(add)(float *y, const float *x, int n) {
    for (int i = 0; i < n; i += ORDER_LANES)
        lanes_store_n(y + i, lanes_add(lanes_load_n(y + i, n - i), lanes_load_n(x + i, n - i)), n - i);
}

/* The greatest lane. */
static inline float greatest(lanes v) {
    v = lanes_max(v, lanes_upper(v, 8));
    v = lanes_max(v, lanes_upper(v, 4));
    v = lanes_max(v, lanes_upper(v, 2));
    return lanes_first(lanes_max(v, lanes_upper(v, 1)));
}

/* Scales the scores of a row, makes those that do not count -infinity, whose exp is 0, and returns the greatest. */
static inline float scale_scores(float *scores, int n_visible, float scale) {
    lanes s0 = lanes_mul(lanes_load(scores), lanes_splat(scale));
    lanes s1 = lanes_mul(lanes_load(scores + ORDER_LANES), lanes_splat(scale));
    if (n_visible < ORDER_KEY_BLOCK) {
        s0 = lanes_first_n(s0, n_visible, lanes_splat(-INFINITY));
        s1 = lanes_first_n(s1, n_visible - ORDER_LANES, lanes_splat(-INFINITY));
    }
    lanes_store(scores, s0);
    lanes_store(scores + ORDER_LANES, s1);
    return greatest(lanes_max(s0, s1));
}

enum { ATTENTION_ROWS = 4 * ORDER_LANES }; /* of a block at once */

/* The p's of a row from its scaled scores. */
static inline void weigh_keys(struct kernel_attention_row *row, float *p, float m, float c, bool round_p) {
    lanes p0 = lanes_exp(lanes_sub(lanes_load(p), lanes_splat(m)));
    lanes p1 = lanes_exp(lanes_sub(lanes_load(p + ORDER_LANES), lanes_splat(m)));
    if (round_p) {
        p0 = lanes_round_bf16(p0);
        p1 = lanes_round_bf16(p1);
    }
    lanes_store(p, p0);
    lanes_store(p + ORDER_LANES, p1);
    lanes_store(row->l, lanes_add(lanes_fma(lanes_load(row->l), lanes_splat(c), p0), p1));
    row->m = m;
}

/* Rows i .. i + n - 1 of the block, all of them in each loop: the processor works on several at once, and the factors c
 * of 16 rows are one vector. */
static inline void attend_rows(const struct kernel_attention_block *b, int i, int n) {
    float m[ATTENTION_ROWS], best[ATTENTION_ROWS], c[ATTENTION_ROWS];
    struct kernel_attention_row *rows = b->rows + i;
    float *scores = b->scores + (size_t)i * ORDER_KEY_BLOCK;
    for (int r = n & -ORDER_LANES; r < n; r += ORDER_LANES) {
        lanes_store(m + r, lanes_splat(0.0f));
        lanes_store(best + r, lanes_splat(0.0f));
    }
    for (int r = 0; r < n; r++) {
        m[r] = rows[r].m;
        best[r] = scale_scores(scores + r * ORDER_KEY_BLOCK, b->n_visible + (i + r) / b->rows_per_token, b->scale);
    }
    for (int r = 0; r < n; r += ORDER_LANES) {
        const lanes before = lanes_load(m + r), after = lanes_max(lanes_load(best + r), before);
        lanes_store(c + r, lanes_exp(lanes_sub(before, after)));
        lanes_store(m + r, after);
    }
    for (int r = 0; r < n; r++) weigh_keys(&rows[r], scores + r * ORDER_KEY_BLOCK, m[r], c[r], b->round_p);
    for (int r = 0; r < n; r++) {
        float *o = b->o + (size_t)(i + r) * b->o_stride;
        if (c[r] != 1.0f) ROWS(scale)(o, o, c[r], b->n_o);
    }
}

static void ROWS(attention)(const struct kernel_attention_block *b) {
    for (int i = 0; i < b->n_rows; i += ATTENTION_ROWS)
        attend_rows(b, i, b->n_rows - i < ATTENTION_ROWS ? b->n_rows - i : ATTENTION_ROWS);
}

static void ROWS(merge)(float *m1, float *l1, float *o1, float m2, float l2, const float *o2, int n) {
    const float m = m2 > *m1 ? m2 : *m1;
    const float c1 = exp_one(*m1 - m), c2 = exp_one(m2 - m);
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes right = lanes_mul(lanes_load_n(o2 + i, n - i), lanes_splat(c2));
        lanes_store_n(o1 + i, lanes_fma(lanes_load_n(o1 + i, n - i), lanes_splat(c1), right), n - i);
    }
    *l1 = fmaf(*l1, c1, l2 * c2);
    *m1 = m;
}

static void ROWS(attention_gradient)(float *p, float *ds, int n_visible, float scale, float m, float inverse_l,
                                     float d) {
    const lanes zero = lanes_splat(0.0f), by = lanes_splat(scale);
    for (int i = 0; i < ORDER_KEY_BLOCK; i += ORDER_LANES) {
        const lanes s = lanes_mul(lanes_load(p + i), by);
        lanes weight = lanes_mul(lanes_exp(lanes_sub(s, lanes_splat(m))), lanes_splat(inverse_l));
        weight = lanes_first_n(weight, n_visible - i, zero);
        const lanes change = lanes_mul(lanes_mul(weight, lanes_sub(lanes_load(ds + i), lanes_splat(d))), by);
        lanes_store(p + i, weight);
        lanes_store(ds + i, lanes_first_n(change, n_visible - i, zero));
    }
}

static float ROWS(dot)(const float *a, const float *b, int n) {
    lanes sum = lanes_splat(0.0f);
    for (int i = 0; i < n; i += ORDER_LANES)
        sum = lanes_fma(lanes_load_n(a + i, n - i), lanes_load_n(b + i, n - i), sum);
    return total(sum);
}

/* (m, l) of one vocabulary shard of n > 0 numbers. */
static void shard_sum(const float *x, int64_t n, float *ret_m, float *ret_l) {
    lanes best = lanes_splat(-INFINITY), sums = lanes_splat(0.0f);
    for (int64_t i = 0; i < n; i += ORDER_LANES) {
        const int left = n - i < ORDER_LANES ? (int)(n - i) : ORDER_LANES;
        best = lanes_max(best, lanes_first_n(lanes_load_n(x + i, left), left, lanes_splat(-INFINITY)));
    }
    const float m = greatest(best);
    for (int64_t i = 0; i < n; i += ORDER_LANES) {
        const int left = n - i < ORDER_LANES ? (int)(n - i) : ORDER_LANES;
        const lanes e = lanes_exp(lanes_sub(lanes_load_n(x + i, left), lanes_splat(m)));
        sums = lanes_add(sums, lanes_first_n(e, left, lanes_splat(0.0f)));
    }
    *ret_m = m;
    *ret_l = total(sums);
}

static float ROWS(logsumexp)(const float *x, int64_t n) {
    const int64_t n_steps = (n + ORDER_STEP - 1) / ORDER_STEP;
    float m[ORDER_VOCAB_SHARDS], l[ORDER_VOCAB_SHARDS];
    for (int s = 0; s < ORDER_VOCAB_SHARDS; s++) {
        const int64_t begin = n_steps * s / ORDER_VOCAB_SHARDS * ORDER_STEP;
        int64_t end = n_steps * (s + 1) / ORDER_VOCAB_SHARDS * ORDER_STEP;
        if (end > n) end = n;
        m[s] = -INFINITY;
        l[s] = 0.0f;
        if (end > begin) shard_sum(x + begin, end - begin, &m[s], &l[s]);
    }
    for (int width = 1; width < ORDER_VOCAB_SHARDS; width *= 2)
        for (int s = 0; s < ORDER_VOCAB_SHARDS; s += 2 * width) {
            if (l[s + width] == 0.0f) continue; /* an empty shard: the other passes through */
            if (l[s] == 0.0f) {
                m[s] = m[s + width];
                l[s] = l[s + width];
            } else {
                ROWS(merge)(&m[s], &l[s], NULL, m[s + width], l[s + width], NULL, 0);
            }
        }
    return (float)((double)m[0] + realmath_log((double)l[0]));
}

void ROWS(rows_fill)(struct kernel_table *t) {
    t->rmsnorm = ROWS(rmsnorm);
    t->gate = ROWS(gate);
    t->rope = ROWS(rope);
    t->attention = ROWS(attention);
    t->merge = ROWS(merge);
    t->attention_gradient = ROWS(attention_gradient);
    t->dot = ROWS(dot);
    t->lanes = ROWS(lanes_total);
    t->scale = ROWS(scale);
    t->add = ROWS(add);
    t->logsumexp = ROWS(logsumexp);
}
