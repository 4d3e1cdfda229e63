/* train_finite.c: see train_finite.h. */
#include "train/train_finite.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 4096 };

/* The largest magnitude as bits: those of infinities and NaN are above all others. A block at a time, so that the
 * compiler can make vectors of it. */
bool train_finite(const float *x, int64_t n) {
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t end = n - at < BLOCK ? n : at + BLOCK;
        int32_t largest = 0;
        for (int64_t i = at; i < end; i++) {
            int32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            bits &= 0x7fffffff;
            largest = bits > largest ? bits : largest;
        }
        if (largest >= 0x7f800000) return false;
    }
    return true;
}

void train_finite_name(const struct train_session *s, const float *x, const char *prefix, char what[TRAIN_WHAT_BYTES]) {
    char name[ARCH_NAME_BYTES];
    for (int i = 0; i < llama_layout_count(s->layout); i++) {
        const struct llama_tensor *t = llama_layout_at(s->layout, i);
        if (train_finite(x + t->offset, t->n)) continue;
        arch_weight_name(ARCH_NAMING_HF, t->weight, t->layer, name);
        snprintf(what, TRAIN_WHAT_BYTES, "%s%s", prefix, name);
        return;
    }
}

void train_finite_check(const struct train_session *s, char what[TRAIN_WHAT_BYTES]) {
    const float *w = train_session_weights(s);
    if (!train_finite(w, s->n_floats)) train_finite_name(s, w, "", what);
    for (int i = 0; i < s->content.n_optimizer && !what[0]; i++) {
        const struct checkpoint_tensor *t = &s->content.optimizer[i];
        if (!train_finite(t->values, t->header.n_rows * t->header.n_columns))
            snprintf(what, TRAIN_WHAT_BYTES, "the optimizer's %s", t->header.name);
    }
}
