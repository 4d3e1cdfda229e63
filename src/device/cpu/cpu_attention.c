/* cpu_attention.c: attention over the paged cache: key blocks ascending inside spans, spans merged in a tree.
 *
 * A piece of work is one KV head and a tile of a sequence's rows: all query heads of the group, token by token, so
 * that keys and values are read once for them. Scores and weighted values are ordinary products whose matrices are the
 * pages themselves. A row takes part in a block only if it sees a key of it: so its bits do not depend on which rows
 * stand beside it. */
#include <math.h>
#include <string.h>

#include "device/cpu/cpu.h"

enum {
    TILE_ROWS = 96, /* query rows at once: tokens x query heads of the group; one token may have more */
    FEW_ROWS = 32,  /* up to which the memory sets the pace */
    FEW_PANELS = 2, /* of values in a part of the work on few rows */
    PAGES_IN_SPAN = ORDER_SPAN / ORDER_KEY_BLOCK,
};

struct shape {
    int n_rep;               /* query heads of a group */
    int n_tokens;            /* tokens in a tile */
    int n_rows;              /* n_tokens * n_rep */
    int n_levels;            /* of the span tree */
    int n_steps;             /* of a key */
    int o_stride;            /* S padded to whole panels */
    size_t q_bytes, p_bytes; /* of one packed row: a query, and 32 weights */
};

static struct shape shape_of(const device *d, const struct device_kv *kv, int64_t n_heads, int64_t max_context) {
    struct shape s = {.n_rep = (int)(n_heads / kv->n_kv_heads)};
    s.n_tokens = s.n_rep >= TILE_ROWS ? 1 : TILE_ROWS / s.n_rep;
    s.n_rows = s.n_tokens * s.n_rep;
    s.n_levels = 1;
    for (int64_t spans = (max_context + ORDER_SPAN - 1) / ORDER_SPAN; spans > 1; spans = (spans + 1) / 2) s.n_levels++;
    s.n_steps = (int)((kv->head_size + ORDER_STEP - 1) / ORDER_STEP);
    s.o_stride = (int)((kv->head_size + KERNEL_PANEL - 1) / KERNEL_PANEL) * KERNEL_PANEL;
    s.q_bytes = device_q_bytes(d, kv, 1);
    s.p_bytes = device_step_bytes(d, kv->dtype);
    return s;
}

/* The (m, l, o) of n_rows rows. */
struct partial {
    float *m, *l, *o;
};

/* One thread's scratch, carved from bytes. */
struct workspace {
    struct kernel_attention_row *rows;
    float *scores;                 /* n_rows x 32 */
    uint8_t *weights;              /* n_rows packed rows */
    struct partial now, level[32]; /* the running span, and finished subtrees */
};

static size_t aligned(size_t n) { return (n + 63) / 64 * 64; }

static size_t partial_bytes(const struct shape *s) {
    return aligned((size_t)s->n_rows * sizeof(float)) * 2 +
           aligned((size_t)s->n_rows * (size_t)s->o_stride * sizeof(float));
}

static size_t workspace_bytes(const struct shape *s) {
    return aligned((size_t)s->n_rows * sizeof(struct kernel_attention_row)) +
           aligned((size_t)s->n_rows * ORDER_KEY_BLOCK * sizeof(float)) + aligned((size_t)s->n_rows * s->p_bytes) +
           partial_bytes(s) * (size_t)(s->n_levels + 1);
}

static struct partial carve_partial(const struct shape *s, uint8_t **at) {
    struct partial p;
    p.m = (float *)*at;
    p.l = (float *)(*at + aligned((size_t)s->n_rows * sizeof(float)));
    p.o = (float *)(*at + 2 * aligned((size_t)s->n_rows * sizeof(float)));
    *at += partial_bytes(s);
    return p;
}

static struct workspace carve(const struct shape *s, uint8_t *at) {
    struct workspace w;
    w.rows = (struct kernel_attention_row *)at;
    at += aligned((size_t)s->n_rows * sizeof(struct kernel_attention_row));
    w.scores = (float *)at;
    at += aligned((size_t)s->n_rows * ORDER_KEY_BLOCK * sizeof(float));
    w.weights = at;
    at += aligned((size_t)s->n_rows * s->p_bytes);
    w.now = carve_partial(s, &at);
    for (int i = 0; i < s->n_levels; i++) w.level[i] = carve_partial(s, &at);
    return w;
}

struct attention_work {
    const device *d;
    const struct device_attention *a;
    struct shape s;
    float *out; /* n_rows x H * S */
    uint8_t *workspaces;
    size_t workspace_bytes;
    float scale;
    int64_t n_spans; /* of the only row, where there is just one */
    uint8_t *kept;
};

/* A tile: tokens token_0 .. of a run, for one KV head. */
struct tile {
    const struct device_run *run;
    int64_t kv_head;
    int token_0, n_tokens;
    int64_t position_0; /* of its first token */
};

/* The keys and values of a page for one KV head. */
static const uint8_t *page_head(const struct attention_work *w, const struct tile *t, int64_t page) {
    return w->a->cache + (size_t)t->run->pages[page] * w->a->page_stride + (size_t)t->kv_head * w->a->kv->head_bytes;
}

/* One block of keys and the rows of the tile from first_row on. Before each part of the work some of the next page is
 * asked for, since the processor does not foresee the jump from page to page; asked for all at once it would stop the
 * work until nearly all of it is there. With few rows the products are cut, which makes the parts smaller. */
struct block {
    int64_t page;
    const uint8_t *head;
    int first_row, n_rows;
    float *scores, *o;
    uint8_t *weights;
    int steps, panels;    /* of a part */
    const uint8_t *ahead; /* of the next page */
    size_t left, piece;   /* bytes of it: not yet asked for, and to ask for at once */
};

static struct block block_of(const struct attention_work *w, const struct workspace *ws, const struct tile *t,
                             int64_t page, int first_row) {
    const struct shape *s = &w->s;
    const int n_rows = t->n_tokens * s->n_rep - first_row;
    struct block b = {.page = page,
                      .head = page_head(w, t, page),
                      .first_row = first_row,
                      .n_rows = n_rows,
                      .scores = ws->scores + (size_t)first_row * ORDER_KEY_BLOCK,
                      .o = ws->now.o + (size_t)first_row * (size_t)s->o_stride,
                      .weights = ws->weights + (size_t)first_row * s->p_bytes,
                      .steps = s->n_steps,
                      .panels = s->o_stride / KERNEL_PANEL};
    if ((page + 1) * ORDER_KEY_BLOCK >= t->position_0 + t->n_tokens) return b;
    if (n_rows <= FEW_ROWS) {
        b.steps = 1;
        b.panels = FEW_PANELS;
    }
    b.ahead = page_head(w, t, page + 1);
    b.left = w->a->kv->head_bytes;
    const int n_panels = s->o_stride / KERNEL_PANEL;
    const int n_parts = s->n_steps / b.steps + 2 + (n_panels + b.panels - 1) / b.panels;
    b.piece = aligned(b.left / (size_t)n_parts);
    return b;
}

static void ask_for_more(struct block *b) {
    const size_t n = b->piece < b->left ? b->piece : b->left;
    for (size_t line = 0; line < n; line += 64) __builtin_prefetch(b->ahead + line);
    b->ahead += n;
    b->left -= n;
}

static void score_keys(const struct attention_work *w, const struct tile *t, struct block *b) {
    const struct shape *s = &w->s;
    const struct kernel_product *product = device_product(w->d, w->a->kv->dtype);
    const size_t tile_bytes = kernel_panel_bytes(w->a->kv->dtype, 1);
    const size_t token = (size_t)t->kv_head * (size_t)w->a->n_rows + (size_t)(t->run->row_0 + t->token_0);
    const uint8_t *q = w->a->q.data + (token * (size_t)s->n_rep + (size_t)b->first_row) * s->q_bytes;
    for (int i = 0; i < s->n_steps; i += b->steps) {
        ask_for_more(b);
        product->run(b->scores, ORDER_KEY_BLOCK, q + (size_t)i * product->x_step_bytes, s->q_bytes,
                     b->head + (size_t)i * tile_bytes, (size_t)s->n_steps * tile_bytes, b->n_rows,
                     ORDER_KEY_BLOCK / KERNEL_PANEL, b->steps, i > 0);
    }
}

static void weigh_keys(const struct attention_work *w, const struct workspace *ws, const struct tile *t,
                       struct block *b) {
    const struct shape *s = &w->s;
    const struct kernel_product *product = device_product(w->d, w->a->kv->dtype);
    const int64_t visible = t->position_0 + b->first_row / s->n_rep - b->page * ORDER_KEY_BLOCK + 1;
    const struct kernel_attention_block block = {
        .rows = ws->rows + b->first_row,
        .scores = b->scores,
        .o = b->o,
        .o_stride = (size_t)s->o_stride,
        .n_rows = b->n_rows,
        .n_visible = visible < ORDER_KEY_BLOCK ? (int)visible : ORDER_KEY_BLOCK,
        .rows_per_token = s->n_rep,
        .n_o = s->o_stride,
        .scale = w->scale,
        .round_p = w->a->kv->dtype == DTYPE_BF16,
    };
    ask_for_more(b);
    w->d->table.attention(&block);
    ask_for_more(b);
    product->pack_x(b->weights, b->scores, b->n_rows * ORDER_KEY_BLOCK); /* rows of one step lie as steps of a row do */
}

static void add_values(const struct attention_work *w, struct block *b) {
    const struct shape *s = &w->s;
    const size_t tile_bytes = kernel_panel_bytes(w->a->kv->dtype, 1);
    const uint8_t *values = b->head + w->a->kv->value_offset;
    const int n_panels = s->o_stride / KERNEL_PANEL;
    for (int i = 0; i < n_panels; i += b->panels) {
        ask_for_more(b);
        device_product(w->d, w->a->kv->dtype)
            ->run(b->o + i * KERNEL_PANEL, (size_t)s->o_stride, b->weights, s->p_bytes, values + (size_t)i * tile_bytes,
                  tile_bytes, b->n_rows, n_panels - i < b->panels ? n_panels - i : b->panels, 1, true);
    }
}

/* First row of the tile that sees a key at or after position `key`. */
static int first_row_seeing(const struct attention_work *w, const struct tile *t, int64_t key) {
    return key <= t->position_0 ? 0 : (int)(key - t->position_0) * w->s.n_rep;
}

static void attend_block(const struct attention_work *w, const struct workspace *ws, const struct tile *t,
                         int64_t page) {
    struct block b = block_of(w, ws, t, page, first_row_seeing(w, t, page * ORDER_KEY_BLOCK));
    score_keys(w, t, &b);
    weigh_keys(w, ws, t, &b);
    add_values(w, &b);
}

static void merge_rows(const struct attention_work *w, const struct partial *left, const struct partial *right,
                       int row) {
    const size_t at = (size_t)row * (size_t)w->s.o_stride;
    w->d->table.merge(&left->m[row], &left->l[row], left->o + at, right->m[row], right->l[row], right->o + at,
                      w->s.o_stride);
}

static void copy_row(const struct attention_work *w, const struct partial *to, const struct partial *from, int row) {
    const size_t at = (size_t)row * (size_t)w->s.o_stride;
    to->m[row] = from->m[row];
    to->l[row] = from->l[row];
    memcpy(to->o + at, from->o + at, (size_t)w->s.o_stride * sizeof(float));
}

/* Puts the finished span number `span` of a row into its tree, like a carry in a binary counter. */
static void push_span(const struct attention_work *w, struct workspace *ws, int64_t span, int row) {
    const struct partial *node = &ws->now;
    int level = 0;
    for (; span & 1; span >>= 1, level++) {
        merge_rows(w, &ws->level[level], node, row);
        node = &ws->level[level];
    }
    copy_row(w, &ws->level[level], node, row);
}

/* The whole row: subtrees of n_spans from the smallest (the last spans) to the largest. */
static const struct partial *finish_tree(const struct attention_work *w, struct workspace *ws, int64_t n_spans,
                                         int row) {
    const struct partial *right = NULL;
    for (int level = 0; n_spans; n_spans >>= 1, level++) {
        if (!(n_spans & 1)) continue;
        if (right) merge_rows(w, &ws->level[level], right, row);
        right = &ws->level[level];
    }
    return right;
}

/* (m, l, o) of one span for the rows that see it, into ws->now; returns the first of them. */
static int attend_span(const struct attention_work *w, const struct workspace *ws, const struct tile *t, int64_t span) {
    const int n_rows = t->n_tokens * w->s.n_rep, first = first_row_seeing(w, t, span * ORDER_SPAN);
    const int64_t last = t->position_0 + t->n_tokens - 1;
    for (int r = first; r < n_rows; r++) {
        ws->rows[r] = (struct kernel_attention_row){.m = -INFINITY};
        memset(ws->now.o + (size_t)r * (size_t)w->s.o_stride, 0, (size_t)w->s.o_stride * sizeof(float));
    }
    for (int64_t page = span * PAGES_IN_SPAN; page < (span + 1) * PAGES_IN_SPAN && page * ORDER_KEY_BLOCK <= last;
         page++)
        attend_block(w, ws, t, page);
    for (int r = first; r < n_rows; r++) {
        ws->now.m[r] = ws->rows[r].m;
        ws->now.l[r] = w->d->table.lanes(ws->rows[r].l);
    }
    return first;
}

/* Writes the finished rows of a tile. */
static void finish_tile(const struct attention_work *w, struct workspace *ws, const struct tile *t) {
    const int64_t size = w->a->kv->head_size;
    for (int r = 0; r < t->n_tokens * w->s.n_rep; r++) {
        const int64_t position = t->position_0 + r / w->s.n_rep, head = t->kv_head * w->s.n_rep + r % w->s.n_rep;
        const struct partial *p = finish_tree(w, ws, position / ORDER_SPAN + 1, r);
        const size_t row = (size_t)(t->run->row_0 + t->token_0 + r / w->s.n_rep);
        float *out = w->out + (row * (size_t)w->a->n_heads + (size_t)head) * (size_t)size;
        const float inverse_l = 1.0f / p->l[r];
        w->d->table.scale(out, p->o + (size_t)r * (size_t)w->s.o_stride, inverse_l, (int)size);
        if (!w->a->stats) continue;
        float *stats = w->a->stats + (row * (size_t)w->a->n_heads + (size_t)head) * 2;
        stats[0] = p->m[r];
        stats[1] = inverse_l;
    }
}

static void attend_tile(const struct attention_work *w, const struct tile *t, int i_thread) {
    struct workspace ws = carve(&w->s, w->workspaces + (size_t)i_thread * w->workspace_bytes);
    const int64_t last = t->position_0 + t->n_tokens - 1;
    for (int64_t span = 0; span * ORDER_SPAN <= last; span++) {
        const int first = attend_span(w, &ws, t, span);
        for (int r = first; r < t->n_tokens * w->s.n_rep; r++) push_span(w, &ws, span, r);
    }
    finish_tile(w, &ws, t);
}

/* ---- one row alone: its spans are shared out too ---- */

static struct tile only_tile(const struct attention_work *w, int64_t kv_head) {
    const struct device_run *run = w->a->runs;
    return (struct tile){run, kv_head, 0, 1, run->position_0};
}

/* Where the result of a span of the only row is kept between the two loops. */
static struct partial kept_span(const struct attention_work *w, int64_t item) {
    uint8_t *at = w->kept + (size_t)item * partial_bytes(&w->s);
    return carve_partial(&w->s, &at);
}

static void attend_spans(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct attention_work *w = arg;
    struct workspace ws = carve(&w->s, w->workspaces + (size_t)i_thread * w->workspace_bytes);
    for (int64_t item = begin; item < end; item++) {
        const struct tile t = only_tile(w, item / w->n_spans);
        ws.now = kept_span(w, item);
        attend_span(w, &ws, &t, item % w->n_spans);
    }
}

static void merge_spans(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct attention_work *w = arg;
    struct workspace ws = carve(&w->s, w->workspaces + (size_t)i_thread * w->workspace_bytes);
    for (int64_t kv_head = begin; kv_head < end; kv_head++) {
        const struct tile t = only_tile(w, kv_head);
        for (int64_t span = 0; span < w->n_spans; span++) {
            ws.now = kept_span(w, kv_head * w->n_spans + span);
            for (int r = 0; r < w->s.n_rep; r++) push_span(w, &ws, span, r);
        }
        finish_tile(w, &ws, &t);
    }
}

/* ---- any rows ---- */

static int64_t tiles_of_run(const struct attention_work *w, const struct device_run *run) {
    return (run->n_rows + w->s.n_tokens - 1) / w->s.n_tokens;
}

/* Items: for each run its tiles, for each tile its KV heads; late tiles see more keys, so they come first. */
static void attend_items(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct attention_work *w = arg;
    const int64_t n_kv = w->a->kv->n_kv_heads;
    for (int64_t item = begin; item < end; item++) {
        const struct device_run *run = w->a->runs;
        int64_t i = item / n_kv;
        while (i >= tiles_of_run(w, run)) i -= tiles_of_run(w, run++);
        const int token_0 = (int)(tiles_of_run(w, run) - 1 - i) * w->s.n_tokens;
        const int left = run->n_rows - token_0;
        const struct tile t = {run, item % n_kv, token_0, left < w->s.n_tokens ? left : w->s.n_tokens,
                               run->position_0 + token_0};
        attend_tile(w, &t, i_thread);
    }
}

static void pack_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct attention_work *w = arg;
    (void)i_thread;
    for (int64_t row = begin; row < end; row++)
        cpu_pack_row(w->d, w->a->m, w->out + (size_t)row * (size_t)(w->a->n_heads * w->a->kv->head_size),
                     w->a->out.data + (size_t)row * w->a->out.stride);
}

static int64_t spans_of(int64_t n_keys) { return (n_keys + ORDER_SPAN - 1) / ORDER_SPAN; }

/* The threads' workspaces, then what is kept of one row's spans. */
size_t device_attention_bytes(const device *d, const struct device_kv *kv, int64_t n_heads, int64_t max_context) {
    const struct shape s = shape_of(d, kv, n_heads, max_context);
    return aligned(workspace_bytes(&s)) * (size_t)d->n_threads +
           partial_bytes(&s) * (size_t)(kv->n_kv_heads * spans_of(max_context));
}

void cpu_attention(device *d, const struct device_attention *a) {
    struct attention_work w = {.d = d, .a = a, .s = shape_of(d, a->kv, a->n_heads, a->max_context)};
    w.workspace_bytes = aligned(workspace_bytes(&w.s));
    w.workspaces = a->scratch;
    w.kept = a->scratch + w.workspace_bytes * (size_t)d->n_threads;
    w.out = a->rows;
    w.scale = 1.0f / sqrtf((float)a->kv->head_size);
    w.n_spans = spans_of(a->runs->position_0 + 1);
    if (a->n_rows == 1 && d->n_threads > 1 && w.n_spans > 1) {
        team_for(cpu_of(d)->t, a->kv->n_kv_heads * w.n_spans, 1, attend_spans, &w);
        team_for(cpu_of(d)->t, a->kv->n_kv_heads, 1, merge_spans, &w);
    } else {
        int64_t n_items = 0;
        for (int i = 0; i < a->n_runs; i++) n_items += tiles_of_run(&w, &a->runs[i]) * a->kv->n_kv_heads;
        team_for(cpu_of(d)->t, n_items, 1, attend_items, &w);
    }
    team_for(cpu_of(d)->t, a->n_rows, 8, pack_rows, &w);
}
