/* json_scan.h: what the files of the JSON reader share; private to them.
 *
 * Each json_scan_... that returns a status has marked the reader as failed where it is not OK. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/json.h"

/* Fills err with the position of byte `at` and the text, marks the reader as failed and returns status. */
cria_status json_scan_fail(json_reader *r, struct cria_error *err, cria_status status, size_t at, const char *format,
                           ...) __attribute__((format(printf, 5, 6)));
/* FORMAT: "expected WHAT, found ..." at the reader's place. */
cria_status json_scan_expected(json_reader *r, struct cria_error *err, const char *what);
/* The answer of every function once one has failed. */
cria_status json_scan_again(const json_reader *r, struct cria_error *err);
/* Skips white space. */
void json_scan_space(json_reader *r);
/* Reads the string at the reader's place; *ret_is_scratch says whether its bytes are in the scratch. `what` names it
 * in the message where there is none. */
cria_status json_scan_string(json_reader *r, const char *what, struct json_text *ret, bool *ret_is_scratch,
                             struct cria_error *err);

#endif
