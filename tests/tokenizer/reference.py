#!/usr/bin/env python3
"""The reference libraries' ids of a corpus; runs in the environment that test_reference.py makes.

    reference.py KIND FILE CORPUS.jsonl OUT.jsonl

KIND is llama3 or llama4 (tiktoken), sentencepiece, or json (tokenizers). OUT gets one JSON array of ids a line. Special
tokens are text here, as they are to `cria tokenize` without --special; in json-special they are special, as with it.
"""
import base64
import json
import sys

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
LLAMA4 = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
          r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def tiktoken_encoder(path, pattern):
    import tiktoken
    with open(path, "rb") as lines:
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    return tiktoken.Encoding("llama", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}).encode_ordinary


def sentencepiece_encoder(path):
    import sentencepiece
    return sentencepiece.SentencePieceProcessor(model_file=path).encode


def json_encoder(path, special):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = not special
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def encoder(kind, path):
    if kind == "llama3":
        return tiktoken_encoder(path, LLAMA3)
    if kind == "llama4":
        return tiktoken_encoder(path, LLAMA4)
    if kind == "sentencepiece":
        return sentencepiece_encoder(path)
    return json_encoder(path, kind == "json-special")


def main():
    kind, path, corpus, out = sys.argv[1:]
    encode = encoder(kind, path)
    with open(corpus, encoding="ascii") as lines, open(out, "w", encoding="ascii") as result:
        for line in lines:
            result.write(json.dumps(list(encode(json.loads(line)["text"]))) + "\n")


if __name__ == "__main__":
    main()
