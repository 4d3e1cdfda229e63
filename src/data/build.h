/* build.h: from text to a data folder (docs/FORMATS.md, "Data folder").
 *
 * One pass reads, cleans, filters, hashes and encodes; two sorts find duplicates; a second pass over the ids writes
 * shards, index and rows. What a caller may believe:
 *
 *   1. The same sources, options and tokenizer give the same bytes, whatever the number of threads.
 *   2. The folder appears by one rename when everything in it is synced; a build that was killed leaves OUT.building,
 *      which the next build of OUT clears away.
 *   3. Memory stays below 2 GiB at any size of the text: texts in work 256 MiB, sorting 384 MiB, a test set's runs of
 *      words at most 600 MiB, one bit a document (BUILD_MAX_DOCUMENTS: 256 MiB), packing 60 MiB. On disk it takes,
 * beside the result, the ids a second time, and 56 bytes a document (576 with near-duplicate removal).
 *   4. Of equal and nearly equal documents the first stays; held-out sources come first, then the others as given. */
#ifndef DATA_BUILD_H
#define DATA_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "data/clean.h"
#include "data/data_manifest.h"
#include "data/filter.h"

#define BUILD_MAX_DOCUMENTS ((uint64_t)1 << 31)
#define BUILD_DOCUMENT_BYTES ((size_t)16 << 20) /* longer plain text comes in parts */

struct build_source {
    const char *name;         /* unlike those of the other sources */
    const char *const *paths; /* [n_paths], as source_open() takes them */
    int n_paths;
    double weight;         /* share of the rows of a phase; 0: not said */
    bool is_held_out;      /* all of it, to evaluate on */
    const char *separator; /* of documents in plain text; NULL: none */
    const char *text_field;
};

/* Everything is borrowed. */
struct build_options {
    const struct build_source *sources;
    int n_sources;
    const char
        *tokenizer; /* a tokenizer's file; tokenizer_config.json and special_tokens_map.json beside it come along */
    const char *bos_token, *eos_token; /* special tokens by their texts; NULL: the tokenizer's own, "": none */
    const char *out;                   /* the folder to make; must not exist, or be empty */
    const int *seq_lens;               /* rows of these lengths, ascending */
    int n_seq_lens;
    double held_out;                 /* share of the documents of every source, chosen by their digests; 0 to 0.5 */
    bool clean[CLEAN_COUNT];         /* which rules run */
    double thresholds[FILTER_COUNT]; /* NaN: off */
    double near_threshold;           /* similarity from which a document counts as a duplicate; 0: off */
    const char *const *test_sets;    /* [n_test_sets]: what training documents share with these goes
                                        (decontaminate.h) */
    int n_test_sets;
    int test_words;       /* 0: DECONTAMINATE_WORDS */
    int threads;          /* 1 or more */
    uint64_t shard_bytes; /* 0: 1 GiB; a shard ends with the document that passes it */
};

/* What happened to the documents; every one that was read is in exactly one of kept, filtered, contaminated, exact and
 * near. */
struct build_result {
    uint64_t n_read, n_bytes_read, n_replaced, n_ignored_files;
    uint64_t n_cleaned[CLEAN_COUNT], n_filtered[FILTER_COUNT];
    uint64_t n_contaminated, n_exact, n_near;
    uint64_t n_cut; /* passages shared with test sets, cut out of documents that stay */
    uint64_t n_kept, n_held_out, n_bytes, n_tokens;
    uint64_t n_test_documents, n_test_short, n_test_grams;
    uint64_t n_unsaid; /* bytes that the vocabulary cannot say */
    char root[DIGEST_HEX_BYTES];
    int n_packings;
    struct {
        int seq_len;
        uint64_t n_rows, n_tokens;
    } packings[DATA_MAX_PACKINGS];
};

/* Rules and thresholds as the tables have them, near-duplicate removal at 0.8, everything else zero. */
void build_defaults(struct build_options *o);
/* Shows progress. USAGE for options that do not fit together; BUSY where `out` is there. */
CRIA_MUST_CHECK cria_status build_run(const struct build_options *options, struct build_result *ret,
                                      struct cria_error *err);

#endif
