/* train_session.c: see train_session.h. */
#include "train/train_session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "train/train_finite.h"

enum { LEAF_TOKENS = 8192, CALL_TOKENS = 4096, MAX_LEAVES = 8, MAX_CALL_ROWS = 1 << 16 };

int train_leaves(int64_t n_rows, int64_t max_tokens, int asked) {
    if (asked > 0 && n_rows % asked == 0) return asked;
    int n = MAX_LEAVES;
    while (n > 1 && (n_rows % n || n_rows / n * max_tokens < LEAF_TOKENS)) n /= 2;
    return n;
}

int64_t train_session_rows(const struct train_options *options, int64_t step, struct rows_cursor at) {
    const int64_t wanted = schedule_rows(&options->schedule, step);
    const struct rows_cursor here = rows_advance(options->data, at, 0);
    if (here.phase + 1 >= rows_n_phases(options->data)) return wanted;
    const uint64_t left = rows_left_in_phase(options->data, here);
    return (uint64_t)wanted > left ? (int64_t)left : wanted;
}

cria_status train_session_check_rows(const struct train_options *options, struct cria_error *err) {
    struct rows_cursor at = {0};
    uint64_t needed = 0;
    const uint64_t total = rows_total(options->data);
    for (int64_t step = 1; step <= options->schedule.steps && needed <= total; step++) {
        const int64_t n = train_session_rows(options, step, at);
        at = rows_advance(options->data, at, (uint64_t)n);
        needed += (uint64_t)n;
        if (needed > total)
            return ERROR_SET(err, CRIA_RANGE,
                             "rows used up: step %lld of %lld needs row %llu, and the data has %llu; fewer --steps, a "
                             "smaller --global-batch or more data",
                             (long long)step, (long long)options->schedule.steps, (unsigned long long)needed,
                             (unsigned long long)total);
    }
    return CRIA_OK;
}

static int64_t longest_row(const struct train_options *options) {
    const int64_t train = rows_max_length(options->data);
    const int64_t held_out = options->held_out ? rows_max_length(options->held_out) : 0;
    return train > held_out ? train : held_out;
}

void train_session_shape(const struct train_options *options, struct llama_trainer_options *ret) {
    const int64_t length = longest_row(options), most = schedule_max_rows(&options->schedule);
    const int64_t padded = length < LLAMA_PAGE ? LLAMA_PAGE : length; /* the slots that fill up a short row are a run */
    int64_t rows_at_once = options->micro_rows ? options->micro_rows : CALL_TOKENS / length;
    if (rows_at_once < 1) rows_at_once = 1;
    if (rows_at_once > most) rows_at_once = most;
    if (rows_at_once > MAX_CALL_ROWS) rows_at_once = MAX_CALL_ROWS;
    const int64_t pieces_of_row = length / 2 + 1;
    const int64_t pieces = 8 * rows_at_once > pieces_of_row ? 8 * rows_at_once : pieces_of_row;
    int leaves = 1;
    for (int i = -1; i < options->schedule.n_ramp; i++) {
        const int64_t n = i < 0 ? options->schedule.rows : options->schedule.ramp[i].rows;
        const int of_n = train_leaves(n, length, options->n_leaves);
        if (of_n > leaves) leaves = of_n;
    }
    *ret = (struct llama_trainer_options){.compute = options->compute,
                                          .max_row_tokens = (int)(padded < options->config.n_context ? padded : length),
                                          .max_rows = (int)rows_at_once,
                                          .max_pieces = (int)pieces,
                                          .n_leaves = leaves > MAX_LEAVES ? leaves : MAX_LEAVES,
                                          .recompute = options->recompute};
    if (rows_n_phases(options->data) == 1 && schedule_max_rows(&options->schedule) == options->schedule.rows)
        ret->n_leaves = leaves;
}

static cria_status make_rows(struct train_session *s, const struct llama_trainer_options *shape,
                             struct cria_error *err) {
    cria_status status = CRIA_OK;
    const size_t n_rows = (size_t)shape->max_rows, n_pieces = (size_t)shape->max_pieces;
    s->max_rows = shape->max_rows;
    s->max_pieces = shape->max_pieces;
    s->rows = alloc_zeroed(n_rows, sizeof *s->rows);
    s->views = alloc_zeroed(n_rows, sizeof *s->views);
    s->pieces = alloc_zeroed(n_pieces, sizeof *s->pieces);
    s->losses = alloc_zeroed(n_rows * (size_t)shape->max_row_tokens, sizeof *s->losses);
    if (!s->rows || !s->views || !s->pieces || !s->losses)
        return ERROR_NOMEM(err, n_rows * (size_t)shape->max_row_tokens * sizeof *s->losses, "the rows of a step");
    const rows *widest = s->options->data;
    if (s->options->held_out && rows_max_length(s->options->held_out) > rows_max_length(widest))
        widest = s->options->held_out;
    for (size_t i = 0; i < n_rows && status == CRIA_OK; i++) status = rows_row_make(widest, &s->rows[i], err);
    return status;
}

float *train_session_weights(const struct train_session *s) { return s->weights.data; }

/* The trainer for the rows of a phase, whose rotation may have a base of its own. */
static cria_status enter_phase(struct train_session *s, int phase, struct cria_error *err) {
    const struct rows_phase *p = rows_phase_at(s->options->data, phase);
    const double theta = p->rope_base > 0 ? p->rope_base : s->options->config.rope.theta;
    if (s->trainer && theta == s->config.rope.theta) {
        s->phase = phase;
        return CRIA_OK;
    }
    struct llama_trainer_options shape;
    train_session_shape(s->options, &shape);
    shape.rope_theta = theta;
    llama_trainer_destroy(&s->trainer);
    const cria_status status = llama_trainer_create(&s->trainer, &s->options->config, s->layout,
                                                    train_session_weights(s), s->options->dev, &shape, err);
    if (status != CRIA_OK) return status;
    s->config.rope.theta = theta;
    buffer_cut(&s->content.config, 0);
    s->phase = phase;
    return hf_save_config(&s->content.config, &s->config, err);
}

cria_status train_session_create(struct train_session **ret, const struct train_options *options,
                                 struct cria_error *err) {
    cria_status status;
    struct llama_trainer_options shape;
    struct train_session *s = ALLOC_NEW(struct train_session);
    if (!s) return ERROR_NOMEM(err, sizeof *s, "a training run");
    s->options = options;
    s->config = options->config;
    s->phase = -1;
    train_session_shape(options, &shape);
    TRY(llama_layout_create(&s->layout, &options->config, err));
    s->n_floats = llama_layout_floats(s->layout);
    TRY(pages_get(&s->weights, (size_t)s->n_floats * sizeof(float), "the master weights", err));
    TRY(optim_create(&s->opt, s->layout, options->dev, &options->optim, err));
    TRY(checkpoint_content_init(&s->content, &options->config, s->layout, train_session_weights(s), s->opt, err));
    if (options->tokenizer_folder) TRY(checkpoint_content_companions(&s->content, options->tokenizer_folder, err));
    TRY(make_rows(s, &shape, err));
    *ret = s;
    s = NULL;
out:
    train_session_destroy(&s);
    return status;
}

void train_session_destroy(struct train_session **s) {
    struct train_session *old = *s;
    *s = NULL;
    if (!old) return;
    for (int i = 0; old->rows && i < old->max_rows; i++) rows_row_free(&old->rows[i]);
    alloc_free(old->rows);
    alloc_free(old->views);
    alloc_free(old->pieces);
    alloc_free(old->losses);
    checkpoint_content_free(&old->content);
    llama_trainer_destroy(&old->trainer);
    optim_destroy(&old->opt);
    pages_release(&old->weights);
    llama_layout_destroy(&old->layout);
    alloc_free(old);
}

/* The trainer holds the weights as they are now. */
static cria_status renew_trainer(struct train_session *s, struct cria_error *err) {
    const struct rows_cursor at = rows_advance(s->options->data, s->at.cursor, 0);
    const int n = rows_n_phases(s->options->data), phase = at.phase < n ? at.phase : n - 1;
    const bool is_made = s->trainer != NULL;
    const cria_status status = enter_phase(s, phase, err);
    if (status == CRIA_OK && is_made) llama_trainer_update(s->trainer);
    return status;
}

cria_status train_session_begin(struct train_session *s, struct cria_error *err) {
    const struct train_options *o = s->options;
    float *w = train_session_weights(s);
    cria_status status = CRIA_OK;
    memset(w, 0, (size_t)s->n_floats * sizeof *w);
    for (int i = 0; i < s->content.n_optimizer; i++) {
        const struct checkpoint_tensor *t = &s->content.optimizer[i];
        memset(t->values, 0, (size_t)(t->header.n_rows * t->header.n_columns) * sizeof(float));
    }
    if (o->init) TRY(llama_weights_read(s->layout, o->init, w, err));
    else llama_weights_init(s->layout, &o->config, o->seed, w);
    s->at = (struct train_progress){0};
    s->is_finite = false;
    TRY(renew_trainer(s, err));
out:
    return status;
}

cria_status train_session_load(struct train_session *s, const char *folder, int64_t step,
                               const uint8_t run_id[DIGEST_BYTES], struct cria_error *err) {
    char *text = NULL;
    size_t n = 0;
    cria_status status;
    s->is_finite = false;
    TRY(checkpoint_load(folder, step, run_id, &s->content, &text, &n, err));
    TRY(train_progress_read(&s->at, text, n, err));
    if (s->at.step != step)
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s: state.json of step %lld says step %lld", folder, (long long)step,
                      (long long)s->at.step));
    TRY(renew_trainer(s, err));
out:
    alloc_free(text);
    return status;
}

cria_status train_session_digest(const struct train_session *s, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    return llama_weights_digest(s->layout, train_session_weights(s), out, err);
}

/* Reads rows from the cursor on into the buffers, as many as one call takes: at most `most`. */
static cria_status gather(struct train_session *s, const rows *from, struct rows_cursor at, int64_t most, int *ret_n,
                          struct cria_error *err) {
    int n = 0, n_pieces = 0;
    while (n < most && n < s->max_rows) {
        struct rows_row *row = &s->rows[n];
        const cria_status status = rows_get(from, rows_advance(from, at, (uint64_t)n), row, err);
        if (status != CRIA_OK) return status;
        if (n_pieces + row->n_pieces > s->max_pieces) break;
        for (int i = 0; i < row->n_pieces; i++)
            s->pieces[n_pieces + i] = (struct llama_piece){.first = row->pieces[i].first, .n = row->pieces[i].n};
        s->views[n] = (struct llama_data_row){.ids = row->ids,
                                              .targets = row->targets,
                                              .n_tokens = row->n_tokens,
                                              .pieces = s->pieces + n_pieces,
                                              .n_pieces = row->n_pieces};
        n_pieces += row->n_pieces;
        n++;
    }
    if (n == 0)
        return ERROR_SET(err, CRIA_LIMIT, "a row has %d documents; a call takes at most %d", s->rows[0].n_pieces,
                         s->max_pieces);
    *ret_n = n;
    return CRIA_OK;
}

/* One leaf: n_rows rows from the cursor on. */
static cria_status run_leaf(struct train_session *s, struct rows_cursor at, int64_t n_rows, struct train_gradient *g,
                            struct cria_error *err) {
    for (int64_t done = 0; done < n_rows;) {
        int n = 0;
        cria_status status =
            gather(s, s->options->data, rows_advance(s->options->data, at, (uint64_t)done), n_rows - done, &n, err);
        if (status == CRIA_OK) status = llama_trainer_rows(s->trainer, s->views, n, s->losses, err);
        if (status != CRIA_OK) return status;
        const int64_t n_before = g->n_tokens;
        for (int i = 0; i < n; i++) {
            g->n_tokens += s->views[i].n_tokens;
            g->flops += llama_train_flops(&s->config, s->views[i].pieces, s->views[i].n_pieces);
        }
        if (!train_finite(s->losses, g->n_tokens - n_before)) snprintf(g->what, sizeof g->what, "the loss");
        done += n;
    }
    llama_trainer_end_leaf(s->trainer);
    return CRIA_OK;
}

/* The step's numbers from its sums, and what is not finite among them. */
static cria_status conclude(struct train_session *s, struct train_gradient *g, struct cria_error *err) {
    struct exact_sum sum = {0};
    double norm = 0;
    llama_trainer_totals(s->trainer, &sum, &g->n_predicted);
    if (g->n_predicted < 1)
        return ERROR_SET(err, CRIA_RANGE, "step %lld: its %lld rows predict nothing: each has a single token",
                         (long long)s->at.step + 1, (long long)g->n_rows);
    g->loss = g->what[0] ? (double)NAN : exact_sum_value(&sum) / (double)g->n_predicted;
    if (optim_norm(s->options->dev, g->values, s->n_floats, &norm)) g->norm = norm / (double)g->n_predicted;
    else if (!g->what[0]) train_finite_name(s, g->values, "the gradient of ", g->what);
    if (!g->what[0] && !s->is_finite) train_finite_check(s, g->what);
    if (g->what[0]) g->norm = (double)NAN;
    return CRIA_OK;
}

cria_status train_session_gradient(struct train_session *s, struct train_gradient *ret, struct cria_error *err) {
    const struct train_options *o = s->options;
    const struct rows_cursor at = rows_advance(o->data, s->at.cursor, 0);
    struct train_gradient g = {.n_rows = train_session_rows(o, s->at.step + 1, at)};
    cria_status status;
    if (at.phase < rows_n_phases(o->data) && at.phase != s->phase) TRY(enter_phase(s, at.phase, err));
    const int64_t length = at.phase < rows_n_phases(o->data) ? rows_phase_at(o->data, at.phase)->seq_len : 1;
    const int leaves = train_leaves(g.n_rows, length, o->n_leaves);
    const int64_t rows_of_leaf = g.n_rows / leaves;
    llama_trainer_begin(s->trainer);
    for (int i = 0; i < leaves; i++)
        TRY(run_leaf(s, rows_advance(o->data, at, (uint64_t)(i * rows_of_leaf)), rows_of_leaf, &g, err));
    g.values = llama_trainer_finish(s->trainer);
    TRY(conclude(s, &g, err));
    *ret = g;
out:
    return status;
}

void train_session_update(struct train_session *s, const struct train_gradient *g) {
    const struct train_options *o = s->options;
    const double factor = optim_clip_factor(g->norm, o->clip);
    const struct optim_update u = {.lr = schedule_rate(&o->schedule, s->at.step + 1),
                                   .scale = factor / (double)g->n_predicted,
                                   .t = s->at.n_updates + 1};
    s->is_finite = optim_apply(s->opt, train_session_weights(s), g->values, &u);
    llama_trainer_update(s->trainer);
}

void train_session_advance(struct train_session *s, const struct train_gradient *g, bool is_updated) {
    struct train_progress *p = &s->at;
    p->step++;
    if (is_updated) p->n_updates++;
    else p->n_skipped++;
    p->n_tokens += g->n_tokens;
    p->cursor = rows_advance(s->options->data, p->cursor, (uint64_t)g->n_rows);
}

cria_status train_session_evaluate(struct train_session *s, struct train_evaluation *ret, struct cria_error *err) {
    const rows *from = s->options->held_out;
    struct train_evaluation e = {0};
    struct exact_sum sum = {0};
    bool is_finite = true, knows_bytes = true;
    int64_t n_rows = (int64_t)rows_total(from);
    if (s->options->eval_rows && s->options->eval_rows < n_rows) n_rows = s->options->eval_rows;
    for (int64_t done = 0; done < n_rows;) {
        int n = 0;
        cria_status status =
            gather(s, from, rows_advance(from, (struct rows_cursor){0}, (uint64_t)done), n_rows - done, &n, err);
        if (status == CRIA_OK) status = llama_trainer_score(s->trainer, s->views, n, s->losses, err);
        if (status != CRIA_OK) return status;
        const float *losses = s->losses;
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < s->views[i].n_tokens; k++) {
                if (!isfinite(losses[k])) is_finite = false;
                else exact_sum_add(&sum, (double)losses[k]);
            }
            losses += s->views[i].n_tokens;
            e.n_predicted += s->rows[i].n_targets;
            e.n_bytes += s->rows[i].n_bytes;
            knows_bytes = knows_bytes && s->rows[i].n_bytes >= 0;
        }
        done += n;
    }
    const double total = is_finite ? exact_sum_value(&sum) : (double)NAN;
    e.loss = e.n_predicted ? total / (double)e.n_predicted : (double)NAN;
    e.bits_per_byte = knows_bytes && e.n_bytes ? total / 0.69314718055994530942 / (double)e.n_bytes : (double)NAN;
    *ret = e;
    return CRIA_OK;
}
