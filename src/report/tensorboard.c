/* tensorboard.c: see tensorboard.h.
 *
 * TFRecord: u64 length, u32 masked CRC-32C of the length's eight bytes, the data, u32 masked CRC-32C of the data; all
 * little-endian. The data is an Event in protocol buffers' encoding, of which four fields are written:
 *
 *   Event          1 double wall_time   2 int64 step   3 string file_version   5 Summary summary
 *   Summary        1 repeated Value
 *   Summary.Value  1 string tag         2 float simple_value
 *
 * The first record of a file has file_version "brain.Event:2" and no step. */
#include "report/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "report/crc32c.h"

#define FILE_VERSION "brain.Event:2"
/* Data of a record: every value with its tag, the step and the time. */
#define MAX_DATA (TENSORBOARD_MAX_VALUES * (TENSORBOARD_MAX_TAG + 24) + 64)
#define HEAD 12 /* length and its checksum */
#define TAIL 4

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct tensorboard {
    int fd;       /* owned */
    uint64_t end; /* bytes of whole records */
    char *path;   /* owned */
    uint8_t record[HEAD + MAX_DATA + TAIL];
    size_t n; /* bytes of data in the record so far */
};

static void put_byte(tensorboard *t, uint8_t byte) { t->record[HEAD + t->n++] = byte; }

static void put_fixed(uint8_t *out, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_fixed(const uint8_t *in, int n_bytes) {
    uint64_t value = 0;
    for (int i = 0; i < n_bytes; i++) value |= (uint64_t)in[i] << (8 * i);
    return value;
}

static void put_varint(tensorboard *t, uint64_t value) {
    for (; value >= 0x80; value >>= 7) put_byte(t, (uint8_t)(value | 0x80));
    put_byte(t, (uint8_t)value);
}

static size_t varint_bytes(uint64_t value) {
    size_t n = 1;
    for (; value >= 0x80; value >>= 7) n++;
    return n;
}

static void put_key(tensorboard *t, int field, enum wire wire) { put_varint(t, (uint64_t)field << 3 | wire); }

static void put_double(tensorboard *t, int field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(t, field, WIRE_64);
    put_fixed(t->record + HEAD + t->n, bits, 8);
    t->n += 8;
}

static void put_float(tensorboard *t, int field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(t, field, WIRE_32);
    put_fixed(t->record + HEAD + t->n, bits, 4);
    t->n += 4;
}

static void put_text(tensorboard *t, int field, const char *text, size_t n) {
    put_key(t, field, WIRE_BYTES);
    put_varint(t, n);
    memcpy(t->record + HEAD + t->n, text, n);
    t->n += n;
}

/* Frames the record and appends it; where that fails half way the file is cut back. */
static cria_status append_record(tensorboard *t, struct cria_error *err) {
    const size_t n = HEAD + t->n + TAIL;
    put_fixed(t->record, t->n, 8);
    put_fixed(t->record + 8, crc32c_masked(t->record, 8), 4);
    put_fixed(t->record + HEAD + t->n, crc32c_masked(t->record + HEAD, t->n), 4);
    for (size_t done = 0; done < n;) {
        const ssize_t put = pwrite(t->fd, t->record + done, n - done, (off_t)(t->end + done));
        if (put > 0) done += (size_t)put;
        else if (put == 0 || errno != EINTR) {
            const int error = put == 0 ? ENOSPC : errno;
            const int cut = ftruncate(t->fd, (off_t)t->end);
            (void)cut; /* what stays is torn, and cut when the file is opened again */
            return ERROR_SET(err, CRIA_IO, "%s: cannot append an event: %s", t->path, strerror(error));
        }
    }
    t->end += n;
    return CRIA_OK;
}

/* A varint at data[*at]; false where it does not end inside n bytes. */
static bool get_varint(const uint8_t *data, size_t n, size_t *at, uint64_t *ret) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && *at < n; shift += 7) {
        const uint8_t byte = data[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* The step of an event; 0 where it has none; false where the data is no message. */
static bool find_step(const uint8_t *data, size_t n, int64_t *ret) {
    int64_t step = 0;
    for (size_t at = 0; at < n;) {
        uint64_t key, value = 0, skip = 0;
        if (!get_varint(data, n, &at, &key)) return false;
        switch (key & 7) {
            case WIRE_VARINT:
                if (!get_varint(data, n, &at, &value)) return false;
                if (key >> 3 == 2) step = (int64_t)value;
                break;
            case WIRE_64:
                skip = 8;
                break;
            case WIRE_32:
                skip = 4;
                break;
            case WIRE_BYTES:
                if (!get_varint(data, n, &at, &skip)) return false;
                break;
            default:
                return false;
        }
        if (skip > n - at) return false;
        at += skip;
    }
    *ret = step;
    return true;
}

/* The bytes of the record at data that is whole and of a step up to last_step; 0 for another. */
static size_t good_record(const uint8_t *data, size_t n, int64_t last_step) {
    int64_t step;
    if (n < HEAD || get_fixed(data + 8, 4) != crc32c_masked(data, 8)) return 0;
    const uint64_t length = get_fixed(data, 8);
    if (length > n - HEAD || n - HEAD - length < TAIL) return 0;
    if (get_fixed(data + HEAD + length, 4) != crc32c_masked(data + HEAD, length)) return 0;
    if (!find_step(data + HEAD, length, &step) || step > last_step) return 0;
    return HEAD + length + TAIL;
}

/* How many bytes of the file are kept. */
static cria_status find_end(const char *path, int64_t last_step, uint64_t *ret_end, struct cria_error *err) {
    struct file_map *map = NULL;
    cria_status status;
    uint64_t end = 0;
    if (last_step >= 0 && file_exists(path)) {
        TRY(file_map_open(&map, path, err));
        for (size_t n; (n = good_record(map->data + end, map->n_bytes - end, last_step)) > 0;) end += n;
    }
    *ret_end = end;
    status = CRIA_OK;
out:
    file_map_close(&map);
    return status;
}

static cria_status begin_file(tensorboard *t, double wall_time, struct cria_error *err) {
    t->n = 0;
    put_double(t, 1, wall_time);
    put_text(t, 3, FILE_VERSION, strlen(FILE_VERSION));
    return append_record(t, err);
}

cria_status tensorboard_open(tensorboard **ret, const char *folder, int64_t last_step, double wall_time,
                             struct cria_error *err) {
    cria_status status;
    tensorboard *t = ALLOC_NEW(tensorboard);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a TensorBoard file");
    t->fd = -1;
    TRY(file_make_folder(folder, err));
    t->path = file_join(folder, TENSORBOARD_FILE);
    if (!t->path) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    TRY(find_end(t->path, last_step, &t->end, err));
    t->fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (t->fd < 0 || ftruncate(t->fd, (off_t)t->end) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot open for writing: %s", t->path, strerror(errno));
        goto out;
    }
    if (t->end == 0) TRY(begin_file(t, wall_time, err));
    *ret = t;
    t = NULL;
    status = CRIA_OK;
out:
    tensorboard_close(&t);
    return status;
}

/* Bytes of a Value: two keys, the tag's length, the tag, a float. */
static size_t value_bytes(const struct tensorboard_value *v) {
    const size_t tag = strlen(v->tag);
    return 1 + varint_bytes(tag) + tag + 1 + 4;
}

cria_status tensorboard_write(tensorboard *t, int64_t step, double wall_time, const struct tensorboard_value *values,
                              size_t n, struct cria_error *err) {
    if (!t) return CRIA_OK;
    if (n > TENSORBOARD_MAX_VALUES)
        return ERROR_SET(err, CRIA_RANGE, "%zu values for one event; at most %d", n, TENSORBOARD_MAX_VALUES);
    size_t summary = 0;
    for (size_t i = 0; i < n; i++) {
        if (strlen(values[i].tag) > TENSORBOARD_MAX_TAG)
            return ERROR_SET(err, CRIA_RANGE, "tag %s is longer than %d bytes", values[i].tag, TENSORBOARD_MAX_TAG);
        const size_t bytes = value_bytes(&values[i]);
        summary += 1 + varint_bytes(bytes) + bytes;
    }
    t->n = 0;
    put_double(t, 1, wall_time);
    put_key(t, 2, WIRE_VARINT);
    put_varint(t, (uint64_t)step);
    put_key(t, 5, WIRE_BYTES);
    put_varint(t, summary);
    for (size_t i = 0; i < n; i++) {
        put_key(t, 1, WIRE_BYTES);
        put_varint(t, value_bytes(&values[i]));
        put_text(t, 1, values[i].tag, strlen(values[i].tag));
        put_float(t, 2, values[i].value);
    }
    return append_record(t, err);
}

void tensorboard_close(tensorboard **t) {
    if (!*t) return;
    if ((*t)->fd >= 0) close((*t)->fd);
    alloc_free((*t)->path);
    alloc_free(*t);
    *t = NULL;
}
