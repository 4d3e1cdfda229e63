/* hardware_embed.c: the YAML files of hardware/ inside the program; see hardware_embed.h.
 *
 * The assembler copies the files; the build says where they lie (PLAN_HARDWARE_DIR) and rebuilds when one changes. */
#include "plan/hardware_embed.h"

/* clang-format off */
#define EMBED(symbol, file)                                                    \
    __asm__(".pushsection .rodata\n"                                           \
            ".global hardware_embed_" #symbol "\n"                             \
            "hardware_embed_" #symbol ":\n"                                    \
            ".incbin \"" PLAN_HARDWARE_DIR "/" file "\"\n"                     \
            ".global hardware_embed_" #symbol "_end\n"                         \
            "hardware_embed_" #symbol "_end:\n"                                \
            ".byte 0\n"                                                        \
            ".popsection\n");                                                  \
    extern const char hardware_embed_##symbol[], hardware_embed_##symbol##_end[]
/* clang-format on */

EMBED(chips, "chips.yaml");
EMBED(nodes, "nodes.yaml");
EMBED(networks, "networks.yaml");
EMBED(sites, "sites.yaml");

#define ROW(symbol) \
    { "the built-in " #symbol ".yaml", hardware_embed_##symbol, hardware_embed_##symbol##_end }

static const struct hardware_embedded files[] = {ROW(chips), ROW(nodes), ROW(networks), ROW(sites)};

const struct hardware_embedded *hardware_embed_file(size_t i) {
    return i < sizeof files / sizeof files[0] ? &files[i] : NULL;
}
