/* cross_entropy.c: the loss of a predicted token, and its gradient in the place of the logits.
 *
 *   F1  L = log(sum_v exp(z_v)) - z_y          for the target y; 0 where nothing is predicted
 *   B1  dz_v = exp(z_v - log-sum-exp) - (v = y)          from F1; 0 where nothing is predicted
 *
 * All in f32; the log-sum-exp is the one that inference uses (kernel/order.h, "Vocabulary"). The gradient is that of a
 * sum of losses: who wants a mean divides at the end. Nothing is saved: the logits are overwritten. */
#include "nn/nn.h"

cria_status nn_cross_entropy(device *d, struct nn_floats logits, const int32_t *targets, float *losses,
                             struct cria_error *err) {
    for (int i = 0; i < logits.n_rows; i++)
        if (targets[i] < -1 || targets[i] >= logits.width)
            return ERROR_SET(err, CRIA_RANGE, "target %d at place %d is not in -1 .. %lld", targets[i], i,
                             (long long)logits.width - 1);
    device_cross_entropy(d, &(struct device_cross_entropy){.logits = logits.data,
                                                           .stride = logits.stride,
                                                           .n_vocab = logits.width,
                                                           .targets = targets,
                                                           .n_rows = logits.n_rows,
                                                           .losses = losses}); /* F1, B1 */
    return CRIA_OK;
}
