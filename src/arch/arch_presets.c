/* arch_presets.c: named shapes.
 *
 * Sources: the published ones are those of the models' config.json files (Llama 3.1 8B, 70B, 405B; Llama 3.2 1B, 3B;
 * SmolLM2 135M, 360M, 1.7B). The small ones, named by their parameters with their own vocabulary, are for learning on
 * one machine: widths are multiples of 64, so that no product has a step that is not full, and the feed-forward width
 * is near 8/3 of the model's, as in the first Llama. */
#include <string.h>

#include "arch/arch.h"

struct preset {
    const char *name;
    int64_t d_model, n_layers, n_heads, n_kv_heads, d_ff, n_vocab, n_context;
    double rope_theta, rope_factor; /* factor 0: not scaled; else Llama 3.1's rule from 8,192 tokens on */
    bool tied;
};

static const struct preset presets[] = {
    {"1m", 128, 4, 4, 2, 384, 2048, 512, 1e4, 0, true},
    {"5m", 256, 5, 4, 2, 704, 4096, 1024, 1e4, 0, true},
    {"15m", 384, 6, 6, 2, 1024, 8192, 1024, 1e4, 0, true},
    {"30m", 512, 6, 8, 4, 1408, 16384, 1024, 1e4, 0, true},
    {"50m", 512, 10, 8, 4, 1408, 32768, 1024, 1e4, 0, true},
    {"110m", 768, 12, 12, 4, 2048, 32768, 1024, 1e4, 0, true},
    {"135m", 576, 30, 9, 3, 1536, 49152, 8192, 1e5, 0, true},
    {"360m", 960, 32, 15, 5, 2560, 49152, 8192, 1e5, 0, true},
    {"1b", 2048, 16, 32, 8, 8192, 128256, 131072, 5e5, 32, true},
    {"1.7b", 2048, 24, 32, 32, 8192, 49152, 8192, 1.3e5, 0, true},
    {"3b", 3072, 28, 24, 8, 8192, 128256, 131072, 5e5, 32, true},
    {"8b", 4096, 32, 32, 8, 14336, 128256, 131072, 5e5, 8, false},
    {"70b", 8192, 80, 64, 8, 28672, 128256, 131072, 5e5, 8, false},
    {"405b", 16384, 126, 128, 8, 53248, 128256, 131072, 5e5, 8, false},
};

enum { N_PRESETS = sizeof presets / sizeof presets[0] };

const char *arch_preset_name(int i) { return i >= 0 && i < N_PRESETS ? presets[i].name : NULL; }

static struct arch_rope rope_of(const struct preset *p) {
    struct arch_rope rope = {.kind = ARCH_ROPE_PLAIN, .theta = p->rope_theta};
    if (p->rope_factor > 0) {
        rope.kind = ARCH_ROPE_LLAMA3;
        rope.factor = p->rope_factor;
        rope.low_factor = 1;
        rope.high_factor = 4;
        rope.original_context = 8192;
    }
    return rope;
}

bool arch_preset(const char *name, struct arch_config *ret) {
    for (int i = 0; i < N_PRESETS; i++) {
        const struct preset *p = &presets[i];
        if (strcmp(p->name, name) != 0) continue;
        *ret = (struct arch_config){.d_model = p->d_model,
                                    .n_layers = p->n_layers,
                                    .n_heads = p->n_heads,
                                    .n_kv_heads = p->n_kv_heads,
                                    .head_size = p->d_model / p->n_heads,
                                    .d_ff = p->d_ff,
                                    .n_vocab = p->n_vocab,
                                    .n_context = p->n_context,
                                    .norm_eps = 1e-5,
                                    .tied = p->tied,
                                    .rope = rope_of(p),
                                    .bos_id = -1};
        memccpy(ret->name, p->name, '\0', sizeof ret->name - 1);
        return true;
    }
    return false;
}
