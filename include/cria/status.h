/* status.h: the result codes of every Cria function, and the error record that explains one.
 *
 * Zero is success. A function that fails leaves its ret_ parameters untouched and, where the caller gave an
 * error record, fills it; on success the record is left alone. Nothing in libcria prints, exits or aborts because
 * of a file, a request or a lack of memory. */
#ifndef CRIA_STATUS_H
#define CRIA_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* name, message: the one list of codes */
#define CRIA_STATUS_LIST(X)                                     \
    X(OK, "success")                                            \
    X(NOMEM, "out of memory")                                   \
    X(IO, "input or output failed")                             \
    X(FORMAT, "the data does not have the form that it claims") \
    X(SHAPE, "shapes do not fit together")                      \
    X(DTYPE, "a number format does not fit here")               \
    X(RANGE, "a value is outside its range")                    \
    X(UNSUPPORTED, "not supported")                             \
    X(NOTFOUND, "not found")                                    \
    X(USAGE, "wrong usage")                                     \
    X(DEVICE, "a device failed")                                \
    X(COMM, "communication failed")                             \
    X(PEER, "another process is gone")                          \
    X(CANCELLED, "cancelled")                                   \
    X(TIMEOUT, "took too long")                                 \
    X(BUSY, "in use by another")                                \
    X(LIMIT, "a stated limit was reached")                      \
    X(NUMERIC, "a number is not finite")                        \
    X(INTERNAL, "a fault in Cria itself")

/* The formatter would take the list for a statement. */
/* clang-format off */
typedef enum cria_status {
#define CRIA_STATUS_ENUM(name, text) CRIA_##name,
    CRIA_STATUS_LIST(CRIA_STATUS_ENUM)
#undef CRIA_STATUS_ENUM
    CRIA_STATUS_COUNT
} cria_status;
/* clang-format on */

#define CRIA_MUST_CHECK __attribute__((warn_unused_result))

/* Caller-owned, optional, always the last parameter. */
struct cria_error {
    cria_status status;
    const char *source_file; /* where in Cria it was found; a string constant */
    int source_line;
    char text[1024]; /* what, where (file, tensor, option), expected, found, what to do; no newline, UTF-8, escaped */
};

/* The message of a code; never NULL. Any thread. */
const char *cria_status_text(cria_status status);
/* The name of a code, "CRIA_IO"; never NULL. Any thread. */
const char *cria_status_name(cria_status status);

#ifdef __cplusplus
}
#endif
#endif
