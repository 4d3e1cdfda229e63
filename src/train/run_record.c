/* run_record.c: see run_record.h. */
#include "train/run_record.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "kernel/order.h"

enum { MAX_RECORD_BYTES = 1 << 22 };

cria_status run_record_id(const struct run_record *r, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    digest *d = NULL;
    cria_status status;
    TRY(digest_create(&d, err));
    for (int i = 0; i < r->n_facts; i++) {
        digest_add(d, r->facts[i].name, strlen(r->facts[i].name) + 1);
        digest_add(d, r->facts[i].value, strlen(r->facts[i].value) + 1);
    }
    TRY(digest_result(d, out, err));
out:
    digest_destroy(&d);
    return status;
}

static void write_facts(json_writer *w, const char *key, const struct train_fact *facts, int n) {
    json_write_key(w, key);
    json_write_begin_object(w);
    for (int i = 0; i < n; i++) {
        json_write_key(w, facts[i].name);
        json_write_text(w, facts[i].value);
    }
    json_write_end_object(w);
}

cria_status run_record_write(const char *path, const struct run_record *r, struct cria_error *err) {
    uint8_t id[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct buffer text = buffer_make(MAX_RECORD_BYTES);
    json_writer w = json_writer_make(&text);
    cria_status status;
    TRY(run_record_id(r, id, err));
    digest_hex(id, hex);
    json_write_begin_object(&w);
    json_write_key(&w, "format");
    json_write_text(&w, "cria run 1");
    json_write_key(&w, "run");
    json_write_text(&w, hex);
    write_facts(&w, "identity", r->facts, r->n_facts);
    write_facts(&w, "options", r->settings, r->n_settings);
    write_facts(&w, "program_and_machine", r->circumstances, r->n_circumstances);
    json_write_end_object(&w);
    buffer_append_char(&text, '\n');
    TRY(buffer_status(&text, "run.json", err));
    TRY(file_write_atomic(path, text.data, text.n_bytes, err));
out:
    buffer_free(&text);
    return status;
}

static const char *value_of(const struct run_record *r, struct json_text name) {
    for (int i = 0; i < r->n_facts; i++)
        if (json_text_is(name, r->facts[i].name)) return r->facts[i].value;
    return NULL;
}

/* Holds the object of facts that comes next to the run's. */
static cria_status compare_facts(json_reader *r, const struct run_record *record, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key, value;
    int n = 0;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        const char *ours = value_of(record, key);
        TRY(json_read_string(r, &value, err));
        if (!ours || !json_text_is(value, ours))
            TRY(ERROR_SET(err, CRIA_USAGE,
                          "the folder holds another run: its %.*s is %.*s, and %s here; give another --out, or the "
                          "options that the run was begun with",
                          (int)key.n, key.bytes, (int)value.n, value.bytes, ours ? ours : "not said"));
        n++;
    }
    if (n != record->n_facts)
        TRY(ERROR_SET(err, CRIA_USAGE, "the folder holds another run: it says %d facts about itself, not %d", n,
                      record->n_facts));
out:
    return status;
}

cria_status run_record_compare(const char *path, const struct run_record *record, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false, has_identity = false;
    struct json_text key;
    char *text = NULL;
    size_t n = 0;
    status = file_read(path, MAX_RECORD_BYTES, &text, &n, err);
    if (status != CRIA_OK) return status;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        has_identity = has_identity || json_text_is(key, "identity");
        if (json_text_is(key, "identity")) TRY(compare_facts(&r, record, err));
        else TRY(json_skip(&r, err));
    }
    TRY(json_end(&r, err));
    if (!has_identity) TRY(ERROR_SET(err, CRIA_FORMAT, "no \"identity\": not the record of a run"));
out:
    json_reader_deinit(&r);
    alloc_free(text);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
    return status;
}

/* The processor's name as the system tells it. */
static void processor_name(char *out, size_t n) {
    char *text = NULL;
    size_t n_text = 0;
    snprintf(out, n, "unknown");
    if (file_read("/proc/cpuinfo", (size_t)1 << 24, &text, &n_text, NULL) != CRIA_OK) return;
    const char *line = strstr(text, "model name");
    const char *colon = line ? strchr(line, ':') : NULL;
    if (colon) snprintf(out, n, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    alloc_free(text);
}

static void add(struct run_record_circumstances *c, const char *name, const char *value) {
    CRIA_ASSERT(c->n < RUN_RECORD_CIRCUMSTANCES);
    snprintf(c->values[c->n], sizeof c->values[0], "%s", value);
    c->facts[c->n] = (struct train_fact){.name = name, .value = c->values[c->n]};
    c->n++;
}

void run_record_look(struct run_record_circumstances *ret, const device *dev) {
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES] = "unknown", text[160];
    struct utsname system = {0};
    ret->n = 0;
    if (digest_file("/proc/self/exe", sum, NULL) == CRIA_OK) digest_hex(sum, hex);
    add(ret, "program", "cria " CRIA_VERSION);
    add(ret, "program_sha256", hex);
    snprintf(text, sizeof text, "%d", ORDER_ARITHMETIC_VERSION);
    add(ret, "arithmetic", text);
    add(ret, "kernels", kernel_isa_name(device_isa(dev)));
    snprintf(text, sizeof text, "%d", device_threads(dev));
    add(ret, "threads", text);
    processor_name(text, sizeof text);
    add(ret, "processor", text);
    if (uname(&system) == 0) snprintf(text, sizeof text, "%.60s %.60s", system.sysname, system.release);
    else snprintf(text, sizeof text, "unknown");
    add(ret, "system", text);
}
