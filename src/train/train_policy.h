/* train_policy.h: when a step's loss is a jump, from the losses before it. Pure; the numbers live in the progress, so a
 * run that was interrupted judges as one that was not. */
#ifndef TRAIN_TRAIN_POLICY_H
#define TRAIN_TRAIN_POLICY_H

#include "train/train_progress.h"

/* A jump is above the running mean by `deviations` standard deviations (each at least half a percent of the mean);
 * never before TRAIN_POLICY_WARMUP losses. 0: nothing is a jump. */
#define TRAIN_POLICY_WARMUP 32
bool train_policy_is_spike(const struct train_progress *p, double loss, double deviations);
/* Takes a loss into the mean and the variance, each with a memory of about 32 steps. */
void train_policy_learn(struct train_progress *p, double loss);
/* A run that has gone back this often stops. */
#define TRAIN_POLICY_MAX_REWINDS 8

#endif
