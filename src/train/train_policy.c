/* train_policy.c: see train_policy.h. */
#include "train/train_policy.h"

#include <math.h>

#define MEMORY 32.0

bool train_policy_is_spike(const struct train_progress *p, double loss, double deviations) {
    if (deviations <= 0 || p->n_losses < TRAIN_POLICY_WARMUP) return false;
    const double deviation = sqrt(p->variance), least = 0.005 * fabs(p->mean);
    return loss - p->mean > deviations * (deviation > least ? deviation : least);
}

void train_policy_learn(struct train_progress *p, double loss) {
    /* The first losses count equally. */
    const double n = (double)p->n_losses + 1, share = n < MEMORY ? 1 / n : 1 / MEMORY;
    const double away = loss - p->mean;
    p->mean += share * away;
    p->variance = (1 - share) * (p->variance + share * away * away);
    p->n_losses++;
}
