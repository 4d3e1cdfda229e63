/* llama_trainer.c: a trainer's life, and the tree in which the gradients of leaves are added.
 *
 * Leaves are added like carries: when leaf i ends, it is added to the subtree that waits on level 0, their sum to the
 * one on level 1, and so on while the bits of i are set; what comes out waits on the first free level. So the additions
 * are those of the binary tree over all leaves, whatever their number, and only as many buffers live as levels wait.
 * At the end of a step the subtrees that still wait are added from the lowest level up: an unpaired last one passes
 * through, as in every tree of kernel/order.h. */
#include "base/alloc.h"
#include "llama/llama_train_private.h"

/* ---- life ---- */

static cria_status start(llama_trainer *t, const struct arch_config *c, const llama_layout *l, device *dev,
                         const struct llama_trainer_options *options, struct cria_error *err) {
    const cria_status status = llama_trainer_check(c, options, err);
    if (status != CRIA_OK) return status;
    t->model.config = *c;
    if (options->rope_theta > 0) t->model.config.rope.theta = options->rope_theta;
    t->model.compute = options->compute;
    t->model.dev = dev;
    t->options = *options;
    t->layout = l;
    t->model.layers = alloc_zeroed((size_t)c->n_layers, sizeof *t->model.layers);
    t->backward = alloc_zeroed((size_t)c->n_layers, sizeof *t->backward);
    if (!t->model.layers || !t->backward)
        return ERROR_NOMEM(err, (size_t)c->n_layers * sizeof *t->backward, "the trainer's layers");
    t->session.model = &t->model;
    llama_trainer_describe(t);
    return llama_trainer_book(t, err);
}

cria_status llama_trainer_plan(const struct arch_config *c, device *dev, const struct llama_trainer_options *options,
                               struct llama_trainer_bytes *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    llama_layout *l = NULL;
    llama_trainer *t = ALLOC_NEW(llama_trainer);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "the plan of a trainer");
    TRY(llama_layout_create(&l, c, err));
    TRY(start(t, c, l, dev, options, err));
    *ret = t->bytes;
out:
    llama_trainer_destroy(&t);
    llama_layout_destroy(&l);
    return status;
}

cria_status llama_trainer_create(llama_trainer **ret, const struct arch_config *c, const llama_layout *l, float *w,
                                 device *dev, const struct llama_trainer_options *options, struct cria_error *err) {
    cria_status status = CRIA_OK;
    llama_trainer *t = ALLOC_NEW(llama_trainer);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a trainer");
    TRY(start(t, c, l, dev, options, err));
    TRY(llama_trainer_bind(t, err));
    t->w = w;
    arch_rope_frequencies(&t->model.config, t->session.frequencies);
    llama_forward_rotations(&t->session, t->options.max_row_tokens);
    llama_trainer_update(t);
    llama_trainer_begin(t);
    *ret = t;
    t = NULL;
out:
    llama_trainer_destroy(&t);
    return status;
}

void llama_trainer_destroy(llama_trainer **t) {
    if (!*t) return;
    pages_release(&(*t)->packed);
    pages_release(&(*t)->gradients);
    pages_release(&(*t)->kept);
    plan_destroy(&(*t)->books);
    alloc_free((*t)->model.layers);
    alloc_free((*t)->backward);
    alloc_free(*t);
    *t = NULL;
}

void llama_trainer_update(llama_trainer *t) {
    device_begin(t->model.dev);
    device_set_scratch(t->model.dev, t->session.scratch, t->scratch_columns);
    llama_trainer_pack(t);
    device_end(t->model.dev);
}

/* ---- the tree of leaves ---- */

float *llama_trainer_gradient(const llama_trainer *t, enum arch_weight w, int layer) {
    const struct llama_tensor *tensor = llama_layout_find(t->layout, w, layer);
    /* A tied head has no tensor; its gradient waits behind the layout's. */
    return t->leaf->data + (tensor ? tensor->offset : llama_layout_floats(t->layout));
}

void llama_trainer_open_leaf(llama_trainer *t) {
    if (t->leaf) return;
    int i = 0;
    while (t->buffers[i].is_used) i++;
    CRIA_ASSERT(i < t->n_buffers);
    t->leaf = &t->buffers[i];
    t->leaf->is_used = true;
    device_copy(t->model.dev, t->leaf->data, NULL, t->buffer_floats);
}

/* first = first + second, whose buffer becomes free. */
static void merge(const llama_trainer *t, struct llama_gradient *first, struct llama_gradient *second) {
    device_add(t->model.dev, first->data, second->data, t->buffer_floats);
    second->is_used = false;
}

void llama_trainer_begin(llama_trainer *t) {
    for (int i = 0; i < t->n_buffers; i++) t->buffers[i].is_used = false;
    for (int i = 0; i <= LLAMA_MAX_LEVELS; i++) t->level[i] = NULL;
    t->leaf = NULL;
    t->n_leaves = 0;
    t->loss = (struct exact_sum){0};
    t->n_predicted = t->n_not_finite = 0;
}

void llama_trainer_end_leaf(llama_trainer *t) {
    CRIA_ASSERT(t->n_leaves < t->options.n_leaves);
    llama_trainer_open_leaf(t); /* a leaf without rows is zeros */
    device_begin(t->model.dev);
    int level = 0;
    for (; t->level[level]; level++) {
        merge(t, t->level[level], t->leaf);
        t->leaf = t->level[level];
        t->level[level] = NULL;
    }
    device_end(t->model.dev);
    t->level[level] = t->leaf;
    t->leaf = NULL;
    t->n_leaves++;
}

const float *llama_trainer_finish(llama_trainer *t) {
    struct llama_gradient *sum = NULL;
    if (t->leaf || t->n_leaves == 0) llama_trainer_end_leaf(t);
    device_begin(t->model.dev);
    for (int level = 0; level <= LLAMA_MAX_LEVELS; level++) {
        if (!t->level[level]) continue;
        if (sum) merge(t, t->level[level], sum);
        sum = t->level[level];
        t->level[level] = NULL;
    }
    if (t->model.config.tied) {
        const struct llama_tensor *e = llama_layout_find(t->layout, ARCH_W_EMBEDDING, -1);
        device_add(t->model.dev, sum->data + e->offset, sum->data + llama_layout_floats(t->layout), e->n);
    }
    device_end(t->model.dev);
    return sum->data;
}

/* ---- totals ---- */

void llama_trainer_totals(const llama_trainer *t, struct exact_sum *ret_loss, int64_t *ret_n) {
    *ret_loss = t->loss;
    *ret_n = t->n_predicted;
}

int64_t llama_trainer_not_finite(const llama_trainer *t) { return t->n_not_finite; }

/* Three passes of the cost of forward; attention's part grows with the position, so its sum is a closed form. */
double llama_train_flops(const struct arch_config *c, const struct llama_piece *pieces, int n_pieces) {
    const double first = arch_forward_flops(c, 0, true), step = arch_forward_flops(c, 1, true) - first;
    double sum = 0;
    for (int i = 0; i < n_pieces; i++) {
        const double n = (double)pieces[i].n;
        sum += n * first + step * n * (n - 1) / 2;
    }
    return 3 * sum;
}
