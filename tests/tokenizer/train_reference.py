#!/usr/bin/env python3
"""What the reference trainer learns; runs in the environment that test_trainer.py makes.

    train_reference.py PRE_TOKENIZER VOCABULARY MIN_FREQUENCY SPECIAL.json OUT.json FILE...

PRE_TOKENIZER is the JSON text of that part of a tokenizer.json. A FILE ending in .jsonl gives one item a line, another
is read as the library reads files: each line with its end. SPECIAL.json holds a list of special tokens.
"""
import json
import sys

import tokenizers


def items(files):
    for name in files:
        if name.endswith(".jsonl"):
            with open(name, encoding="ascii") as lines:
                yield from (json.loads(line)["text"] for line in lines)
        else:
            with open(name, encoding="utf-8", newline="\n") as lines:
                yield from lines


def main():
    pre_tokenizer, vocabulary, min_frequency, special, out, *files = sys.argv[1:]
    empty = {"version": "1.0", "pre_tokenizer": json.loads(pre_tokenizer),
             "model": {"type": "BPE", "vocab": {}, "merges": []}}
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(empty))
    with open(special, encoding="ascii") as f:
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=int(vocabulary), min_frequency=int(min_frequency), special_tokens=json.load(f),
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    if any(name.endswith(".jsonl") for name in files):
        tokenizer.train_from_iterator(items(files), trainer)
    else:
        tokenizer.train(files, trainer)
    tokenizer.save(out)


if __name__ == "__main__":
    main()
