/* train_finite.h: finding NaN and infinities, and naming the tensor that has one. Private to this folder. */
#ifndef TRAIN_TRAIN_FINITE_H
#define TRAIN_TRAIN_FINITE_H

#include "train/train_session.h"

/* Whether all n numbers are finite. */
bool train_finite(const float *x, int64_t n);
/* what gets prefix and the name of the first tensor of x (in the layout's places) that is not finite. */
void train_finite_name(const struct train_session *s, const float *x, const char *prefix, char what[TRAIN_WHAT_BYTES]);
/* The same of weights and optimizer state; what stays as it is where everything is finite. */
void train_finite_check(const struct train_session *s, char what[TRAIN_WHAT_BYTES]);

#endif
