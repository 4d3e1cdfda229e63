/* build_rows.c: the rows of each length: for each source, first what is trained on, then what is held out, the
 * documents of documents.bin go through pack.h. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/build_private.h"
#include "data/pack.h"

struct rows_out {
    writer *ends, *pieces; /* owned */
    struct data_packing *packing;
    struct data_group *group;
};

static cria_status put_row(void *arg, const struct data_piece *pieces, int n, struct cria_error *err) {
    struct rows_out *out = arg;
    cria_status status = CRIA_OK;
    out->packing->n_rows++;
    out->packing->n_pieces += (uint64_t)n;
    out->group->n_rows++;
    for (int i = 0; i < n; i++) out->group->n_tokens += pieces[i].n;
    TRY(writer_add(out->pieces, pieces, (size_t)n * sizeof *pieces, err));
    TRY(writer_add(out->ends, &out->packing->n_pieces, sizeof out->packing->n_pieces, err));
out:
    return status;
}

/* What a guarded read of documents.bin needs. */
struct group_walk {
    const struct data_document *documents;
    uint64_t n_documents;
    pack *packer;
    int source;
    bool is_held_out;
};

static cria_status pack_group(void *arg, struct cria_error *err) {
    struct group_walk *g = arg;
    cria_status status = CRIA_OK;
    for (uint64_t i = 0; i < g->n_documents; i++) {
        const struct data_document *d = &g->documents[i];
        if (d->source == g->source && (d->is_held_out != 0) == g->is_held_out)
            TRY(pack_add(g->packer, d->first_token, d->n_tokens, err));
    }
    TRY(pack_flush(g->packer, err));
out:
    return status;
}

static cria_status pack_groups(struct build *b, const struct file_map *map, pack *packer, struct rows_out *out,
                               struct cria_error *err) {
    struct data_packing *p = out->packing;
    cria_status status = CRIA_OK;
    for (int i = 0; i < 2 * b->manifest.n_sources; i++) {
        struct group_walk walk = {.documents = (const struct data_document *)map->data,
                                  .n_documents = map->n_bytes / sizeof(struct data_document),
                                  .packer = packer,
                                  .source = i / 2,
                                  .is_held_out = i % 2 == 1};
        out->group = &p->groups[p->n_groups];
        *out->group =
            (struct data_group){.source = walk.source, .is_held_out = walk.is_held_out, .first_row = p->n_rows};
        TRY(pack_group(&walk, err));
        if (out->group->n_rows > 0) p->n_groups++;
    }
out:
    return status;
}

static cria_status make_rows(struct build *b, const struct file_map *map, int seq_len, struct cria_error *err) {
    char ends_name[DATA_NAME_BYTES], pieces_name[DATA_NAME_BYTES];
    struct data_packing *p = &b->manifest.packings[b->manifest.n_packings];
    struct rows_out out = {.packing = p};
    pack *packer = NULL;
    cria_status status = CRIA_OK;
    p->seq_len = seq_len;
    p->groups = alloc_zeroed((size_t)(2 * b->manifest.n_sources) + 1, sizeof *p->groups);
    if (!p->groups) return ERROR_NOMEM(err, sizeof *p->groups, "groups of rows");
    b->manifest.n_packings++;
    data_manifest_rows_name(ends_name, seq_len);
    data_manifest_pieces_name(pieces_name, seq_len);
    TRY(writer_create(&out.ends, b->folder, ends_name, err));
    TRY(writer_create(&out.pieces, b->folder, pieces_name, err));
    TRY(pack_create(&packer, seq_len, put_row, &out, err));
    TRY(pack_groups(b, map, packer, &out, err));
    TRY(writer_finish(&out.ends, err));
    TRY(writer_finish(&out.pieces, err));
out:
    pack_destroy(&packer);
    writer_destroy(&out.ends);
    writer_destroy(&out.pieces);
    return status;
}

cria_status build_rows(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct file_map *map = NULL;
    char *path = file_join(b->folder, DATA_DOCUMENTS_NAME);
    b->manifest.packings = alloc_zeroed((size_t)b->o->n_seq_lens + 1, sizeof *b->manifest.packings);
    if (!path || !b->manifest.packings) {
        status = ERROR_NOMEM(err, sizeof *b->manifest.packings, "rows");
        goto out;
    }
    TRY(file_map_open(&map, path, err));
    for (int i = 0; i < b->o->n_seq_lens; i++) TRY(make_rows(b, map, b->o->seq_lens[i], err));
    for (int i = 0; i < b->manifest.n_packings; i++) {
        const struct data_packing *p = &b->manifest.packings[i];
        b->result.packings[i].seq_len = p->seq_len;
        b->result.packings[i].n_rows = p->n_rows;
        for (int g = 0; g < p->n_groups; g++) b->result.packings[i].n_tokens += p->groups[g].n_tokens;
    }
    b->result.n_packings = b->manifest.n_packings;
out:
    file_map_close(&map);
    alloc_free(path);
    return status;
}
