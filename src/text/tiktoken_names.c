/* tiktoken_names.c: special tokens by rule: a few rows, each a name or a numbered series. */
#include <stdio.h>

#include "text/tiktoken.h"

/* Ids first .. first + count - 1; a series (count > 1 or numbered) is called name_N|> with N from `number` on. */
struct row {
    int first, count, number; /* number -1: the name is the whole token */
    const char *name;
};

static const struct row llama3[] = {
    {0, 1, -1, "begin_of_text"},         {1, 1, -1, "end_of_text"}, {2, 2, 0, "reserved_special_token"},
    {4, 1, -1, "finetune_right_pad_id"}, {5, 1, -1, "step_id"},     {6, 1, -1, "start_header_id"},
    {7, 1, -1, "end_header_id"},         {8, 1, -1, "eom_id"},      {9, 1, -1, "eot_id"},
    {10, 1, -1, "python_tag"},           {11, 1, -1, "image"},      {12, 244, 2, "reserved_special_token"},
};

static const struct row llama4[] = {
    {0, 1, -1, "begin_of_text"},
    {1, 1, -1, "end_of_text"},
    {2, 1, -1, "fim_prefix"},
    {3, 1, -1, "fim_middle"},
    {4, 1, -1, "fim_suffix"},
    {5, 1, -1, "header_start"},
    {6, 1, -1, "header_end"},
    {7, 1, -1, "eom"},
    {8, 1, -1, "eot"},
    {9, 1, -1, "step"},
    {10, 6, 0, "text_post_train_reserved_special_token"},
    {16, 1, -1, "python_start"},
    {17, 1, -1, "python_end"},
    {18, 1, -1, "finetune_right_pad"},
    {19, 61, 8, "text_post_train_reserved_special_token"},
    {80, 1, -1, "image_start"},
    {81, 1, -1, "image_end"},
    {82, 2, 0, "vision_reserved_special_token"},
    {84, 1, -1, "tile_x_separator"},
    {85, 1, -1, "tile_y_separator"},
    {86, 4, 2, "vision_reserved_special_token"},
    {90, 1, -1, "image"},
    {91, 1, 6, "vision_reserved_special_token"},
    {92, 1, -1, "patch"},
    {93, 1041, 7, "vision_reserved_special_token"},
    {1134, 8, 0, "reasoning_reserved_special_token"},
    {1142, 1, -1, "reasoning_thinking_start"},
    {1143, 1, -1, "reasoning_thinking_end"},
    {1144, 904, 0, "reserved_special_token"},
};

static size_t name_of(const struct row *rows, size_t n_rows, int i, char out[TIKTOKEN_MAX_NAME]) {
    size_t r = 0;
    while (r + 1 < n_rows && i >= rows[r + 1].first) r++;
    if (rows[r].number < 0) return (size_t)snprintf(out, TIKTOKEN_MAX_NAME, "<|%s|>", rows[r].name);
    return (size_t)snprintf(out, TIKTOKEN_MAX_NAME, "<|%s_%d|>", rows[r].name, rows[r].number + i - rows[r].first);
}

size_t tiktoken_llama3_name(int i, char out[TIKTOKEN_MAX_NAME]) {
    return name_of(llama3, sizeof llama3 / sizeof llama3[0], i, out);
}

size_t tiktoken_llama4_name(int i, char out[TIKTOKEN_MAX_NAME]) {
    return name_of(llama4, sizeof llama4 / sizeof llama4[0], i, out);
}
