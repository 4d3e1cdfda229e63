/* fetch_sword.c: the text of a compressed SWORD module.
 *
 * A testament is three files, little-endian: blocks (where the compressed block lies, its bytes, its bytes unpacked;
 * 4 each), verses (block, 4; first byte in it, 4; bytes, 2 or in newer modules 4), and the blocks themselves, zlib. A
 * verse is OSIS markup: tags are dropped, notes with what is in them, and the five entities of XML are what they stand
 * for. Verses follow each other in the order of the canon, which is that of the records; each becomes a line. */
#include <string.h>

#include "data/fetch_private.h"

enum { BLOCK_RECORD = 12 };

static uint32_t u32_at(const struct buffer *b, size_t at) {
    const uint8_t *p = (const uint8_t *)b->data + at;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t u16_at(const struct buffer *b, size_t at) {
    const uint8_t *p = (const uint8_t *)b->data + at;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

/* Whether the tag at text is <name ...> or <name/>. */
static int is_tag(const char *text, size_t n, const char *name) {
    const size_t n_name = strlen(name);
    return n > n_name + 1 && memcmp(text + 1, name, n_name) == 0 && memchr(" />\t\n", text[n_name + 1], 5) != NULL;
}

/* Appends the character that an entity at text stands for; returns the entity's bytes, 0 for none. */
static size_t put_entity(const char *text, size_t n, struct buffer *ret) {
    static const struct {
        const char *name;
        char is;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        const size_t n_name = strlen(entities[i].name);
        if (n < n_name || memcmp(text, entities[i].name, n_name) != 0) continue;
        buffer_append_char(ret, entities[i].is);
        return n_name;
    }
    return 0;
}

/* White space becomes one space, none at the beginning of a line. */
static void put_char(struct buffer *ret, char c) {
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') buffer_append_char(ret, c);
    else if (ret->n_bytes && ret->data[ret->n_bytes - 1] != ' ' && ret->data[ret->n_bytes - 1] != '\n')
        buffer_append_char(ret, ' ');
}

/* A line ends where the markup ends a paragraph, a heading or a line of verse. */
static void put_line_end(const char *tag, size_t n, struct buffer *ret) {
    static const char *const names[] = {"p", "/p", "/title", "lb", "/l", "/lg", "/item", "/head", "/row"};
    int any = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) any |= is_tag(tag, n, names[i]);
    if (!any) return;
    while (ret->n_bytes && ret->data[ret->n_bytes - 1] == ' ') buffer_cut(ret, ret->n_bytes - 1);
    if (ret->n_bytes && ret->data[ret->n_bytes - 1] != '\n') buffer_append_char(ret, '\n');
}

static void put_verse(const char *text, size_t n, struct buffer *ret) {
    const size_t before = ret->n_bytes;
    int in_notes = 0;
    for (size_t i = 0; i < n;) {
        const char *end = text[i] == '<' ? memchr(text + i, '>', n - i) : NULL;
        if (end) {
            const size_t n_tag = (size_t)(end - (text + i)) + 1;
            if (is_tag(text + i, n_tag, "note") && end[-1] != '/') in_notes++;
            if (is_tag(text + i, n_tag, "/note") && in_notes) in_notes--;
            if (!in_notes) put_line_end(text + i, n_tag, ret);
            i += n_tag;
            continue;
        }
        const size_t n_entity = text[i] == '&' && !in_notes ? put_entity(text + i, n - i, ret) : 0;
        if (!n_entity && !in_notes) put_char(ret, text[i]);
        i += n_entity ? n_entity : 1;
    }
    while (ret->n_bytes > before && ret->data[ret->n_bytes - 1] == ' ') buffer_cut(ret, ret->n_bytes - 1);
    if (ret->n_bytes > before && ret->data[ret->n_bytes - 1] != '\n') buffer_append_char(ret, '\n');
}

/* Unpacks block number i. */
static cria_status open_block(const struct buffer *blocks, const struct buffer *text, uint32_t i, struct buffer *ret,
                              struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (i >= blocks->n_bytes / BLOCK_RECORD)
        return ERROR_SET(err, CRIA_FORMAT, "a verse lies in block %u, which is not there", i);
    const size_t at = (size_t)i * BLOCK_RECORD;
    const uint32_t first = u32_at(blocks, at), n = u32_at(blocks, at + 4);
    if (first > text->n_bytes || n > text->n_bytes - first)
        return ERROR_SET(err, CRIA_FORMAT, "block %u lies outside the file", i);
    buffer_cut(ret, 0);
    TRY(fetch_package_inflate((const uint8_t *)text->data + first, n, "a block of text", ret, err));
out:
    return status;
}

cria_status fetch_sword_unpack(const struct buffer *blocks, const struct buffer *verses, const struct buffer *text,
                               size_t verse_bytes, struct buffer *ret, struct cria_error *err) {
    struct buffer block = buffer_make(FETCH_MAX_TEXT);
    cria_status status = CRIA_OK;
    uint32_t at_block = UINT32_MAX;
    for (size_t at = 0; at + verse_bytes <= verses->n_bytes; at += verse_bytes) {
        const uint32_t number = u32_at(verses, at), first = u32_at(verses, at + 4);
        const uint32_t n = verse_bytes == 10 ? u16_at(verses, at + 8) : u32_at(verses, at + 8);
        if (n == 0) continue;
        if (number != at_block) TRY(open_block(blocks, text, number, &block, err));
        at_block = number;
        if (first > block.n_bytes || n > block.n_bytes - first) {
            status = ERROR_SET(err, CRIA_FORMAT, "verse %zu lies outside block %u", at / verse_bytes, number);
            goto out;
        }
        put_verse(block.data + first, n, ret);
    }
    TRY(buffer_status(ret, "a text", err));
out:
    buffer_free(&block);
    return status;
}
