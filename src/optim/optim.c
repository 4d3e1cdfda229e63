/* optim.c: state of the optimizers, AdamW, clipping; see optim.h. */
#include "optim/optim.h"

#include <math.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "optim/muon.h"
#include "tensor/pages.h"

/* What an optimizer keeps for one tensor; offsets in floats. */
struct slot {
    int64_t m, v; /* v -1: none */
    bool is_muon;
};

struct optim {
    const llama_layout *layout; /* borrowed */
    device *dev;                /* borrowed */
    struct optim_options options;
    struct slot *slots; /* owned: one for each tensor */
    struct pages state; /* owned */
    muon *matrices;     /* owned; NULL in AdamW */
    int n_states;
};

static bool is_muon(const struct optim_options *options, const struct llama_tensor *t) {
    return options->kind == OPTIM_MUON && arch_weight_row(t->weight)->is_matrix && t->weight != ARCH_W_EMBEDDING &&
           t->weight != ARCH_W_HEAD;
}

/* Gives every tensor its places (slots may be NULL) and returns how many floats there are. */
static int64_t lay_out(const llama_layout *l, const struct optim_options *options, struct slot *slots) {
    int64_t at = 0;
    for (int i = 0; i < llama_layout_count(l); i++) {
        const struct llama_tensor *t = llama_layout_at(l, i);
        const int64_t room = (t->n + 15) / 16 * 16; /* as in the layout of the weights */
        struct slot s = {.m = at, .v = -1, .is_muon = is_muon(options, t)};
        at += room;
        if (!s.is_muon) {
            s.v = at;
            at += room;
        }
        if (slots) slots[i] = s;
    }
    return at;
}

static struct muon_sizes muon_needs(const llama_layout *l, const struct optim_options *options) {
    struct muon_sizes sizes = {0};
    for (int i = 0; i < llama_layout_count(l); i++) {
        const struct llama_tensor *t = llama_layout_at(l, i);
        if (is_muon(options, t)) muon_sizes_add(&sizes, t->n_rows, t->n_columns);
    }
    return sizes;
}

static cria_status state_bytes(const llama_layout *l, const struct optim_options *options, size_t *ret,
                               struct cria_error *err) {
    if (checked_mul_size((size_t)lay_out(l, options, NULL), sizeof(float), ret))
        return ERROR_SET(err, CRIA_LIMIT, "the state of the optimizer has more bytes than a number counts");
    return CRIA_OK;
}

cria_status optim_bytes(const llama_layout *l, const device *dev, const struct optim_options *options,
                        uint64_t *ret_state, uint64_t *ret_scratch, struct cria_error *err) {
    size_t bytes = 0;
    cria_status status;
    const struct muon_sizes sizes = muon_needs(l, options);
    TRY(state_bytes(l, options, &bytes, err));
    *ret_state = bytes;
    *ret_scratch = options->kind == OPTIM_MUON ? muon_bytes(dev, &sizes, options->f32) : 0;
out:
    return status;
}

cria_status optim_create(optim **ret, const llama_layout *l, device *dev, const struct optim_options *options,
                         struct cria_error *err) {
    cria_status status;
    size_t bytes = 0;
    const int n = llama_layout_count(l);
    optim *o = ALLOC_NEW(optim);
    if (!o) return ERROR_NOMEM(err, sizeof *o, "an optimizer");
    *o = (optim){.layout = l, .dev = dev, .options = *options};
    o->slots = alloc_zeroed((size_t)n, sizeof *o->slots);
    if (!o->slots) TRY(ERROR_NOMEM(err, (size_t)n * sizeof *o->slots, "an optimizer"));
    TRY(state_bytes(l, options, &bytes, err));
    TRY(pages_get(&o->state, bytes, "the state of the optimizer", err));
    lay_out(l, options, o->slots);
    for (int i = 0; i < n; i++) o->n_states += o->slots[i].v < 0 ? 1 : 2;
    if (options->kind == OPTIM_MUON) {
        const struct muon_sizes sizes = muon_needs(l, options);
        TRY(muon_create(&o->matrices, dev, &sizes, options->f32, err));
    }
    *ret = o;
    o = NULL;
out:
    optim_destroy(&o);
    return status;
}

void optim_destroy(optim **o) {
    optim *old = *o;
    *o = NULL;
    if (!old) return;
    muon_destroy(&old->matrices);
    pages_release(&old->state);
    alloc_free(old->slots);
    alloc_free(old);
}

/* beta^t as a product of squares: the same bits everywhere, and exact where t is 1. */
static double power(double base, int64_t t) {
    double result = 1;
    for (; t > 0; t >>= 1) {
        if (t & 1) result *= base;
        base *= base;
    }
    return result;
}

static struct device_adamw adamw_numbers(const struct optim_options *options, const struct optim_update *u) {
    return (struct device_adamw){
        .scale = (float)u->scale,
        .beta1 = (float)options->beta1,
        .beta2 = (float)options->beta2,
        .one_minus_beta1 = (float)(1 - options->beta1),
        .one_minus_beta2 = (float)(1 - options->beta2),
        .eps = (float)options->eps,
        .step = (float)(u->lr / (1 - power(options->beta1, u->t))),
        .root = (float)(1 / sqrt(1 - power(options->beta2, u->t))),
    };
}

bool optim_apply(optim *o, float *w, const float *gradient, const struct optim_update *u) {
    struct device_adamw a = adamw_numbers(&o->options, u);
    float *state = o->state.data;
    bool is_finite = true;
    device_begin(o->dev);
    for (int i = 0; i < llama_layout_count(o->layout); i++) {
        const struct llama_tensor *t = llama_layout_at(o->layout, i);
        const struct slot *s = &o->slots[i];
        const double decay = arch_weight_row(t->weight)->decay ? o->options.weight_decay : 0;
        if (s->is_muon) {
            const struct muon_update step = {.n_rows = t->n_rows,
                                             .n_columns = t->n_columns,
                                             .w = w + t->offset,
                                             .m = state + s->m,
                                             .gradient = gradient + t->offset,
                                             .scale = (float)u->scale,
                                             .momentum = (float)o->options.momentum,
                                             .lr = u->lr,
                                             .decay = decay};
            muon_apply(o->matrices, &step);
            is_finite = false;
            continue;
        }
        a.w = w + t->offset;
        a.m = state + s->m;
        a.v = state + s->v;
        a.gradient = gradient + t->offset;
        a.n = t->n;
        a.lr_decay = (float)(u->lr * decay);
        is_finite &= device_adamw(o->dev, &a);
    }
    device_end(o->dev);
    return is_finite;
}

int optim_state_count(const optim *o) { return o->n_states; }

struct optim_state optim_state_at(const optim *o, int i) {
    CRIA_ASSERT(i >= 0 && i < o->n_states);
    float *state = o->state.data;
    for (int k = 0;; k++) {
        const struct slot *s = &o->slots[k];
        const struct llama_tensor *t = llama_layout_at(o->layout, k);
        if (i-- == 0) return (struct optim_state){.name = "m", .tensor = t, .values = state + s->m};
        if (s->v >= 0 && i-- == 0) return (struct optim_state){.name = "v", .tensor = t, .values = state + s->v};
    }
}

bool optim_norm(device *dev, const float *x, int64_t n, double *ret) {
    struct exact_sum sum = {0};
    device_begin(dev);
    const bool is_finite = device_add_squares(dev, x, n, &sum);
    device_end(dev);
    if (is_finite) *ret = sqrt(exact_sum_value(&sum));
    return is_finite;
}

double optim_clip_factor(double norm, double clip) { return clip > 0 && norm > clip ? clip / norm : 1; }
