/* tokenizer_sentencepiece.c: SentencePiece model files: a protobuf message (ModelProto), read by hand within its
 * bounds.
 *
 *   ModelProto     1 pieces (SentencePiece, repeated)   2 trainer_spec   3 normalizer_spec
 *   SentencePiece  1 piece (bytes)   2 score (float)   3 type (1 when absent)
 *   TrainerSpec    3 model_type (1 unigram when absent, 2 BPE)   24 treat_whitespace_as_suffix   40 unk_id   41 bos_id
 * 42 eos_id NormalizerSpec 2 precompiled_charsmap   3 add_dummy_prefix   4 remove_extra_whitespaces   5
 * escape_whitespaces (true when absent)
 *
 * Only models that change nothing but spaces are taken, which those of Llama are; others are refused by the field's
 * name. */
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer_spm.h"

struct message {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number, wire; /* wire 0 varint, 1 eight bytes, 2 a run of bytes, 5 four bytes */
    uint64_t value;        /* of wire 0 and 5 */
    struct message bytes;  /* of wire 2 */
};

static bool read_varint(struct message *m, uint64_t *ret) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool read_bytes(struct message *m, uint64_t n, struct message *ret) {
    if (n > (uint64_t)(m->end - m->at)) return false;
    *ret = (struct message){m->at, m->at + n};
    m->at += n;
    return true;
}

/* The next field of a message that is not at its end; false where it is malformed. */
static bool read_field(struct message *m, struct field *ret) {
    uint64_t key, n;
    struct message bytes;
    if (!read_varint(m, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return false;
    *ret = (struct field){.number = (uint32_t)(key >> 3), .wire = (uint32_t)(key & 7)};
    switch (ret->wire) {
        case 0:
            return read_varint(m, &ret->value);
        case 1:
            return read_bytes(m, 8, &ret->bytes);
        case 2:
            return read_varint(m, &n) && read_bytes(m, n, &ret->bytes);
        case 5:
            if (!read_bytes(m, 4, &bytes)) return false;
            for (int i = 0; i < 4; i++) ret->value |= (uint64_t)bytes.at[i] << (8 * i);
            return true;
        default:
            return false;
    }
}

struct model {
    struct text_span *tokens; /* owned */
    float *scores;            /* owned */
    int32_t *types;           /* owned */
    size_t n_tokens, capacity;
    uint64_t model_type, suffix;
    int64_t unk_id, bos_id, eos_id;
    uint64_t dummy_prefix, remove_spaces, escape_spaces;
    bool char_map;
};

static cria_status broken(struct cria_error *err, const char *what) {
    return ERROR_SET(err, CRIA_FORMAT, "SentencePiece model: %s is malformed or cut", what);
}

static cria_status grow(struct model *m, struct cria_error *err) {
    if (m->n_tokens < m->capacity) return CRIA_OK;
    if (m->n_tokens >= TOKEN_MAX_COUNT) return ERROR_SET(err, CRIA_LIMIT, "more than %d pieces", TOKEN_MAX_COUNT);
    size_t capacity = m->capacity ? 2 * m->capacity : 4096;
    struct text_span *tokens = alloc_resize(m->tokens, capacity, sizeof *tokens);
    if (tokens) m->tokens = tokens;
    float *scores = alloc_resize(m->scores, capacity, sizeof *scores);
    if (scores) m->scores = scores;
    int32_t *types = alloc_resize(m->types, capacity, sizeof *types);
    if (types) m->types = types;
    if (!tokens || !scores || !types) return ERROR_NOMEM(err, capacity * sizeof *tokens, "the pieces");
    m->capacity = capacity;
    return CRIA_OK;
}

static cria_status read_piece(struct model *m, struct message bytes, struct cria_error *err) {
    cria_status status = grow(m, err);
    if (status != CRIA_OK) return status;
    struct text_span piece = {"", 0};
    float score = 0;
    int32_t type = 1;
    while (bytes.at < bytes.end) {
        struct field f;
        if (!read_field(&bytes, &f)) return broken(err, "a piece");
        if (f.number == 1 && f.wire == 2)
            piece = (struct text_span){(const char *)f.bytes.at, (size_t)(f.bytes.end - f.bytes.at)};
        if (f.number == 3 && f.wire == 0) type = f.value > 6 ? 7 : (int32_t)f.value;
        if (f.number == 2 && f.wire == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&score, &bits, sizeof score);
        }
    }
    if (type == 5) {
        return ERROR_SET(err, CRIA_UNSUPPORTED,
                         "SentencePiece model: piece %zu is of type UNUSED, which Cria does not support", m->n_tokens);
    }
    m->tokens[m->n_tokens] = piece;
    m->scores[m->n_tokens] = score;
    m->types[m->n_tokens++] = type;
    return CRIA_OK;
}

static cria_status read_trainer(struct model *m, struct message bytes, struct cria_error *err) {
    while (bytes.at < bytes.end) {
        struct field f;
        if (!read_field(&bytes, &f)) return broken(err, "trainer_spec");
        if (f.wire != 0) continue;
        int64_t id = (int32_t)(uint32_t)f.value; /* int32, written sign-extended */
        if (f.number == 3) m->model_type = f.value;
        if (f.number == 24) m->suffix = f.value;
        if (f.number == 40) m->unk_id = id;
        if (f.number == 41) m->bos_id = id;
        if (f.number == 42) m->eos_id = id;
    }
    return CRIA_OK;
}

static cria_status read_normalizer(struct model *m, struct message bytes, struct cria_error *err) {
    while (bytes.at < bytes.end) {
        struct field f;
        if (!read_field(&bytes, &f)) return broken(err, "normalizer_spec");
        if (f.number == 2 && f.wire == 2) m->char_map = f.bytes.at < f.bytes.end;
        if (f.wire != 0) continue;
        if (f.number == 3) m->dummy_prefix = f.value;
        if (f.number == 4) m->remove_spaces = f.value;
        if (f.number == 5) m->escape_spaces = f.value;
    }
    return CRIA_OK;
}

static cria_status read_model(struct model *m, struct message bytes, struct cria_error *err) {
    cria_status status = CRIA_OK;
    while (bytes.at < bytes.end) {
        struct field f;
        if (!read_field(&bytes, &f)) return broken(err, "the file");
        if (f.wire != 2) continue;
        if (f.number == 1) TRY(read_piece(m, f.bytes, err));
        if (f.number == 2) TRY(read_trainer(m, f.bytes, err));
        if (f.number == 3) TRY(read_normalizer(m, f.bytes, err));
    }
out:
    return status;
}

static cria_status refuse(const struct model *m, struct cria_error *err) {
    static const char *const names[] = {"0", "unigram", "BPE", "word", "char"};
    const char *what = NULL;
    if (m->model_type != 2) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "SentencePiece model of type %s; Cria runs BPE",
                         m->model_type < 5 ? names[m->model_type] : "unknown");
    }
    if (m->char_map) what = "a character map (precompiled_charsmap)";
    if (m->remove_spaces) what = "remove_extra_whitespaces";
    if (!m->escape_spaces) what = "escape_whitespaces false";
    if (m->suffix) what = "treat_whitespace_as_suffix";
    if (what) return ERROR_SET(err, CRIA_UNSUPPORTED, "SentencePiece model with %s, which Cria does not support", what);
    return CRIA_OK;
}

cria_status tokenizer_from_sentencepiece(tokenizer **ret, const char *bytes, size_t n, struct cria_error *err) {
    struct model m = {
        .model_type = 1, .bos_id = 1, .eos_id = 2, .dummy_prefix = 1, .remove_spaces = 1, .escape_spaces = 1};
    cria_status status;
    TRY(read_model(&m, (struct message){(const uint8_t *)bytes, (const uint8_t *)bytes + n}, err));
    TRY(refuse(&m, err));
    struct tokenizer_vocab v = {
        .model = "llama",
        .tokens = m.tokens,
        .n_tokens = m.n_tokens,
        .scores = m.scores,
        .types = m.types,
        .bos_id = m.bos_id,
        .eos_id = m.eos_id,
        .eot_id = -1,
        .eom_id = -1,
        .unknown_id = m.unk_id,
        .pad_id = -1,
        .add_bos = 1,
        .add_space_prefix = m.dummy_prefix != 0,
    };
    TRY(tokenizer_spm_build(ret, &v, true, "SentencePiece BPE", err));
out:
    alloc_free(m.tokens);
    alloc_free(m.scores);
    alloc_free(m.types);
    return status;
}
