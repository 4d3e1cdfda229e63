#!/usr/bin/env python3
"""Writes what transformers makes of the special tokens of a directory: the expected values of hf_tokens_test.c.

    python3 -m venv V && V/bin/pip install transformers==4.57.1
    V/bin/python tests/format/make_hf_tokens.py

writes tests/format/hf_tokens/{plain,bos}.json, two tokenizers of 256 bytes and 5 special tokens, of which bos.json
puts <|begin_of_text|> in front, and tests/format/hf_tokens_cases.h. transformers 5.23.0 says the same, except that it
looks at no add_bos_token where there is a tokenizer.json. Written by that library as it stands; none of it is in here.
"""

import json
import os
import shutil
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END, TURN = "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
FAST, LLAMA = {"tokenizer_class": "PreTrainedTokenizerFast"}, {"tokenizer_class": "LlamaTokenizer"}
TEMPLATE = "[{{ bos_token }}|{{ messages[0].content }}|{{ eos_token }}]"
BOTH = {"bos_token": BEGIN, "eos_token": TURN}
TYPED = {"__type": "AddedToken", "content": TURN, "lstrip": False, "special": True}

# name, the tokenizer, tokenizer_config.json, special_tokens_map.json
CASES = [
    ("texts", "bos", {**FAST, **BOTH}, None),
    ("texts, none in front", "plain", {**FAST, **BOTH}, None),
    ("an object", "bos", {**FAST, "bos_token": BEGIN, "eos_token": TYPED}, None),
    ("in the map", "bos", FAST, {"bos_token": BEGIN, "eos_token": {"content": TURN}}),
    ("null, and in the map", "bos", {**FAST, "bos_token": None, "eos_token": None}, BOTH),
    ("one in each", "bos", {**FAST, "bos_token": BEGIN}, {"eos_token": TURN}),
    ("the same in both", "bos", {**FAST, **BOTH}, BOTH),
    ("null", "plain", {**FAST, "bos_token": None, "eos_token": None}, None),
    ("names of others", "plain", {**FAST, "bos_token": "<s>", "eos_token": "<plain>"}, None),
    ("added and not special", "plain", {**FAST, "bos_token": "<plain>", "eos_token": END}, None),
    ("asked for", "plain", {**LLAMA, **BOTH, "add_bos_token": True}, None),
    ("asked for, in front anyway", "bos", {**LLAMA, **BOTH, "add_bos_token": True}, None),
    ("not wanted", "bos", {**LLAMA, **BOTH, "add_bos_token": False}, None),
]


def write_tokenizer(name, begin):
    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    t = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in (BEGIN, END, TURN, "<s>")])
    t.add_tokens([AddedToken("<plain>", special=False, normalized=False)])
    if begin:
        t.post_processor = processors.TemplateProcessing(
            single=BEGIN + " $A", special_tokens=[(BEGIN, t.token_to_id(BEGIN))]
        )
    os.makedirs(os.path.join(HERE, "hf_tokens"), exist_ok=True)
    t.save(os.path.join(HERE, "hf_tokens", name + ".json"), pretty=False)


def ask(tokenizer, config, tokens_map):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(HERE, "hf_tokens", tokenizer + ".json"), os.path.join(folder, "tokenizer.json"))
        files = {"tokenizer_config.json": config, "special_tokens_map.json": tokens_map}
        for name, content in {**files, "config.json": {"model_type": "llama"}}.items():
            if content is not None:
                with open(os.path.join(folder, name), "w") as f:
                    json.dump(content, f)
        t = AutoTokenizer.from_pretrained(folder)
        ids = [-1 if token is None else t.convert_tokens_to_ids(token) for token in (t.bos_token, t.eos_token)]
        prompt = t.apply_chat_template([{"role": "user", "content": "a"}], chat_template=TEMPLATE, tokenize=False)
        return ids, t.encode("a"), prompt


def literal(text):
    return "NULL" if text is None else json.dumps(text)


def main():
    write_tokenizer("plain", False)
    write_tokenizer("bos", True)
    with open(os.path.join(HERE, "hf_tokens_cases.h"), "w") as out:
        out.write("/* hf_tokens_cases.h: written by make_hf_tokens.py; see there. For hf_tokens_test.c alone. */\n")
        out.write("#ifndef FORMAT_HF_TOKENS_CASES_H\n#define FORMAT_HF_TOKENS_CASES_H\n\n")
        out.write("static const struct tokens_case cases[] = {\n")
        for name, tokenizer, config, tokens_map in CASES:
            (bos, eos), ids, prompt = ask(tokenizer, config, tokens_map)
            texts = [json.dumps(config), None if tokens_map is None else json.dumps(tokens_map)]
            fields = [literal(text) for text in (name, tokenizer + ".json", *texts)]
            out.write(f"    {{{', '.join(fields)}, ")
            out.write(f"{bos}, {eos}, {literal(' '.join(map(str, ids)))}, {literal(prompt)}}},\n")
        out.write("};\n\n#endif\n")


if __name__ == "__main__":
    main()
