/* cpu_attention_backward.c: the gradients of attention, by blocks of queries and keys (kernel/order.h, "Attention,
 * backward").
 *
 * A piece of work is one KV head of one run: the sums over a key's queries stay on one thread and need no merging. The
 * keys and values are packed once for the piece; then, for each query head of the group and each query block, the
 * blocks of keys it sees. All sums run through memory, which is exact. */
#include <math.h>
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/device_backward.h"

enum { BLOCK = ORDER_KEY_BLOCK, BLOCKS_IN_SPAN = ORDER_SPAN / ORDER_KEY_BLOCK, BLOCK_PANELS = BLOCK / KERNEL_PANEL };

/* Sizes that follow from the shape. */
struct shape {
    int64_t size;            /* S */
    int n_rep;               /* query heads of a group */
    int n_steps, n_panels;   /* of a head's S numbers as inputs, as outputs */
    int64_t o_stride;        /* S padded to whole panels */
    size_t tile, row, p_row; /* bytes of a tile; of a packed row of S numbers; of one of BLOCK numbers */
    int64_t max_blocks;      /* of the longest run */
    int n_levels;            /* of the span tree */
};

/* One thread's scratch. Letters: keys as outputs of a product over S, or S outputs over a block of keys. */
struct workspace {
    uint8_t *k_outputs, *v_outputs; /* [block][panel of keys][step of S] */
    uint8_t *k_inputs;              /* [block][panel of S]: over keys */
    float *dk, *dv;                 /* [block][S][BLOCK] */
    uint8_t *q_rows, *do_rows;      /* BLOCK queries packed over S */
    uint8_t *q_turned, *do_turned;  /* S rows packed over the block's queries */
    float *p, *ds;                  /* [BLOCK][BLOCK]: a row is a query */
    uint8_t *packed;                /* dS: BLOCK rows over keys; P or dS: panels of keys over queries */
    float *dq, *levels;             /* [BLOCK][o_stride] of the running span, and n_levels of finished subtrees */
    float d[BLOCK];
};

struct work {
    const device *d;
    const struct device_attention_backward *a;
    struct shape s;
    size_t workspace_bytes;
    float *kept; /* the spans' dq of shared pieces */
    float scale;
};

/* One KV head of one run. */
struct piece {
    const struct device_run *run;
    int64_t kv_head;
    int64_t n_blocks;
};

static size_t aligned(size_t n) { return (n + 63) / 64 * 64; }

static struct shape shape_of(const device *d, const struct device_attention_backward *a) {
    struct shape s = {.size = a->head_size, .n_rep = (int)(a->n_heads / a->n_kv_heads), .n_levels = 1};
    s.n_steps = (int)((s.size + ORDER_STEP - 1) / ORDER_STEP);
    s.n_panels = (int)((s.size + KERNEL_PANEL - 1) / KERNEL_PANEL);
    s.o_stride = (int64_t)s.n_panels * KERNEL_PANEL;
    s.tile = kernel_panel_bytes(a->kv_dtype, 1);
    s.p_row = device_step_bytes(d, a->kv_dtype);
    s.row = (size_t)s.n_steps * s.p_row;
    s.max_blocks = (a->max_context + BLOCK - 1) / BLOCK;
    for (int64_t spans = (a->max_context + ORDER_SPAN - 1) / ORDER_SPAN; spans > 1; spans = (spans + 1) / 2)
        s.n_levels++;
    return s;
}

/* Takes n bytes from *at; only counts where base is NULL. */
static void *take(uint8_t *base, size_t *at, size_t n) {
    uint8_t *p = base ? base + *at : NULL;
    *at += aligned(n);
    return p;
}

/* The workspace at base, and its bytes. */
static size_t carve(const struct shape *s, uint8_t *base, struct workspace *w) {
    const size_t blocks = (size_t)s->max_blocks, outputs = blocks * BLOCK_PANELS * (size_t)s->n_steps * s->tile;
    const size_t q_sums = BLOCK * (size_t)s->o_stride * sizeof(float);
    const size_t k_sums = blocks * BLOCK * (size_t)s->size * sizeof(float), square = BLOCK * BLOCK * sizeof(float);
    const size_t packed = BLOCK * s->p_row > BLOCK_PANELS * s->tile ? BLOCK * s->p_row : BLOCK_PANELS * s->tile;
    size_t at = 0;
    w->k_outputs = take(base, &at, outputs);
    w->v_outputs = take(base, &at, outputs);
    w->k_inputs = take(base, &at, blocks * (size_t)s->n_panels * s->tile);
    w->dk = take(base, &at, k_sums);
    w->dv = take(base, &at, k_sums);
    w->q_rows = take(base, &at, BLOCK * s->row);
    w->do_rows = take(base, &at, BLOCK * s->row);
    w->q_turned = take(base, &at, (size_t)s->size * s->p_row);
    w->do_turned = take(base, &at, (size_t)s->size * s->p_row);
    w->p = take(base, &at, square);
    w->ds = take(base, &at, square);
    w->packed = take(base, &at, packed);
    w->dq = take(base, &at, q_sums);
    w->levels = take(base, &at, (size_t)s->n_levels * q_sums);
    return at;
}

/* ---- packing ---- */

/* n rows (at most BLOCK) of S numbers as the outputs of a product over S. */
static void pack_outputs(const struct work *w, uint8_t *to, const float *rows, size_t stride, int n) {
    const void *lanes[KERNEL_PANEL];
    for (int panel = 0; panel < BLOCK_PANELS; panel++) {
        for (int i = 0; i < KERNEL_PANEL; i++) {
            const int row = panel * KERNEL_PANEL + i;
            lanes[i] = row < n ? rows + (size_t)row * stride : NULL;
        }
        for (int step = 0; step < w->s.n_steps; step++, to += w->s.tile) {
            const int64_t left = w->s.size - (int64_t)step * ORDER_STEP;
            kernel_pack_panel(&w->d->table, to, w->a->kv_dtype, DTYPE_F32, lanes, (size_t)step * ORDER_STEP,
                              (int)(left < ORDER_STEP ? left : ORDER_STEP));
        }
    }
}

/* n rows (at most BLOCK) of `width` numbers as inputs: width outputs over the rows. */
static void pack_inputs(const struct work *w, uint8_t *to, const float *rows, size_t stride, int n, int64_t width) {
    kernel_pack_tile_fn *pack = device_product(w->d, w->a->kv_dtype)->pack_tile;
    for (int64_t at = 0; at < width; at += KERNEL_PANEL, to += w->s.tile)
        pack(to, rows + at, stride, n, (int)(width - at < KERNEL_PANEL ? width - at : KERNEL_PANEL));
}

static void pack_keys(const struct work *w, const struct workspace *ws, const struct piece *p) {
    const struct shape *s = &w->s;
    const size_t outputs = BLOCK_PANELS * (size_t)s->n_steps * s->tile, inputs = (size_t)s->n_panels * s->tile;
    for (int64_t b = 0; b < p->n_blocks; b++) {
        const int64_t left = p->run->n_rows - b * BLOCK;
        const int n = (int)(left < BLOCK ? left : BLOCK);
        const float *row = w->a->qkv + (size_t)(p->run->row_0 + b * BLOCK) * w->a->qkv_stride;
        const float *k = row + (w->a->n_heads + p->kv_head) * s->size, *v = k + w->a->n_kv_heads * s->size;
        pack_outputs(w, ws->k_outputs + (size_t)b * outputs, k, w->a->qkv_stride, n);
        pack_outputs(w, ws->v_outputs + (size_t)b * outputs, v, w->a->qkv_stride, n);
        pack_inputs(w, ws->k_inputs + (size_t)b * inputs, k, w->a->qkv_stride, n, s->size);
    }
}

/* n rows (at most BLOCK) of S numbers, turned: S rows over them; by way of a tile, whose words only change places, or
 * by way of floats. */
static void pack_turned(const struct work *w, uint8_t *to, const float *rows, size_t stride, int n) {
    const struct kernel_product *product = device_product(w->d, w->a->kv_dtype);
    for (int64_t x = 0; x < w->s.size; x += KERNEL_BLOCK, rows += KERNEL_BLOCK, to += KERNEL_BLOCK * w->s.p_row) {
        const int n_columns = w->s.size - x < KERNEL_BLOCK ? (int)(w->s.size - x) : KERNEL_BLOCK;
        float block[KERNEL_BLOCK * BLOCK];
        if (product->x_is_column) {
            product->pack_tile((uint8_t *)block, rows, stride, n, n_columns);
            w->d->table.transpose((float *)to, w->s.p_row / sizeof(float), block, KERNEL_PANEL, ORDER_STEP / 2,
                                  n_columns);
            continue;
        }
        for (int i = 0; i < n; i += KERNEL_BLOCK)
            w->d->table.transpose(block + i, BLOCK, rows + (size_t)i * stride, stride,
                                  n - i < KERNEL_BLOCK ? n - i : KERNEL_BLOCK, n_columns);
        for (int i = 0; i < n_columns; i++) product->pack_x(to + (size_t)i * w->s.p_row, block + i * BLOCK, n);
    }
}

/* ---- one query block of one head ---- */

struct query_block {
    int64_t head, number;
    int n;      /* queries */
    size_t row; /* of the batch: its first query */
    const float *q, *out, *d_out;
};

static struct query_block query_block_at(const struct work *w, const struct piece *p, int64_t head, int64_t number) {
    const struct device_attention_backward *a = w->a;
    const int64_t left = p->run->n_rows - number * BLOCK, column = head * w->s.size;
    const size_t row = (size_t)(p->run->row_0 + number * BLOCK);
    return (struct query_block){head,
                                number,
                                (int)(left < BLOCK ? left : BLOCK),
                                row,
                                a->qkv + row * a->qkv_stride + column,
                                a->out + row * a->out_stride + column,
                                a->d_out + row * a->d_out_stride + column};
}

static void pack_queries(const struct work *w, struct workspace *ws, const struct query_block *q) {
    const struct device_attention_backward *a = w->a;
    const struct kernel_product *product = device_product(w->d, a->kv_dtype);
    for (int i = 0; i < q->n; i++) {
        const float *d_out = q->d_out + (size_t)i * a->d_out_stride;
        product->pack_x(ws->q_rows + (size_t)i * w->s.row, q->q + (size_t)i * a->qkv_stride, (int)w->s.size);
        product->pack_x(ws->do_rows + (size_t)i * w->s.row, d_out, (int)w->s.size);
        ws->d[i] = w->d->table.dot(d_out, q->out + (size_t)i * a->out_stride, (int)w->s.size);
    }
    pack_turned(w, ws->q_turned, q->q, a->qkv_stride, q->n);
    pack_turned(w, ws->do_turned, q->d_out, a->d_out_stride, q->n);
}

/* sums[S][BLOCK keys] += rows of S over queries . weights, which have a row for each query. */
static void add_turned(const struct work *w, const struct workspace *ws, float *sums, const uint8_t *rows,
                       const float *weights, int n) {
    pack_inputs(w, ws->packed, weights, BLOCK, n, BLOCK);
    device_product(w->d, w->a->kv_dtype)
        ->run(sums, BLOCK, rows, w->s.p_row, ws->packed, w->s.tile, (int)w->s.size, BLOCK_PANELS, 1, true);
}

/* dq[query][S] += dS . keys */
static void add_queries(const struct work *w, const struct workspace *ws, int n, const uint8_t *keys) {
    const struct kernel_product *product = device_product(w->d, w->a->kv_dtype);
    product->pack_x(ws->packed, ws->ds, n * BLOCK); /* rows of one step lie as the steps of one row do */
    product->run(ws->dq, (size_t)w->s.o_stride, ws->packed, w->s.p_row, keys, w->s.tile, n, w->s.n_panels, 1, true);
}

/* P and dS of the query block and one block of keys. */
static void weigh_block(const struct work *w, struct workspace *ws, const struct query_block *q, int64_t block) {
    const struct shape *s = &w->s;
    const struct kernel_product *product = device_product(w->d, w->a->kv_dtype);
    const size_t panel = (size_t)s->n_steps * s->tile, at = (size_t)block * BLOCK_PANELS * panel;
    product->run(ws->p, BLOCK, ws->q_rows, s->row, ws->k_outputs + at, panel, q->n, BLOCK_PANELS, s->n_steps, false);
    product->run(ws->ds, BLOCK, ws->do_rows, s->row, ws->v_outputs + at, panel, q->n, BLOCK_PANELS, s->n_steps, false);
    for (int i = 0; i < q->n; i++) {
        const int64_t visible = (q->number - block) * BLOCK + i + 1;
        const float *stats = w->a->stats + ((q->row + (size_t)i) * (size_t)w->a->n_heads + (size_t)q->head) * 2;
        w->d->table.attention_gradient(ws->p + i * BLOCK, ws->ds + i * BLOCK, visible < BLOCK ? (int)visible : BLOCK,
                                       w->scale, stats[0], stats[1], ws->d[i]);
    }
}

static size_t block_floats(const struct work *w) { return BLOCK * (size_t)w->s.o_stride; }

/* Puts the finished span into the tree, like a carry in a binary counter. */
static void push_span(const struct work *w, struct workspace *ws, int64_t span) {
    float *node = ws->dq;
    const size_t n = block_floats(w);
    int level = 0;
    for (; span & 1; span >>= 1, level++) {
        float *left = ws->levels + (size_t)level * n;
        w->d->table.add(left, node, (int)n);
        node = left;
    }
    float *place = ws->levels + (size_t)level * n;
    if (place != node) memcpy(place, node, n * sizeof(float));
}

/* The sum of n_spans: subtrees from the smallest (the last spans) to the largest. */
static const float *finish_tree(const struct work *w, struct workspace *ws, int64_t n_spans) {
    const float *right = NULL;
    const size_t n = block_floats(w);
    for (int level = 0; n_spans; n_spans >>= 1, level++) {
        if (!(n_spans & 1)) continue;
        float *left = ws->levels + (size_t)level * n;
        if (right) w->d->table.add(left, right, (int)n);
        right = left;
    }
    return right;
}

/* dq of the span, from zero, and the query block's part of dk and dv of the keys that it sees there. */
static void span_backward(const struct work *w, struct workspace *ws, const struct query_block *q, int64_t span) {
    const struct shape *s = &w->s;
    const size_t inputs = (size_t)s->n_panels * s->tile, k_floats = BLOCK * (size_t)s->size;
    const int64_t first = span * BLOCKS_IN_SPAN, end = first + BLOCKS_IN_SPAN;
    memset(ws->dq, 0, block_floats(w) * sizeof(float));
    for (int64_t block = first; block < end && block <= q->number; block++) {
        weigh_block(w, ws, q, block);
        add_turned(w, ws, ws->dv + (size_t)block * k_floats, ws->do_turned, ws->p, q->n);
        add_turned(w, ws, ws->dk + (size_t)block * k_floats, ws->q_turned, ws->ds, q->n);
        add_queries(w, ws, q->n, ws->k_inputs + (size_t)block * inputs);
    }
}

static void store_queries(const struct work *w, const struct query_block *q, const float *dq) {
    for (int i = 0; i < q->n; i++)
        memcpy(w->a->dqkv + (q->row + (size_t)i) * w->a->dqkv_stride + q->head * w->s.size,
               dq + (size_t)i * (size_t)w->s.o_stride, (size_t)w->s.size * sizeof(float));
}

static void query_block_backward(const struct work *w, struct workspace *ws, const struct query_block *q) {
    const int64_t n_spans = q->number / BLOCKS_IN_SPAN + 1;
    pack_queries(w, ws, q);
    for (int64_t span = 0; span < n_spans; span++) {
        span_backward(w, ws, q, span);
        push_span(w, ws, span);
    }
    store_queries(w, q, finish_tree(w, ws, n_spans));
}

/* ---- the pieces ---- */

static void store_keys(const struct work *w, const struct workspace *ws, const struct piece *p) {
    const int64_t size = w->s.size;
    for (int64_t i = 0; i < p->run->n_rows; i++) {
        float *row = w->a->dqkv + (size_t)(p->run->row_0 + i) * w->a->dqkv_stride;
        float *dk = row + (w->a->n_heads + p->kv_head) * size, *dv = dk + w->a->n_kv_heads * size;
        const int64_t from = i / BLOCK * size * BLOCK + i % BLOCK;
        for (int64_t x = 0; x < size; x++) {
            dk[x] = ws->dk[from + x * BLOCK];
            dv[x] = ws->dv[from + x * BLOCK];
        }
    }
}

static struct piece piece_at(const struct work *w, int64_t item) {
    const struct device_run *run = &w->a->runs[item / w->a->n_kv_heads];
    return (struct piece){run, item % w->a->n_kv_heads, (run->n_rows + BLOCK - 1) / BLOCK};
}

static void carve_thread(const struct work *w, int64_t i_thread, struct workspace *ret) {
    carve(&w->s, w->a->scratch + (size_t)i_thread * w->workspace_bytes, ret);
}

static void begin_keys(const struct work *w, struct workspace *ws, const struct piece *p) {
    const size_t sums = (size_t)(p->n_blocks * BLOCK * w->s.size) * sizeof(float);
    memset(ws->dk, 0, sums);
    memset(ws->dv, 0, sums);
    pack_keys(w, ws, p);
}

static void piece_backward(const struct work *w, const struct piece *p, int i_thread) {
    struct workspace ws;
    carve_thread(w, i_thread, &ws);
    begin_keys(w, &ws, p);
    for (int r = 0; r < w->s.n_rep; r++)
        for (int64_t number = 0; number < p->n_blocks; number++) {
            const struct query_block q = query_block_at(w, p, p->kv_head * w->s.n_rep + r, number);
            query_block_backward(w, &ws, &q);
        }
    store_keys(w, &ws, p);
}

static void pieces_backward(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct work *w = arg;
    for (int64_t item = begin; item < end; item++) {
        const struct piece p = piece_at(w, item);
        piece_backward(w, &p, i_thread);
    }
}

/* ---- pieces that are fewer than threads: their spans of keys are shared out ----
 *
 * For each head of the group and each chunk of queries, as many as a span has keys, all spans of keys that the chunk
 * sees are worked on at once: a key's sums are still one chain, for heads and chunks come one after the other. The
 * spans' dq are kept and then added in their tree. The keys of piece i lie in the scratch of thread i. */

struct share {
    const struct work *w;
    int64_t first, n; /* pieces */
    int head;         /* of the group */
    int64_t chunk;
};

static void carve_shared(const struct share *s, int64_t i, int i_thread, struct workspace *ret) {
    struct workspace keys;
    carve_thread(s->w, i_thread, ret);
    carve_thread(s->w, i, &keys);
    ret->k_outputs = keys.k_outputs;
    ret->v_outputs = keys.v_outputs;
    ret->k_inputs = keys.k_inputs;
    ret->dk = keys.dk;
    ret->dv = keys.dv;
}

/* Floats of all spans' dq of a chunk. */
static size_t kept_floats(const struct shape *s) {
    const size_t spans = ((size_t)s->max_blocks + BLOCKS_IN_SPAN - 1) / BLOCKS_IN_SPAN;
    return spans * BLOCKS_IN_SPAN * BLOCK * (size_t)s->o_stride;
}

/* Where the dq of a span is kept for a query block of the chunk. */
static float *kept_span(const struct share *s, int64_t i, int64_t span, int64_t number) {
    const struct work *w = s->w;
    return w->kept + (size_t)i * kept_floats(&w->s) +
           (size_t)(span * BLOCKS_IN_SPAN + number % BLOCKS_IN_SPAN) * block_floats(w);
}

static void begin_shared(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct share *s = arg;
    for (int64_t i = begin; i < end; i++) {
        const struct piece p = piece_at(s->w, s->first + i);
        struct workspace ws;
        carve_shared(s, i, i_thread, &ws);
        begin_keys(s->w, &ws, &p);
    }
}

static void end_shared(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct share *s = arg;
    for (int64_t i = begin; i < end; i++) {
        const struct piece p = piece_at(s->w, s->first + i);
        struct workspace ws;
        carve_shared(s, i, i_thread, &ws);
        store_keys(s->w, &ws, &p);
    }
}

/* Items: for each span of keys that the chunk sees, the pieces. */
static void shared_spans(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct share *s = arg;
    for (int64_t item = begin; item < end; item++) {
        const int64_t i = item % s->n, span = item / s->n, first = s->chunk * BLOCKS_IN_SPAN;
        const struct piece p = piece_at(s->w, s->first + i);
        struct workspace ws;
        carve_shared(s, i, i_thread, &ws);
        for (int64_t number = first; number < first + BLOCKS_IN_SPAN && number < p.n_blocks; number++) {
            const struct query_block q = query_block_at(s->w, &p, p.kv_head * s->w->s.n_rep + s->head, number);
            pack_queries(s->w, &ws, &q);
            ws.dq = kept_span(s, i, span, number);
            span_backward(s->w, &ws, &q, span);
        }
    }
}

/* Items: for each query block of the chunk, the pieces. */
static void shared_queries(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct share *s = arg;
    for (int64_t item = begin; item < end; item++) {
        const int64_t i = item % s->n, number = s->chunk * BLOCKS_IN_SPAN + item / s->n;
        const struct piece p = piece_at(s->w, s->first + i);
        if (number >= p.n_blocks) continue;
        const struct query_block q = query_block_at(s->w, &p, p.kv_head * s->w->s.n_rep + s->head, number);
        struct workspace ws;
        carve_thread(s->w, i_thread, &ws);
        for (int64_t span = 0; span <= s->chunk; span++) {
            ws.dq = kept_span(s, i, span, number);
            push_span(s->w, &ws, span);
        }
        store_queries(s->w, &q, finish_tree(s->w, &ws, s->chunk + 1));
    }
}

static void share_backward(team *t, const struct work *w, int64_t first, int64_t n) {
    struct share s = {.w = w, .first = first, .n = n};
    const int64_t n_chunks = (w->s.max_blocks + BLOCKS_IN_SPAN - 1) / BLOCKS_IN_SPAN;
    team_for(t, n, 1, begin_shared, &s);
    for (s.head = 0; s.head < w->s.n_rep; s.head++)
        for (s.chunk = 0; s.chunk < n_chunks; s.chunk++) {
            team_for(t, n * (s.chunk + 1), 1, shared_spans, &s);
            team_for(t, n * BLOCKS_IN_SPAN, 1, shared_queries, &s);
        }
    team_for(t, n, 1, end_shared, &s);
}

/* The threads' workspaces, then what is kept of the spans of shared pieces: fewer than threads. */
size_t device_attention_backward_bytes(const device *d, const struct device_attention_backward *shape) {
    const struct shape s = shape_of(d, shape);
    struct workspace none;
    const size_t kept = s.max_blocks > BLOCKS_IN_SPAN ? kept_floats(&s) * sizeof(float) : 0;
    return carve(&s, NULL, &none) * (size_t)d->n_threads + kept * (size_t)(d->n_threads - 1);
}

void cpu_attention_backward(device *d, const struct device_attention_backward *a) {
    struct work w = {.d = d, .a = a, .s = shape_of(d, a), .scale = 1.0f / sqrtf((float)a->head_size)};
    struct workspace none;
    w.workspace_bytes = carve(&w.s, NULL, &none);
    w.kept = (float *)(a->scratch + w.workspace_bytes * (size_t)d->n_threads);
    const int64_t n = (int64_t)a->n_runs * a->n_kv_heads;
    const int64_t n_shared = w.s.max_blocks > BLOCKS_IN_SPAN ? n % d->n_threads : 0;
    team_for(cpu_of(d)->t, n - n_shared, 1, pieces_backward, &w);
    if (n_shared > 0) share_backward(cpu_of(d)->t, &w, n - n_shared, n_shared);
}
