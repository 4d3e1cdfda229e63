/* cmd_doctor.c: what this machine has, and what Cria makes of it. Facts are shown in the order in which they are found,
 * as a page or as JSON: a section holds named values. */
#include <archive.h>
#include <gnu/libc-version.h>
#include <histedit.h>
#include <inttypes.h>
#include <oniguruma.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/cmd_bench.h"
#include "cmd/cmd_io.h"
#include "hub/hub.h"
#include "kernel/kernel.h"

enum { MAX_PAGE_BYTES = 1 << 20, MAX_FACT_BYTES = 1024 };

struct report {
    struct buffer out;
    json_writer w;
    bool is_json, has_section;
};

static void section(struct report *r, const char *key, const char *title) {
    if (!r->is_json) {
        buffer_append_format(&r->out, "%s%s\n", r->has_section ? "\n" : "", title);
    } else {
        if (r->has_section) json_write_end_object(&r->w);
        json_write_key(&r->w, key);
        json_write_begin_object(&r->w);
    }
    r->has_section = true;
}

static void __attribute__((format(printf, 3, 4))) fact(struct report *r, const char *key, const char *format, ...) {
    char value[MAX_FACT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    if (!r->is_json) {
        buffer_append_format(&r->out, "  %-16s %s\n", key, value);
    } else {
        json_write_key(&r->w, key);
        json_write_text(&r->w, value);
    }
}

/* The value of a line "name : value" of a file of /proc or /sys; name NULL: the first line. False where there is none.
 */
static bool read_line_of(const char *path, const char *name, char *out, size_t n) {
    char line[8192];
    bool is_found = false;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    while (!is_found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        const char *value = name ? strchr(line, ':') : line;
        if (name && (!value || strncmp(line, name, strlen(name)) != 0)) continue;
        if (name) value += 1 + strspn(value + 1, " \t");
        snprintf(out, n, "%s", value);
        is_found = true;
    }
    fclose(file);
    return is_found;
}

static void tell_processor(struct report *r) {
    static const char *const wanted[] = {"sse4_2",   "avx2",     "fma",      "f16c",        "avx512f",
                                         "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16",
                                         "amx_tile", "amx_bf16", "amx_int8"};
    char text[8192], features[512] = "";
    cpu_set_t usable;
    section(r, "processor", "Processor");
    if (read_line_of("/proc/cpuinfo", "model name", text, sizeof text)) fact(r, "model", "%s", text);
    if (sched_getaffinity(0, sizeof usable, &usable) == 0) fact(r, "usable", "%d threads", CPU_COUNT(&usable));
    if (!read_line_of("/proc/cpuinfo", "flags", text, sizeof text)) return;
    for (char *rest = NULL, *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (strcmp(word, wanted[i]) == 0) {
                const size_t used = strlen(features);
                snprintf(features + used, sizeof features - used, "%s%s", used ? " " : "", word);
            }
    fact(r, "features", "%s", *features ? features : "none of those that Cria uses");
}

static void tell_kernels(struct report *r, enum kernel_isa max) {
    section(r, "kernels", "Kernels");
    const enum kernel_isa best = kernel_isa_best(max);
    fact(r, "chosen", "%s", kernel_isa_name(best));
    for (enum kernel_isa isa = KERNEL_ISA_NONE + 1; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason = "";
        const bool is_usable = kernel_isa_usable(isa, &reason);
        const bool is_masked = max != KERNEL_ISA_NONE && isa > max;
        if (!is_usable) fact(r, kernel_isa_name(isa), "refused: %s", reason);
        else
            fact(r, kernel_isa_name(isa), "usable%s",
                 isa == best ? ", chosen"
                 : is_masked ? ", kept out by --cpu-mask"
                             : "");
    }
}

static void tell_memory(struct report *r) {
    char text[256];
    section(r, "memory", "Memory");
    static const struct {
        const char *key, *name;
    } rows[] = {{"total", "MemTotal"},
                {"available", "MemAvailable"},
                {"huge page size", "Hugepagesize"},
                {"huge pages free", "HugePages_Free"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (read_line_of("/proc/meminfo", rows[i].name, text, sizeof text)) fact(r, rows[i].key, "%s", text);
    if (read_line_of("/sys/kernel/mm/transparent_hugepage/enabled", NULL, text, sizeof text)) {
        const bool is_off = strstr(text, "[never]") != NULL;
        fact(r, "transparent", "%s%s", text,
             is_off ? ": weights lie in small pages, which costs speed; `madvise` is enough" : "");
    } else {
        fact(r, "transparent", "this system has none");
    }
}

static void tell_libraries(struct report *r) {
    section(r, "libraries", "Libraries");
    fact(r, "glibc", "%s", gnu_get_libc_version());
    fact(r, "libcrypto", "%s", OpenSSL_version(OPENSSL_VERSION));
    fact(r, "libarchive", "%s", archive_version_string());
    fact(r, "oniguruma", "%s", onig_version());
    fact(r, "libedit", "%d.%d", LIBEDIT_MAJOR, LIBEDIT_MINOR);
}

static void tell_program(struct report *r) {
    struct utsname system;
    char *folder = NULL;
    struct hub_model *models = NULL;
    int n = 0;
    section(r, "cria", "Cria");
    fact(r, "version", "%s", CRIA_VERSION);
    fact(r, "arithmetic", "%d", ORDER_ARITHMETIC_VERSION);
#ifdef __clang__
    fact(r, "compiler", "clang %s", __clang_version__);
#else
    fact(r, "compiler", "gcc %s", __VERSION__);
#endif
    if (uname(&system) == 0) fact(r, "system", "%s %s %s", system.sysname, system.release, system.machine);
    if (hub_folder(&folder, NULL) == CRIA_OK) fact(r, "data folder", "%s", folder);
    if (hub_list(&models, &n, NULL) == CRIA_OK) fact(r, "models", "%d", n);
    for (int i = 0; i < n; i++) hub_model_free(&models[i]);
    alloc_free(models);
    alloc_free(folder);
}

/* A short run of a model, beside what was foretold of it. */
static cria_status tell_model(struct report *r, const struct conf *c, struct cria_error *err) {
    struct bench b = {.n_prompt = 256, .n_answer = 32, .n_repeats = 3, .n_sequences = 1};
    cria_status status;
    TRY(cmd_bench_take(&b, c, err));
    const struct figures f = cmd_bench_figures(&b);
    const struct cmd_foretold *of = &b.foretold;
    const double memory = (double)(of->memory_bytes + b.program_bytes), mib = 1 << 20;
    section(r, "model", "Model");
    fact(r, "name", "%s", b.name);
    fact(r, "memory", "%.1f MiB predicted, %.1f measured (%+.1f %%)", memory / mib, (double)b.resident_bytes / mib,
         100 * (memory / (double)b.resident_bytes - 1));
    if (of->has_times) {
        const double prefill = b.n_prompt / of->prefill_s, decode = 1 / of->decode_s;
        fact(r, "prefill", "%.1f tokens/s predicted, %.1f measured (%+.1f %%)", prefill, f.prefill.median,
             100 * (prefill / f.prefill.median - 1));
        fact(r, "decode", "%.1f tokens/s predicted, %.1f measured (%+.1f %%)", decode, f.decode.median,
             100 * (decode / f.decode.median - 1));
    } else {
        fact(r, "prefill", "%.1f tokens/s measured; none predicted: %s", f.prefill.median, of->why);
        fact(r, "decode", "%.1f tokens/s measured", f.decode.median);
    }
    if (b.others > 0.05) fact(r, "busy", "other work took %.0f %% of the machine", 100 * b.others);
out:
    cmd_bench_close(&b);
    return status;
}

cria_status cmd_doctor(const struct conf *c, struct cria_error *err) {
    struct report r = {.out = buffer_make(MAX_PAGE_BYTES), .is_json = conf_flag(c, CONF_JSON)};
    const char *mask = conf_text(c, CONF_CPU_MASK);
    r.w = json_writer_make(&r.out);
    if (r.is_json) json_write_begin_object(&r.w);
    tell_program(&r);
    tell_processor(&r);
    tell_kernels(&r, mask ? kernel_isa_from_name(mask) : KERNEL_ISA_NONE);
    tell_memory(&r);
    tell_libraries(&r);
    cria_status status = c->n_arguments ? tell_model(&r, c, err) : CRIA_OK;
    if (status != CRIA_OK) goto out;
    if (r.is_json) {
        json_write_end_object(&r.w);
        json_write_end_object(&r.w);
        buffer_append_char(&r.out, '\n');
    }
    status = cmd_write_buffer(&r.out, err);
out:
    buffer_free(&r.out);
    return status;
}
