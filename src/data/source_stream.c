/* source_stream.c: see source_stream.h. One block of the file is held; zlib and zstd take from it what they need. */
#include "data/source_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/file.h"

enum { BLOCK_BYTES = 256 * 1024 };

enum stream_kind { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD };

struct source_stream {
    char *path; /* owned */
    int fd;     /* owned; -1: none */
    enum stream_kind kind;
    uint64_t taken;
    bool is_at_end; /* the file has no more bytes to give to the block */
    uint8_t *block; /* owned, [BLOCK_BYTES]; bytes at to n_block - 1 are not used yet */
    size_t at, n_block;
    z_stream zlib;
    bool has_zlib;
    ZSTD_DStream *zstd;   /* owned */
    bool is_inside_frame; /* a member or frame was begun and not ended */
};

static void *zlib_alloc(void *opaque, unsigned n, unsigned size) {
    (void)opaque;
    return alloc_array(n, size);
}

static void zlib_free(void *opaque, void *p) {
    (void)opaque;
    alloc_free(p);
}

/* Fills the empty block from the file. */
static cria_status fill(source_stream *s, struct cria_error *err) {
    ssize_t got;
    do got = read(s->fd, s->block, BLOCK_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", s->path, strerror(errno));
    s->at = 0;
    s->n_block = (size_t)got;
    s->taken += (uint64_t)got;
    s->is_at_end = got == 0;
    return CRIA_OK;
}

static cria_status begin_kind(source_stream *s, struct cria_error *err) {
    static const uint8_t gzip_magic[2] = {0x1f, 0x8b}, zstd_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    if (s->n_block >= sizeof gzip_magic && memcmp(s->block, gzip_magic, sizeof gzip_magic) == 0) {
        s->kind = STREAM_GZIP;
        s->zlib.zalloc = zlib_alloc;
        s->zlib.zfree = zlib_free;
        if (inflateInit2(&s->zlib, 15 + 16) != Z_OK) return ERROR_NOMEM(err, 1 << 16, "decompression");
        s->has_zlib = true;
    } else if (s->n_block >= sizeof zstd_magic && memcmp(s->block, zstd_magic, sizeof zstd_magic) == 0) {
        s->kind = STREAM_ZSTD;
        s->zstd = ZSTD_createDStream();
        if (!s->zstd) return ERROR_NOMEM(err, 1 << 17, "decompression");
    }
    return CRIA_OK;
}

cria_status source_stream_open(source_stream **ret, const char *path, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint64_t n_bytes;
    source_stream *s = ALLOC_NEW(source_stream);
    if (!s) return ERROR_NOMEM(err, sizeof *s, path);
    s->fd = -1;
    s->path = alloc_text(path, strlen(path));
    s->block = alloc_array(BLOCK_BYTES, 1);
    if (!s->path || !s->block) {
        status = ERROR_NOMEM(err, BLOCK_BYTES, path);
        goto out;
    }
    TRY(file_open_read(path, &s->fd, &n_bytes, err));
    TRY(fill(s, err));
    TRY(begin_kind(s, err));
    *ret = s;
    s = NULL;
out:
    source_stream_close(&s);
    return status;
}

void source_stream_close(source_stream **stream) {
    source_stream *s = *stream;
    if (!s) return;
    *stream = NULL;
    if (s->has_zlib) inflateEnd(&s->zlib);
    ZSTD_freeDStream(s->zstd);
    if (s->fd >= 0) close(s->fd);
    alloc_free(s->block);
    alloc_free(s->path);
    alloc_free(s);
}

static cria_status broken(const source_stream *s, const char *what, struct cria_error *err) {
    return ERROR_SET(err, CRIA_FORMAT, "%s: its %s compression is broken near byte %llu: %s", s->path,
                     s->kind == STREAM_GZIP ? "gzip" : "Zstandard",
                     (unsigned long long)(s->taken - (s->n_block - s->at)), what);
}

static cria_status read_gzip(source_stream *s, char *out, size_t n, size_t *ret_n, struct cria_error *err) {
    s->zlib.next_in = s->block + s->at;
    s->zlib.avail_in = (unsigned)(s->n_block - s->at);
    s->zlib.next_out = (Bytef *)out;
    s->zlib.avail_out = n > BLOCK_BYTES ? BLOCK_BYTES : (unsigned)n;
    const unsigned wanted = s->zlib.avail_out;
    const int code = inflate(&s->zlib, Z_NO_FLUSH);
    s->at = s->n_block - s->zlib.avail_in;
    *ret_n = wanted - s->zlib.avail_out;
    if (code == Z_STREAM_END) {
        s->is_inside_frame = false;
        inflateReset(&s->zlib);
        return CRIA_OK;
    }
    s->is_inside_frame = true;
    if (code == Z_MEM_ERROR) return ERROR_NOMEM(err, 1 << 16, "decompression");
    if (code != Z_OK && code != Z_BUF_ERROR) return broken(s, s->zlib.msg ? s->zlib.msg : "no such form", err);
    return CRIA_OK;
}

static cria_status read_zstd(source_stream *s, char *out, size_t n, size_t *ret_n, struct cria_error *err) {
    ZSTD_inBuffer in = {s->block, s->n_block, s->at};
    ZSTD_outBuffer to = {out, n, 0};
    const size_t code = ZSTD_decompressStream(s->zstd, &to, &in);
    s->at = in.pos;
    if (ZSTD_isError(code)) return broken(s, ZSTD_getErrorName(code), err);
    s->is_inside_frame = code != 0;
    *ret_n = to.pos;
    return CRIA_OK;
}

static size_t take_plain(source_stream *s, char *out, size_t n) {
    const size_t left = s->n_block - s->at, got = left < n ? left : n;
    memcpy(out, s->block + s->at, got);
    s->at += got;
    return got;
}

cria_status source_stream_read(source_stream *s, char *out, size_t n, size_t *ret_n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    size_t got = 0;
    do {
        if (s->at == s->n_block && !s->is_at_end) TRY(fill(s, err));
        if (s->kind == STREAM_PLAIN) got = take_plain(s, out, n);
        else if (s->at < s->n_block || s->is_inside_frame) {
            /* After the last input the decompressor may still hold output. */
            const size_t before = s->at;
            if (s->kind == STREAM_GZIP) TRY(read_gzip(s, out, n, &got, err));
            else TRY(read_zstd(s, out, n, &got, err));
            if (got == 0 && s->at == before && s->is_at_end && s->is_inside_frame)
                return broken(s, "the file ends too early", err);
        }
    } while (got == 0 && !(s->is_at_end && s->at == s->n_block && !s->is_inside_frame));
    *ret_n = got;
out:
    return status;
}

uint64_t source_stream_taken(const source_stream *s) { return s->taken; }
