/* fuzz_replay.c: runs a fuzz target over files, once each, where libFuzzer is not linked.
 *
 *   X_fuzz FILE_OR_FOLDER...
 *
 * So every seed, and every input that once broke something, is part of the ordinary suite, under gcc and under each
 * sanitizer. A folder without files is a failure: then nothing was tested. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static int replay_file(const char *path, size_t n_bytes) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(n_bytes ? n_bytes : 1);
    const int is_read = file && data && fread(data, 1, n_bytes, file) == n_bytes;
    if (is_read) {
        LLVMFuzzerTestOneInput(data, n_bytes);
    } else {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(data);
    if (file) fclose(file);
    return is_read ? 1 : -1;
}

/* The number of files run, or -1. */
static int replay(const char *path) {
    struct stat status;
    if (stat(path, &status)) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(status.st_mode)) return replay_file(path, (size_t)status.st_size);
    struct dirent **entries;
    const int n_entries = scandir(path, &entries, NULL, alphasort);
    if (n_entries < 0) {
        perror(path);
        return -1;
    }
    int n_files = 0;
    for (int i = 0; i < n_entries; i++) {
        char name[4096];
        const int n = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && n_files >= 0) {
            const int n_more = n < (int)sizeof name ? replay(name) : -1;
            n_files = n_more < 0 ? -1 : n_files + n_more;
        }
        free(entries[i]);
    }
    free(entries);
    return n_files;
}

int main(int argc, char **argv) {
    int n_files = 0;
    for (int i = 1; i < argc; i++) {
        const int n = replay(argv[i]);
        if (n < 0) return 1;
        n_files += n;
    }
    printf("%d inputs\n", n_files);
    return n_files == 0;
}
