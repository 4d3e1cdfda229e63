/* hf_tokens_cases.h: written by make_hf_tokens.py; see there. For hf_tokens_test.c alone. */
#ifndef FORMAT_HF_TOKENS_CASES_H
#define FORMAT_HF_TOKENS_CASES_H

static const struct tokens_case cases[] = {
    {"texts", "bos.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": "
     "\"<|eot_id|>\"}",
     NULL, 256, 258, "256 64", "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"texts, none in front", "plain.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": "
     "\"<|eot_id|>\"}",
     NULL, 256, 258, "64", "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"an object", "bos.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": "
     "{\"__type\": \"AddedToken\", \"content\": \"<|eot_id|>\", \"lstrip\": false, \"special\": true}}",
     NULL, 256, 258, "256 64", "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"in the map", "bos.json", "{\"tokenizer_class\": \"PreTrainedTokenizerFast\"}",
     "{\"bos_token\": \"<|begin_of_text|>\", \"eos_token\": {\"content\": \"<|eot_id|>\"}}", 256, 258, "256 64",
     "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"null, and in the map", "bos.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": null, \"eos_token\": null}",
     "{\"bos_token\": \"<|begin_of_text|>\", \"eos_token\": \"<|eot_id|>\"}", 256, 258, "256 64",
     "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"one in each", "bos.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<|begin_of_text|>\"}",
     "{\"eos_token\": \"<|eot_id|>\"}", 256, 258, "256 64", "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"the same in both", "bos.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": "
     "\"<|eot_id|>\"}",
     "{\"bos_token\": \"<|begin_of_text|>\", \"eos_token\": \"<|eot_id|>\"}", 256, 258, "256 64",
     "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"null", "plain.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": null, \"eos_token\": null}", NULL, -1, -1, "64",
     "[|a|]"},
    {"names of others", "plain.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<s>\", \"eos_token\": \"<plain>\"}", NULL,
     259, 260, "64", "[<s>|a|<plain>]"},
    {"added and not special", "plain.json",
     "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<plain>\", \"eos_token\": "
     "\"<|end_of_text|>\"}",
     NULL, 260, 257, "64", "[<plain>|a|<|end_of_text|>]"},
    {"asked for", "plain.json",
     "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": \"<|eot_id|>\", "
     "\"add_bos_token\": true}",
     NULL, 256, 258, "256 64", "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"asked for, in front anyway", "bos.json",
     "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": \"<|eot_id|>\", "
     "\"add_bos_token\": true}",
     NULL, 256, 258, "256 64", "[<|begin_of_text|>|a|<|eot_id|>]"},
    {"not wanted", "bos.json",
     "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<|begin_of_text|>\", \"eos_token\": \"<|eot_id|>\", "
     "\"add_bos_token\": false}",
     NULL, 256, 258, "64", "[<|begin_of_text|>|a|<|eot_id|>]"},
};

#endif
