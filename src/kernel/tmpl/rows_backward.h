/* rows_backward.h: the row kernels of learning, written once over 16 lanes; included behind rows.h, whose exp and
 * reductions they use. The order of operations is kernel/order.h's. */

/* With y = (x * r) * w and r = (sum x^2 / D + eps)^-1/2, and g = dy * w:
 *   dx_j = r * (g_j - x_j * (sum_i g_i x_i) * r^2 / D). */
static float ROWS(norm_backward)(float *dx, const float *x, const float *w, const float *dy, int n, float eps) {
    lanes squares = lanes_splat(0.0f), products = squares;
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes v = lanes_load_n(x + i, n - i);
        const lanes g = lanes_mul(lanes_load_n(dy + i, n - i), lanes_load_n(w + i, n - i));
        squares = lanes_fma(v, v, squares);
        products = lanes_fma(g, v, products);
    }
    const float r = 1.0f / sqrtf(total(squares) / (float)n + eps);
    const float k = total(products) * r * r / (float)n;
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes g = lanes_mul(lanes_load_n(dy + i, n - i), lanes_load_n(w + i, n - i));
        const lanes change = lanes_fma(lanes_load_n(x + i, n - i), lanes_splat(-k), g);
        lanes_store_n(dx + i, lanes_fma(change, lanes_splat(r), lanes_load_n(dx + i, n - i)), n - i);
    }
    return r;
}

enum { GAIN_LANES = 4 }; /* vectors of columns that go down the rows together */

static void ROWS(gain)(float *dw, const float *x, size_t x_stride, const float *dy, size_t dy_stride, const float *r,
                       int n_rows, int n) {
    for (int j = 0; j < n; j += GAIN_LANES * ORDER_LANES) {
        lanes sum[GAIN_LANES];
        for (int v = 0; v < GAIN_LANES; v++) sum[v] = lanes_load_n(dw + j + v * ORDER_LANES, n - j - v * ORDER_LANES);
        for (int i = 0; i < n_rows; i++)
            for (int v = 0; v < GAIN_LANES; v++) {
                const int at = j + v * ORDER_LANES;
                const lanes normed = lanes_mul(lanes_load_n(x + (size_t)i * x_stride + at, n - at), lanes_splat(r[i]));
                sum[v] = lanes_fma(lanes_load_n(dy + (size_t)i * dy_stride + at, n - at), normed, sum[v]);
            }
        for (int v = 0; v < GAIN_LANES; v++) lanes_store_n(dw + j + v * ORDER_LANES, sum[v], n - j - v * ORDER_LANES);
    }
}

/* With s = 1 / (1 + exp(-g)) and a = g s, which is the gate of the forward pass, h = a u:
 *   du = dh * a, dg = (dh * u) * (s + a * (1 - s)). */
static void ROWS(gate_backward)(float *h, float *dg, float *du, const float *g, const float *u, const float *dh,
                                int n) {
    const lanes one = lanes_splat(1.0f), zero = lanes_splat(0.0f);
    for (int i = 0; i < n; i += ORDER_LANES) {
        const lanes gate = lanes_load_n(g + i, n - i), up = lanes_load_n(u + i, n - i), d = lanes_load_n(dh + i, n - i);
        const lanes e = lanes_add(one, lanes_exp(lanes_sub(zero, gate)));
        const lanes s = lanes_div(one, e), a = lanes_div(gate, e);
        lanes_store_n(h + i, lanes_mul(a, up), n - i);
        lanes_store_n(du + i, lanes_mul(d, a), n - i);
        lanes_store_n(dg + i, lanes_mul(lanes_mul(d, up), lanes_fma(a, lanes_sub(one, s), s)), n - i);
    }
}

/* The rotation by the opposite angle. */
static void ROWS(rope_backward)(float *head, const float *cosines, const float *sines, int half) {
    const lanes zero = lanes_splat(0.0f);
    for (int i = 0; i < half; i += ORDER_LANES) {
        const lanes a = lanes_load_n(head + i, half - i), b = lanes_load_n(head + half + i, half - i);
        const lanes c = lanes_load_n(cosines + i, half - i), s = lanes_load_n(sines + i, half - i);
        lanes_store_n(head + i, lanes_fma(a, c, lanes_mul(b, s)), half - i);
        lanes_store_n(head + half + i, lanes_fma(b, c, lanes_sub(zero, lanes_mul(a, s))), half - i);
    }
}

static void ROWS(softmax)(float *x, float lse, int64_t n) {
    for (int64_t i = 0; i < n; i += ORDER_LANES) {
        const int left = n - i < ORDER_LANES ? (int)(n - i) : ORDER_LANES;
        lanes_store_n(x + i, lanes_exp(lanes_sub(lanes_load_n(x + i, left), lanes_splat(lse))), left);
    }
}

static bool ROWS(adamw)(float *w, float *m, float *v, const float *gradient, int64_t n, const struct kernel_adamw *a) {
    const lanes scale = lanes_splat(a->scale), beta1 = lanes_splat(a->beta1), beta2 = lanes_splat(a->beta2);
    const lanes rest1 = lanes_splat(a->one_minus_beta1), rest2 = lanes_splat(a->one_minus_beta2);
    const lanes eps = lanes_splat(a->eps), decay = lanes_splat(a->lr_decay), step = lanes_splat(a->step),
                root = lanes_splat(a->root);
    const lanes zero = lanes_splat(0.0f);
    lanes nothing = zero; /* x * 0 of all that is written: NaN where some x is not finite */
    for (int64_t i = 0; i < n; i += ORDER_LANES) {
        const int left = n - i < ORDER_LANES ? (int)(n - i) : ORDER_LANES;
        const lanes g = lanes_mul(lanes_load_n(gradient + i, left), scale);
        const lanes first = lanes_add(lanes_mul(beta1, lanes_load_n(m + i, left)), lanes_mul(rest1, g));
        const lanes second = lanes_add(lanes_mul(beta2, lanes_load_n(v + i, left)), lanes_mul(lanes_mul(rest2, g), g));
        const lanes before = lanes_load_n(w + i, left);
        const lanes decayed = lanes_sub(before, lanes_mul(decay, before));
        const lanes size = lanes_add(lanes_mul(lanes_sqrt(second), root), eps);
        lanes_store_n(m + i, first, left);
        lanes_store_n(v + i, second, left);
        lanes_store_n(w + i, lanes_sub(decayed, lanes_div(lanes_mul(step, first), size)), left);
        const lanes after = lanes_load_n(w + i, left); /* lanes behind the end may hold 0 / 0 */
        nothing = lanes_fma(first, zero, lanes_fma(second, zero, lanes_fma(after, zero, nothing)));
    }
    return total(nothing) == 0.0f;
}

void ROWS(rows_fill_backward)(struct kernel_table *t) {
    t->norm_backward = ROWS(norm_backward);
    t->gain = ROWS(gain);
    t->gate_backward = ROWS(gate_backward);
    t->rope_backward = ROWS(rope_backward);
    t->softmax = ROWS(softmax);
    t->adamw = ROWS(adamw);
}
