/* optim.h: optimizers: what a gradient does to the master weights.
 *
 * State has the layout of the weights (llama_train.h). Callers may believe: new weights and state depend on old ones,
 * the gradient and the numbers of the update, and on nothing else (kernel/order.h). This module knows nothing of steps,
 * data or files. One thread at a time.
 *
 * AdamW: Loshchilov and Hutter 2019, the formulas at struct device_adamw. Muon: muon.h; matrices that are no embedding
 * and no head; everything else goes by AdamW. Weight decay acts on matrices only (arch weight rows). */
#ifndef OPTIM_OPTIM_H
#define OPTIM_OPTIM_H

#include "llama/llama_train.h"

typedef struct optim optim;

enum optim_kind { OPTIM_ADAMW, OPTIM_MUON };

struct optim_options {
    enum optim_kind kind;
    double beta1, beta2, eps; /* of AdamW */
    double weight_decay;
    double momentum; /* of Muon */
    bool f32;        /* products of Muon: f32, or bf16 */
};

struct optim_update {
    double lr;
    double scale; /* what the gradient is multiplied with: one over the predictions, and the clip factor */
    int64_t t;    /* number of this update, from 1 */
};

/* Bytes of the state, and of scratch beside it, without making them. */
CRIA_MUST_CHECK cria_status optim_bytes(const llama_layout *l, const device *dev, const struct optim_options *options,
                                        uint64_t *ret_state, uint64_t *ret_scratch, struct cria_error *err);
/* State all zero. The layout and the device are borrowed. */
CRIA_MUST_CHECK cria_status optim_create(optim **ret, const llama_layout *l, device *dev,
                                         const struct optim_options *options, struct cria_error *err);
void optim_destroy(optim **o);

/* w and gradient in the layout's places. Whether all weights and all state are known to be finite: AdamW sees what it
 * writes, Muon does not look. */
bool optim_apply(optim *o, float *w, const float *gradient, const struct optim_update *u);

/* The state as tensors: entry i belongs to a tensor of the weights and has its shape. */
struct optim_state {
    const char *name; /* "m": first moment or momentum; "v": second moment */
    const struct llama_tensor *tensor;
    float *values; /* tensor->n; borrowed */
};
int optim_state_count(const optim *o);
struct optim_state optim_state_at(const optim *o, int i);

/* sqrt(sum of squares) of n numbers, summed exactly; false where one of them is NaN or infinite. */
bool optim_norm(device *dev, const float *x, int64_t n, double *ret);
/* What the gradient, whose norm is `norm`, is multiplied with so that its norm is at most clip (0: no limit). */
double optim_clip_factor(double norm, double clip);

#endif
