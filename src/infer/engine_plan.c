/* engine_plan.c: how much of everything an engine books: rows, logits, places in the cache. */
#include <unistd.h>

#include "infer/engine.h"

#define DEFAULT_CHUNK 512
#define SCORE_LOGITS_BYTES ((int64_t)64 << 20) /* the logits of all positions of a piece of a prompt */
#define MAX_PREFIXES 64
#define MAX_ROWS (1 << 20)

static int64_t pages_of(int64_t n_tokens) { return (n_tokens + LLAMA_PAGE - 1) / LLAMA_PAGE; }

static uint64_t default_kv_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes / 4 : (uint64_t)1 << 30;
}

/* Whether a cache of n_pages stays within max_bytes. */
static bool fits(const llama_model *m, const struct llama_session_options *o, int64_t n_pages, uint64_t max_bytes) {
    struct llama_session_options asked = *o;
    asked.kv_tokens = n_pages * LLAMA_PAGE;
    if (asked.max_context > asked.kv_tokens) asked.max_context = asked.kv_tokens;
    uint64_t kv_bytes, activation_bytes;
    return llama_session_bytes(llama_model_config(m), llama_model_compute(m), &asked, &kv_bytes, &activation_bytes,
                               NULL) == CRIA_OK &&
           kv_bytes <= max_bytes;
}

/* Chooses kv_tokens and max_context: room for max_batch whole contexts where the bytes allow it, else what they hold.
 */
static cria_status plan_cache(struct llama_session_options *s, const llama_model *m, const struct engine_options *o,
                              struct cria_error *err) {
    const int64_t model_context = llama_model_config(m)->n_context;
    if (o->max_context < 0 || o->max_context > model_context)
        return ERROR_SET(err, CRIA_RANGE,
                         "a context of %lld tokens; it must be from 1 to the model's %lld (or 0 for that)",
                         (long long)o->max_context, (long long)model_context);
    const uint64_t max_bytes = o->kv_bytes ? o->kv_bytes : default_kv_bytes();
    s->max_context = o->max_context ? o->max_context : model_context;
    const int64_t context_pages = pages_of(s->max_context);
    int64_t good = 0, bad = context_pages * (o->max_batch + (o->prefix_cache ? 1 : 0)) + 1;
    if (fits(m, s, bad - 1, max_bytes)) good = bad - 1;
    while (bad - good > 1) {
        const int64_t middle = good + (bad - good) / 2;
        if (fits(m, s, middle, max_bytes)) good = middle;
        else bad = middle;
    }
    if (good == 0 || (o->max_context && good < context_pages))
        return ERROR_SET(
            err, CRIA_LIMIT,
            "keys and values of %lld tokens do not fit %llu bytes (%lld tokens do); ask for a shorter context or "
            "give them more memory",
            (long long)s->max_context, (unsigned long long)max_bytes, (long long)good * LLAMA_PAGE);
    s->kv_tokens = good * LLAMA_PAGE;
    if (s->max_context > s->kv_tokens) s->max_context = s->kv_tokens;
    return CRIA_OK;
}

static int64_t at_most(int64_t a, int64_t limit) { return a < limit ? a : limit; }

cria_status engine_plan_make(struct engine_plan *ret, const llama_model *m, const struct engine_options *o,
                             struct cria_error *err) {
    if (o->max_batch < 1 || o->max_batch > ENGINE_MAX_BATCH)
        return ERROR_SET(err, CRIA_RANGE, "a batch of %d requests; it must be from 1 to %d", o->max_batch,
                         ENGINE_MAX_BATCH);
    if (o->prefill_chunk < 0)
        return ERROR_SET(err, CRIA_RANGE, "a prompt chunk of %d tokens; it must be 1 or more, or 0 for the default",
                         o->prefill_chunk);
    struct engine_plan p = {.max_prefixes = o->prefix_cache ? MAX_PREFIXES : 0};
    p.session = (struct llama_session_options){
        .kv_dtype = o->kv_dtype,
        .max_rows = o->max_batch + 1,
        .max_logits = o->max_batch,
        .max_sequences = o->max_batch + 1 + p.max_prefixes,
    };
    const cria_status status = plan_cache(&p.session, m, o, err);
    if (status != CRIA_OK) return status;
    const int64_t chunk =
        at_most(o->prefill_chunk ? o->prefill_chunk : DEFAULT_CHUNK, at_most(p.session.max_context, MAX_ROWS));
    const int64_t shared = at_most(chunk * o->max_batch, DEFAULT_CHUNK);
    p.chunk = (int)chunk;
    p.max_prompt_rows = (int)(shared > chunk ? shared : chunk);
    p.session.max_rows = p.max_prompt_rows + o->max_batch;
    if (o->all_logits) {
        const int64_t rows = SCORE_LOGITS_BYTES / (4 * llama_model_config(m)->n_vocab);
        p.max_score_rows = (int)at_most(rows > 0 ? rows : 1, p.max_prompt_rows);
        p.session.max_logits += p.max_score_rows;
    }
    *ret = p;
    return CRIA_OK;
}
