/* safetensors_fuzz.c: the safetensors reader on any bytes: what it accepts has to cover the data without overlap. */
#include "format/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct safetensors s = {0};
    struct cria_error err;
    size_t n = 0;
    if (n_bytes < 8 || safetensors_header_bytes(data, n_bytes, &n, &err) != CRIA_OK) return 0;
    if (safetensors_parse(&s, (const char *)data + 8, n, n_bytes - 8 - n, &err) == CRIA_OK) {
        uint64_t sum = 0;
        for (size_t i = 0; i < s.n_tensors; i++) {
            sum += s.tensors[i].end - s.tensors[i].begin;
            if (s.tensors[i].end > n_bytes - 8 - n || !safetensors_format_name(&s.tensors[i])) abort();
        }
        if (sum != n_bytes - 8 - n) abort();
    }
    safetensors_free(&s);
    return 0;
}
