/* llama_fake.h: a model for the engine's tests: logits are a hash of all tokens up to the position, pages are counted.
 *
 * It holds the contract of llama.h against the engine: a call beyond its booking fails, and a page that is written
 * while shared, or lost, shows in other logits or in the count of free ones. */
#ifndef INFER_LLAMA_FAKE_H
#define INFER_LLAMA_FAKE_H

#include "llama/llama.h"

struct llama_fake_options {
    int32_t n_vocab;
    int64_t n_context;
    uint64_t page_bytes; /* what llama_session_bytes() says of one page; 0: 1 */
    const int32_t
        *script; /* borrowed: where not NULL, position script_start + i - 1 has script[i] as its highest logit */
    int64_t n_script, script_start;
    int32_t bad_token; /* after it logits are NaN; -1: never */
    int32_t stop_id;   /* in the configuration; -1: none */
};

/* What the engine asked of all sessions of a model so far. */
struct llama_fake_count {
    int64_t n_calls, n_rows, n_logits;
    int longest_run, most_runs;
};

llama_model *llama_fake_create(const struct llama_fake_options *options);
const struct llama_fake_count *llama_fake_count(const llama_model *m);
/* Pages that are in use in the session made last. */
int64_t llama_fake_used_pages(const llama_model *m);
/* The n-th forward call from now on fails; 0: none. */
void llama_fake_fail_at(llama_model *m, int64_t n);

#endif
