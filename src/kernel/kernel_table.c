/* kernel_table.c: which instruction sets there are here, and the table that each one fills. */
#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/rows_fill.h"

struct machine {
    bool avx2, avx512, avx512bf16, amx; /* the processor has it and the system keeps its registers */
    bool amx_instructions;              /* the processor alone */
    bool fast_dpbf16;                   /* vdpbf16ps does two products in the time of one fma */
};

static uint64_t enabled_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Asks the system to keep tile registers for this process (Linux gives them on request only). */
static bool tiles_granted(void) {
    const long arch_req_xcomp_perm = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, arch_req_xcomp_perm, tile_data) == 0;
}

static struct machine probe(void) {
    struct machine m = {0};
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return m;
    const bool fma = c & bit_FMA, f16c = c & bit_F16C;
    const uint64_t state = enabled_state();
    uint32_t b7, c7, d7, a71 = 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return m;
    if (a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    m.avx2 = fma && f16c && b7 & bit_AVX2 && (state & 0x6) == 0x6;
    const uint32_t wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    m.avx512 = m.avx2 && (b7 & wanted) == wanted && (state & 0xe6) == 0xe6;
    m.avx512bf16 = m.avx512 && a71 & 1u << 5;
    m.amx_instructions = d7 & 1u << 24 && d7 & 1u << 22;
    m.amx = m.avx512bf16 && m.amx_instructions && (state & 0x60000) == 0x60000 && tiles_granted();
    char vendor[13] = {0};
    __get_cpuid(0, &a, (uint32_t *)(void *)vendor, (uint32_t *)(void *)(vendor + 8), (uint32_t *)(void *)(vendor + 4));
    m.fast_dpbf16 = m.avx512bf16 && strcmp(vendor, "AuthenticAMD") == 0;
    return m;
}

static const char *const names[KERNEL_ISA_COUNT] = {
    [KERNEL_ISA_NONE] = "none",
    [KERNEL_ISA_REF] = "ref",
    [KERNEL_ISA_AVX2] = "avx2",
    [KERNEL_ISA_AVX512] = "avx512",
    [KERNEL_ISA_AVX512BF16] = "avx512bf16",
    [KERNEL_ISA_AMX] = "amx",
};

const char *kernel_isa_name(enum kernel_isa isa) { return (unsigned)isa < KERNEL_ISA_COUNT ? names[isa] : names[0]; }

enum kernel_isa kernel_isa_from_name(const char *name) {
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++)
        if (strcmp(name, names[isa]) == 0) return (enum kernel_isa)isa;
    return KERNEL_ISA_NONE;
}

bool kernel_isa_usable(enum kernel_isa isa, const char **ret_reason) {
    const struct machine m = probe();
    const char *reason = NULL;
    if (isa == KERNEL_ISA_AVX2 && !m.avx2) reason = "the processor or the system lacks AVX2, FMA or F16C";
    if (isa == KERNEL_ISA_AVX512 && !m.avx512) reason = "the processor or the system lacks AVX-512 F, BW, VL or DQ";
    if (isa == KERNEL_ISA_AVX512BF16 && !m.avx512bf16) reason = "the processor lacks AVX-512 BF16";
    if (isa == KERNEL_ISA_AMX && !m.amx)
        reason = m.amx_instructions ? "the system does not give AMX tile registers" : "the processor lacks AMX bf16";
    if (reason && ret_reason) *ret_reason = reason;
    return !reason;
}

enum kernel_isa kernel_isa_best(enum kernel_isa max) {
    const struct machine m = probe();
    if (max == KERNEL_ISA_NONE) max = KERNEL_ISA_AMX;
    if (m.amx && max >= KERNEL_ISA_AMX) return KERNEL_ISA_AMX;
    if (m.fast_dpbf16 && max >= KERNEL_ISA_AVX512BF16) return KERNEL_ISA_AVX512BF16;
    if (m.avx512bf16 && max == KERNEL_ISA_AVX512BF16) return KERNEL_ISA_AVX512BF16; /* asked for by name */
    if (m.avx512 && max >= KERNEL_ISA_AVX512) return KERNEL_ISA_AVX512;
    if (m.avx2 && max >= KERNEL_ISA_AVX2) return KERNEL_ISA_AVX2;
    return KERNEL_ISA_REF;
}

void kernel_table_init(struct kernel_table *t, enum kernel_isa isa) {
    *t = (struct kernel_table){.isa = isa};
    rows_fill_ref(t);
    rows_fill_backward_ref(t);
    transpose_fill_ref(t);
    product_fill_ref(t);
    if (isa < KERNEL_ISA_AVX2) return;
    rows_fill_avx2(t);
    rows_fill_backward_avx2(t);
    transpose_fill_avx2(t);
    product_fill_avx2(t);
    if (isa < KERNEL_ISA_AVX512) return;
    rows_fill_avx512(t);
    rows_fill_backward_avx512(t);
    transpose_fill_avx512(t);
    product_fill_avx512(t);
    if (isa == KERNEL_ISA_AVX512BF16) product_fill_avx512bf16(t);
    if (isa == KERNEL_ISA_AMX) product_fill_amx(t);
}
