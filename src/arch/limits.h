/* limits.h: how large anything that comes from a model file may be. Each limit is tested at its value and one above.
 *
 * A limit stands far above every published model and far below what would overflow a product of two or three of them in
 * 64 bits or fill a machine's memory with headers. */
#ifndef ARCH_LIMITS_H
#define ARCH_LIMITS_H

/* Configuration. */
#define LIMIT_WIDTH (1 << 17)    /* D and H x S */
#define LIMIT_FF_WIDTH (1 << 20) /* F */
#define LIMIT_LAYERS 1024        /* L */
#define LIMIT_HEADS 4096         /* H */
#define LIMIT_VOCAB (1 << 22)    /* V */
#define LIMIT_MERGES (1 << 23)
#define LIMIT_CONTEXT (12 * 1048576) /* rotation angles stay below 1.3e7, where sine and cosine are exact enough */

/* GGUF. */
#define LIMIT_GGUF_KEYS 65536
#define LIMIT_GGUF_TENSORS 1048576
#define LIMIT_GGUF_STRING_BYTES (16 << 20)
#define LIMIT_GGUF_KEY_BYTES 65535
#define LIMIT_GGUF_ARRAY (64 << 20)
#define LIMIT_GGUF_DIMENSIONS 4
#define LIMIT_GGUF_NAME_BYTES 63
#define LIMIT_GGUF_MIN_ALIGNMENT 8
#define LIMIT_GGUF_MAX_ALIGNMENT (1 << 20)

/* safetensors and Hugging Face directories. */
#define LIMIT_SAFETENSORS_HEADER_BYTES 100000000
#define LIMIT_SAFETENSORS_TENSORS 1048576
#define LIMIT_SAFETENSORS_NAME_BYTES 1024
#define LIMIT_SAFETENSORS_DIMENSIONS 8
#define LIMIT_SHARDS 1024                       /* files of one model */
#define LIMIT_INDEX_BYTES (64 << 20)            /* model.safetensors.index.json */
#define LIMIT_CONFIG_BYTES (4 << 20)            /* config.json, generation_config.json */
#define LIMIT_TOKENIZER_CONFIG_BYTES (16 << 20) /* tokenizer_config.json */
#define LIMIT_TOKENIZER_BYTES (128 << 20)       /* tokenizer.json, tokenizer.model */
#define LIMIT_TEMPLATE_BYTES (1 << 20)          /* a chat template */

#endif
