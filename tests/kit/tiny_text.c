/* tiny_text.c: a byte-level tokenizer and a chat template for tiny models, and folders for their files; see tiny.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "kit/tiny_file.h"

#define MAX_FILE_BYTES ((size_t)1 << 20)

static bool is_printable(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The characters that stand for bytes: printable ones for themselves, then the others as U+0100 and up. */
static void append_bytes(json_writer *w) {
    int id = 0;
    for (int pass = 0; pass < 2; pass++) {
        uint32_t stand_in = 0x100;
        for (int byte = 0; byte < 256; byte++) {
            if (is_printable(byte) != (pass == 0)) continue;
            char key[5];
            key[utf8_encode(pass == 0 ? (uint32_t)byte : stand_in++, key)] = '\0';
            json_write_key(w, key);
            json_write_i64(w, id++);
        }
    }
}

static void append_added(struct buffer *out, int id, const char *text, bool is_first) {
    buffer_append_format(
        out,
        "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
        "\"normalized\": false, \"special\": true}",
        is_first ? "" : ", ", id, text);
}

cria_status tiny_write_tokenizer(const struct tiny_model *m, const char *folder, struct cria_error *err) {
    CRIA_ASSERT(m->n_vocab >= TINY_MIN_VOCAB);
    struct buffer text = buffer_make(MAX_FILE_BYTES);
    cria_status status = CRIA_OK;
    buffer_append_text(&text, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [");
    append_added(&text, TINY_BOS, "<|begin_of_text|>", true);
    append_added(&text, TINY_EOS, "<|end_of_text|>", false);
    buffer_append_text(
        &text,
        "], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
        "\"trim_offsets\": true, \"use_regex\": true}, \"post_processor\": {\"type\": \"TemplateProcessing\", "
        "\"single\": [{\"SpecialToken\": {\"id\": \"<|begin_of_text|>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": "
        "\"A\", "
        "\"type_id\": 0}}], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": "
        "\"B\", \"type_id\": 1}}], \"special_tokens\": {\"<|begin_of_text|>\": {\"id\": \"<|begin_of_text|>\", "
        "\"ids\": [256], "
        "\"tokens\": [\"<|begin_of_text|>\"]}}}, \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
        "\"trim_offsets\": true, \"use_regex\": true}, \"model\": "
        "{\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, "
        "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"vocab\": ");
    json_writer w = json_writer_make(&text);
    json_write_begin_object(&w);
    append_bytes(&w);
    json_write_end_object(&w);
    buffer_append_text(&text, ", \"merges\": []}}\n");
    TRY(tiny_write_file(folder, "tokenizer.json", &text, err));
    buffer_cut(&text, 0);
    buffer_append_text(&text,
                       "{\"bos_token\": \"<|begin_of_text|>\", \"eos_token\": \"<|end_of_text|>\", \"chat_template\": "
                       "\"{{ bos_token }}{% for m in "
                       "messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}\"}\n");
    TRY(tiny_write_file(folder, "tokenizer_config.json", &text, err));
out:
    buffer_free(&text);
    return status;
}

char *tiny_folder(void) {
    char name[] = P_tmpdir "/cria-test-XXXXXX";
    return mkdtemp(name) ? alloc_text(name, strlen(name)) : NULL;
}

void tiny_remove(const char *folder) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *path = file_join(folder, e->d_name);
        if (path && unlink(path) != 0) tiny_remove(path);
        alloc_free(path);
    }
    if (d) closedir(d);
    rmdir(folder);
}
