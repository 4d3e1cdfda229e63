"""A Llama GGUF file as a transformers model in fp32, and back: names mapped, query and key rows brought from pairs to
halves by hand, numbers by the gguf library, so that no other reader of GGUF is trusted."""

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize
from transformers import LlamaConfig, LlamaForCausalLM

import k_blocks

NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def read_field(reader, key):
    return reader.get_field(key).contents()


def hf_name(gguf_name):
    parts = gguf_name.split(".")
    prefix = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
    return prefix + NAMES[parts[-2]] + ".weight"


def gguf_name(hf):
    parts = hf.removesuffix(".weight").split(".")
    layer = parts[:2] == ["model", "layers"]
    back = {v: k for k, v in NAMES.items()}
    return (f"blk.{parts[2]}." + back[".".join(parts[3:])] if layer else back[".".join(parts)]) + ".weight"


def to_halves(rows, heads):
    return rows.view(heads, rows.shape[0] // heads // 2, 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def to_pairs(rows, heads):
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def rotated_heads(name, heads, kv_heads):
    """How many heads the rows of a tensor are, 0 for one whose rows are not rotated."""
    if ".attn_q." in name or ".q_proj." in name:
        return heads
    return kv_heads if ".attn_k." in name or ".k_proj." in name else 0


def read_model(path, rope=None):
    """rope: transformers' parameters for what the file says by rope_freqs.weight."""
    reader = GGUFReader(path)
    get = lambda key: read_field(reader, "llama." + key)
    heads, kv_heads = get("attention.head_count"), get("attention.head_count_kv")
    tensors = {t.name: t for t in reader.tensors if t.name != "rope_freqs.weight"}
    config = LlamaConfig(
        vocab_size=int(tensors["token_embd.weight"].shape[1]), hidden_size=get("embedding_length"),
        intermediate_size=get("feed_forward_length"), num_hidden_layers=get("block_count"), num_attention_heads=heads,
        num_key_value_heads=kv_heads, head_dim=get("rope.dimension_count"),
        max_position_embeddings=get("context_length"),
        rms_norm_eps=get("attention.layer_norm_rms_epsilon"), tie_word_embeddings="output.weight" not in tensors,
        rope_parameters=rope or {"rope_type": "default", "rope_theta": float(get("rope.freq_base"))},
        attn_implementation="eager")
    state = {}
    for name, tensor in tensors.items():
        values = torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        n = rotated_heads(name, heads, kv_heads)
        state[hf_name(name)] = to_halves(values, n) if n else values
    state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    model.load_state_dict(state, strict=True)
    return model


def pack(values, type_name):
    """The rows of a matrix as they are stored, and the fp32 values that they stand for."""
    rows = values.numpy().astype(np.float32)
    t = GGMLQuantizationType[type_name]
    packed = k_blocks.pack(rows, type_name) if type_name.endswith("_K") else quantize(rows, t)
    return packed, torch.from_numpy(np.array(dequantize(packed, t), dtype=np.float32))


def write_model(model, path, type_of, packed, divisors=None):
    """type_of(hf name) is the type of each matrix, packed[hf name] its rows as pack() gave them; norm gains are F32."""
    c = model.config
    w = GGUFWriter(path, "llama")
    w.add_vocab_size(c.vocab_size)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_rope_dimension_count(c.head_dim)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    if divisors is not None:
        w.add_tensor("rope_freqs.weight", divisors.numpy().astype(np.float32))
    for name, p in model.state_dict().items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        if p.ndim == 1:
            w.add_tensor(gguf_name(name), p.numpy())
            continue
        n = rotated_heads(name, c.num_attention_heads, c.num_key_value_heads)
        rows = to_pairs(packed[name], n) if n else packed[name]
        w.add_tensor(gguf_name(name), rows, raw_dtype=GGMLQuantizationType[type_of(name)])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
