/* llama_fake.c: see llama_fake.h. */
#include "infer/llama_fake.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/realmath.h"

struct llama_model {
    struct arch_config config;
    struct llama_fake_options options;
    struct llama_fake_count count;
    struct llama_session *last_session;
    int64_t fail_at;
};

struct fake_page {
    int n_users;
    int32_t tokens[LLAMA_PAGE];
};

struct llama_session {
    llama_model *model;
    struct llama_session_options options;
    struct fake_page *pages;
    int64_t n_pages;
    int n_sequences;
};

struct llama_sequence {
    llama_session *session;
    int64_t *pages;
    int64_t n_tokens;
};

llama_model *llama_fake_create(const struct llama_fake_options *options) {
    llama_model *m = ALLOC_NEW(llama_model);
    m->options = *options;
    m->config.n_vocab = options->n_vocab;
    m->config.n_context = options->n_context;
    m->config.d_model = options->page_bytes ? (int64_t)options->page_bytes : 1;
    if (options->stop_id >= 0) m->config.stop_ids[m->config.n_stop_ids++] = options->stop_id;
    return m;
}

const struct llama_fake_count *llama_fake_count(const llama_model *m) { return &m->count; }
void llama_fake_fail_at(llama_model *m, int64_t n) { m->fail_at = n; }

void llama_model_destroy(llama_model **m) {
    alloc_free(*m);
    *m = NULL;
}

const struct arch_config *llama_model_config(const llama_model *m) { return &m->config; }
enum llama_compute llama_model_compute(const llama_model *m) { return m ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_DEFAULT; }

cria_status llama_session_bytes(const struct arch_config *c, enum llama_compute compute,
                                const struct llama_session_options *options, uint64_t *ret_kv,
                                uint64_t *ret_activations, struct cria_error *err) {
    if (!c || compute == LLAMA_COMPUTE_DEFAULT) return ERROR_SET(err, CRIA_USAGE, "no model");
    *ret_kv =
        (uint64_t)(options->kv_tokens / LLAMA_PAGE) * (uint64_t)c->d_model; /* as llama_fake_create() put it there */
    *ret_activations = 0;
    return CRIA_OK;
}

cria_status llama_session_create(llama_session **ret, const llama_model *m, const struct llama_session_options *options,
                                 struct cria_error *err) {
    llama_session *s = ALLOC_NEW(llama_session);
    if (!s) return ERROR_NOMEM(err, sizeof *s, "a session");
    s->model = (llama_model *)(uintptr_t)m;
    s->options = *options;
    s->n_pages = options->kv_tokens / LLAMA_PAGE;
    s->pages = alloc_zeroed((size_t)s->n_pages, sizeof *s->pages);
    if (!s->pages) {
        alloc_free(s);
        return ERROR_NOMEM(err, (size_t)options->kv_tokens, "pages");
    }
    s->model->last_session = s;
    *ret = s;
    return CRIA_OK;
}

void llama_session_destroy(llama_session **s) {
    if (!*s) return;
    CRIA_ASSERT((*s)->n_sequences == 0);
    for (int64_t i = 0; i < (*s)->n_pages; i++) CRIA_ASSERT((*s)->pages[i].n_users == 0);
    (*s)->model->last_session = NULL;
    alloc_free((*s)->pages);
    alloc_free(*s);
    *s = NULL;
}

static int64_t free_pages(const llama_session *s) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_pages; i++) n += s->pages[i].n_users == 0;
    return n;
}

int64_t llama_session_free_tokens(const llama_session *s) { return free_pages(s) * LLAMA_PAGE; }

int64_t llama_fake_used_pages(const llama_model *m) { return m->last_session->n_pages - free_pages(m->last_session); }

static int64_t take_page(llama_session *s) {
    for (int64_t i = 0; i < s->n_pages; i++)
        if (s->pages[i].n_users == 0) {
            s->pages[i].n_users = 1;
            return i;
        }
    return -1;
}

cria_status llama_sequence_create(llama_sequence **ret, llama_session *s, struct cria_error *err) {
    if (s->n_sequences == s->options.max_sequences) return ERROR_SET(err, CRIA_BUSY, "all sequences are in use");
    llama_sequence *q = ALLOC_NEW(llama_sequence);
    if (!q) return ERROR_NOMEM(err, sizeof *q, "a sequence");
    q->pages = alloc_zeroed((size_t)(s->options.max_context / LLAMA_PAGE + 1), sizeof *q->pages);
    if (!q->pages) {
        alloc_free(q);
        return ERROR_NOMEM(err, (size_t)s->options.max_context, "a sequence");
    }
    q->session = s;
    s->n_sequences++;
    *ret = q;
    return CRIA_OK;
}

cria_status llama_sequence_fork(llama_sequence **ret, const llama_sequence *from, int64_t n_tokens,
                                struct cria_error *err) {
    CRIA_ASSERT(n_tokens <= from->n_tokens && n_tokens % LLAMA_PAGE == 0); /* the engine shares whole pages only */
    llama_sequence *q;
    const cria_status status = llama_sequence_create(&q, from->session, err);
    if (status != CRIA_OK) return status;
    for (int64_t i = 0; i < n_tokens / LLAMA_PAGE; i++) {
        q->pages[i] = from->pages[i];
        q->session->pages[q->pages[i]].n_users++;
    }
    q->n_tokens = n_tokens;
    *ret = q;
    return CRIA_OK;
}

void llama_sequence_cut(llama_sequence *q, int64_t n_tokens) {
    const int64_t keep = (n_tokens + LLAMA_PAGE - 1) / LLAMA_PAGE, had = (q->n_tokens + LLAMA_PAGE - 1) / LLAMA_PAGE;
    for (int64_t i = keep; i < had; i++) q->session->pages[q->pages[i]].n_users--;
    q->n_tokens = n_tokens;
}

void llama_sequence_destroy(llama_sequence **q) {
    if (!*q) return;
    llama_sequence_cut(*q, 0);
    (*q)->session->n_sequences--;
    alloc_free((*q)->pages);
    alloc_free(*q);
    *q = NULL;
}

int64_t llama_sequence_length(const llama_sequence *q) { return q->n_tokens; }

static bool append(llama_sequence *q, int32_t token) {
    const int64_t at = q->n_tokens % LLAMA_PAGE, page = q->n_tokens / LLAMA_PAGE;
    if (q->n_tokens == q->session->options.max_context) return false;
    if (at == 0) {
        const int64_t fresh = take_page(q->session);
        if (fresh < 0) return false;
        q->pages[page] = fresh;
    }
    CRIA_ASSERT(q->session->pages[q->pages[page]].n_users == 1); /* a shared page is never written */
    q->session->pages[q->pages[page]].tokens[at] = token;
    q->n_tokens++;
    return true;
}

/* The row after the first n tokens of q. */
static void make_row(const llama_sequence *q, int64_t n, float *row) {
    const llama_model *m = q->session->model;
    uint64_t hash = 1;
    bool is_bad = false;
    for (int64_t i = 0; i < n; i++) {
        const int32_t token = q->session->pages[q->pages[i / LLAMA_PAGE]].tokens[i % LLAMA_PAGE];
        hash = (hash ^ (uint64_t)token) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
        is_bad = is_bad || token == m->options.bad_token;
    }
    for (int32_t v = 0; v < m->options.n_vocab; v++)
        row[v] = is_bad ? NAN : (float)(8 * random_unit(hash, RANDOM_TEST, (uint64_t)v) - 4);
    const int64_t i = n - m->options.script_start;
    if (m->options.script && i >= 0 && i < m->options.n_script) row[m->options.script[i]] = 100;
}

cria_status llama_forward(llama_session *s, const struct llama_run *runs, int n_runs, float *logits,
                          struct cria_error *err) {
    struct llama_fake_count *count = &s->model->count;
    if (s->model->fail_at > 0 && --s->model->fail_at == 0)
        return ERROR_SET(err, CRIA_DEVICE, "the device failed, as asked");
    int64_t n_rows = 0, n_logits = 0;
    for (int i = 0; i < n_runs; i++) {
        for (int j = 0; j < i; j++) CRIA_ASSERT(runs[i].sequence != runs[j].sequence);
        CRIA_ASSERT(runs[i].n_tokens >= 1 && runs[i].n_logits >= 0 && runs[i].n_logits <= runs[i].n_tokens);
        n_rows += runs[i].n_tokens;
        n_logits += runs[i].n_logits;
        if (runs[i].n_tokens > count->longest_run) count->longest_run = runs[i].n_tokens;
    }
    if (n_rows > s->options.max_rows || n_logits > s->options.max_logits)
        return ERROR_SET(err, CRIA_LIMIT, "%lld rows and %lld rows of logits", (long long)n_rows, (long long)n_logits);
    count->n_calls++;
    count->n_rows += n_rows;
    count->n_logits += n_logits;
    if (n_runs > count->most_runs) count->most_runs = n_runs;
    for (int i = 0; i < n_runs; i++) {
        for (int t = 0; t < runs[i].n_tokens; t++) {
            if (!append(runs[i].sequence, runs[i].tokens[t])) return ERROR_SET(err, CRIA_LIMIT, "the cache is full");
            if (t < runs[i].n_tokens - runs[i].n_logits) continue;
            make_row(runs[i].sequence, runs[i].sequence->n_tokens, logits);
            logits += s->model->options.n_vocab;
        }
    }
    return CRIA_OK;
}

float llama_logsumexp(const llama_session *s, const float *logits) {
    double sum = 0;
    for (int32_t v = 0; v < s->model->options.n_vocab; v++) sum += realmath_exp((double)logits[v]);
    return (float)realmath_log(sum);
}

float llama_logprob(const llama_session *s, const float *logits, int32_t token) {
    return logits[token] - llama_logsumexp(s, logits);
}
