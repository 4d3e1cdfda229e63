/* meter.c: see meter.h.
 *
 * A zone of powercap is a folder intel-rapl:N (a package; AMD's too) or intel-rapl:N:M (a part of one). Counted are
 * packages and the parts called dram, which no package's figure holds; cores and graphics are inside their package's,
 * and psys, the whole platform, would count everything twice. Each counter is in microjoules and begins again at
 * max_energy_range_uj. The files stay open: a reading is one pread() a counter. */
#include "meter/meter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#define POWERCAP "/sys/class/powercap"
#define MAX_ZONES 64
#define JOULES_PER_COUNT 1e-6

struct zone {
    int fd;         /* owned: energy_uj */
    uint64_t range; /* counts from 0 to this */
    uint64_t last;
};

struct meter {
    struct zone zones[MAX_ZONES];
    int n_zones, n_packages, n_memories;
    double idle_watts, core_watts;
    double joules;         /* up to the reading before */
    double began, seconds; /* clock_seconds() at the start, and at the reading before */
    double cpu_seconds;    /* at the reading before */
    bool was_estimated;    /* some part of joules is */
    char source[METER_SOURCE_BYTES];
};

/* A whole decimal number from the start of a file of sysfs. */
static bool read_count(int fd, uint64_t *ret) {
    char text[32];
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) return false;
    text[n] = 0;
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || (*end && *end != '\n') || text[0] == '-') return false;
    *ret = value;
    return true;
}

static int open_in(int folder, const char *zone, const char *name) {
    char path[320];
    if (snprintf(path, sizeof path, "%s/%s", zone, name) >= (int)sizeof path) return -1;
    return openat(folder, path, O_RDONLY | O_CLOEXEC);
}

static bool read_name(int folder, const char *zone, char *out, size_t n_bytes) {
    const int fd = open_in(folder, zone, "name");
    if (fd < 0) return false;
    const ssize_t n = pread(fd, out, n_bytes - 1, 0);
    close(fd);
    if (n <= 0) return false;
    out[n] = 0;
    out[strcspn(out, "\n")] = 0;
    return true;
}

/* Opens one zone's counter; one that cannot be read is left out. */
static void add_zone(meter *m, int folder, const char *zone) {
    char name[64];
    uint64_t range = 0, now = 0;
    if (m->n_zones == MAX_ZONES || strncmp(zone, "intel-rapl:", 11) != 0) return;
    if (!read_name(folder, zone, name, sizeof name)) return;
    const bool is_package = strncmp(name, "package", 7) == 0, is_memory = strcmp(name, "dram") == 0;
    if (!is_package && !is_memory) return;
    const int range_fd = open_in(folder, zone, "max_energy_range_uj");
    const bool has_range = range_fd >= 0 && read_count(range_fd, &range) && range > 0;
    if (range_fd >= 0) close(range_fd);
    if (!has_range) return;
    const int fd = open_in(folder, zone, "energy_uj");
    if (fd < 0) return;
    if (!read_count(fd, &now) || now > range) {
        close(fd);
        return;
    }
    m->zones[m->n_zones++] = (struct zone){.fd = fd, .range = range, .last = now};
    m->n_packages += is_package;
    m->n_memories += is_memory;
}

static void close_zones(meter *m) {
    for (int i = 0; i < m->n_zones; i++) close(m->zones[i].fd);
    m->n_zones = 0;
}

static void open_zones(meter *m, const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) add_zone(m, dirfd(folder), entry->d_name);
    closedir(folder);
    if (m->n_packages == 0) close_zones(m); /* memory alone is not what a run takes */
}

static void describe(meter *m) {
    if (m->n_zones > 0)
        snprintf(m->source, sizeof m->source, "RAPL: %d package%s%s", m->n_packages, m->n_packages == 1 ? "" : "s",
                 m->n_memories > 0 ? " and memory" : "");
    else
        snprintf(m->source, sizeof m->source, "%s: %.4g W + %.4g W for each busy core",
                 m->joules > 0 && !m->was_estimated ? "in part estimated" : "estimated", m->idle_watts, m->core_watts);
}

cria_status meter_create(meter **ret, const struct meter_options *options, struct cria_error *err) {
    const struct meter_options usual = {0};
    if (!options) options = &usual;
    const double idle = options->idle_watts, core = options->core_watts;
    if (!isfinite(idle) || !isfinite(core) || idle < 0 || core < 0)
        return ERROR_SET(err, CRIA_RANGE, "energy model: expected watts of at least 0, found %g and %g", idle, core);
    meter *m = ALLOC_NEW(meter);
    if (!m) return ERROR_NOMEM(err, sizeof *m, "the energy meter");
    m->idle_watts = idle > 0 ? idle : METER_IDLE_WATTS;
    m->core_watts = core > 0 ? core : METER_CORE_WATTS;
    const char *powercap = options->powercap ? options->powercap : POWERCAP;
    if (*powercap) open_zones(m, powercap);
    m->began = m->seconds = clock_seconds();
    m->cpu_seconds = clock_cpu_seconds();
    describe(m);
    m->was_estimated = m->n_zones == 0;
    *ret = m;
    return CRIA_OK;
}

/* Adds what the counters have moved; false, with nothing added, where one cannot be read. */
static bool add_counted(meter *m) {
    uint64_t now[MAX_ZONES];
    for (int i = 0; i < m->n_zones; i++)
        if (!read_count(m->zones[i].fd, &now[i]) || now[i] > m->zones[i].range) return false;
    for (int i = 0; i < m->n_zones; i++) {
        struct zone *z = &m->zones[i];
        const uint64_t moved = now[i] >= z->last ? now[i] - z->last : z->range - z->last + now[i];
        m->joules += (double)moved * JOULES_PER_COUNT;
        z->last = now[i];
    }
    return true;
}

void meter_read(meter *m, struct meter_reading *ret) {
    const double seconds = clock_seconds(), cpu_seconds = clock_cpu_seconds();
    if (m->n_zones > 0 && !add_counted(m)) {
        close_zones(m);
        describe(m);
        m->was_estimated = true;
    }
    if (m->n_zones == 0)
        m->joules += m->idle_watts * (seconds - m->seconds) + m->core_watts * (cpu_seconds - m->cpu_seconds);
    m->seconds = seconds;
    m->cpu_seconds = cpu_seconds;
    *ret = (struct meter_reading){.seconds = seconds - m->began, .joules = m->joules, .is_estimated = m->was_estimated};
}

const char *meter_source(const meter *m) { return m->source; }

void meter_destroy(meter **m) {
    if (!*m) return;
    close_zones(*m);
    alloc_free(*m);
    *m = NULL;
}
