/* fetch_address.c: a file over http or https, by libcurl: redirects followed at most ten times and never to another
 * kind of address, certificates checked, an answer other than success an error. */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/fetch_private.h"
#include "data/writer.h"

enum { CONNECT_SECONDS = 30, STALL_SECONDS = 60, MAX_REDIRECTS = 10, MAX_NAME = 200 };

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void begin_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

struct download {
    writer *file;
    progress *bar;
    cria_status status; /* of writing */
    struct cria_error err;
};

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg) {
    struct download *d = arg;
    d->status = writer_add(d->file, bytes, size * n, &d->err);
    progress_update(d->bar, writer_bytes(d->file));
    return d->status == CRIA_OK ? size * n : 0;
}

/* The last part of the address's path, without a query; only letters, digits and ._- stay. */
static void name_of(const char *address, char name[MAX_NAME]) {
    const char *path = strstr(address, "://");
    path = strchr(path ? path + 3 : address, '/');
    const size_t n = path ? strcspn(path, "?#") : 0;
    size_t first = n, to = 0;
    while (first > 0 && path[first - 1] != '/') first--;
    for (size_t i = first; i < n && to + 1 < MAX_NAME; i++) {
        const char c = path[i];
        const int is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                             c == '_' || (c == '.' && to > 0);
        name[to++] = is_plain ? c : '_';
    }
    name[to] = '\0';
    if (to == 0) memcpy(name, "text.txt", sizeof "text.txt");
}

static cria_status run(CURL *curl, const char *address, struct download *d, struct cria_error *err) {
    char reason[CURL_ERROR_SIZE] = "";
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, address);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, strncmp(address, "https:", 6) == 0 ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "cria/" CRIA_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, d);
    const CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (d->status != CRIA_OK) {
        if (err) *err = d->err;
        return d->status;
    }
    if (result == CURLE_OK) return CRIA_OK;
    return ERROR_SET(err, code == 404 ? CRIA_NOTFOUND : CRIA_IO, "%s: %s", address,
                     reason[0] ? reason : curl_easy_strerror(result));
}

cria_status fetch_address_get(const char *address, const char *folder, struct cria_error *err) {
    char name[MAX_NAME];
    struct download d = {.status = CRIA_OK};
    cria_status status = CRIA_OK;
    pthread_once(&curl_once, begin_curl);
    CURL *curl = curl_easy_init();
    if (!curl) return ERROR_NOMEM(err, 1, "a download");
    name_of(address, name);
    TRY(writer_create(&d.file, folder, name, err));
    d.bar = progress_start(name, 0, PROGRESS_BYTES);
    TRY(run(curl, address, &d, err));
    TRY(writer_finish(&d.file, err));
out:
    progress_finish(&d.bar);
    writer_destroy(&d.file);
    curl_easy_cleanup(curl);
    return status;
}
