"""Quantises rows to the K blocks of GGUF, plainly (the gguf library only reads them). Layouts: docs/FORMATS.md."""

import numpy as np


def pack_q4_or_q5(x, n_bits):
    """Blocks of 256 numbers as d, dmin, 12 bytes of 6-bit scales and minima, (32 bytes of fifth bits), 128 of codes."""
    top = 2**n_bits - 1
    parts = x.reshape(-1, 8, 32)
    low = np.minimum(parts.min(-1), 0)
    scale = (parts.max(-1).clip(0) - low) / top
    d = (scale.max(-1, keepdims=True) / 63).astype(np.float16)
    dmin = (-low.min(-1, keepdims=True) / 63).astype(np.float16)
    df, mf = d.astype(np.float32), dmin.astype(np.float32)
    s = np.rint(scale / df).clip(1, 63).astype(np.uint8)
    m = np.rint(np.divide(-low, mf, where=mf > 0, out=np.zeros_like(low))).clip(0, 63).astype(np.uint8)
    codes = np.rint((parts + (mf * m)[:, :, None]) / (df * s)[:, :, None]).clip(0, top).astype(np.uint8)
    scales = np.concatenate([s[:, :4] | (s[:, 4:] >> 4) << 6, m[:, :4] | (m[:, 4:] >> 4) << 6,
                             (s[:, 4:] & 15) | (m[:, 4:] & 15) << 4], -1)
    nibbles = (codes[:, 0::2] & 15) | (codes[:, 1::2] & 15) << 4
    fields = [d.view(np.uint8), dmin.view(np.uint8), scales]
    if n_bits == 5:
        fields.append(((codes >> 4) << np.arange(8, dtype=np.uint8)[:, None]).sum(1).astype(np.uint8))
    return np.concatenate(fields + [nibbles.reshape(-1, 128)], -1)


def pack_q6(x):
    """Blocks of 256 numbers as 128 bytes of low nibbles, 64 of high bit pairs, 16 signed scales, d."""
    parts = x.reshape(-1, 16, 16)
    scale = np.abs(parts).max(-1) / 31
    d = (scale.max(-1, keepdims=True) / 127).astype(np.float16)
    df = d.astype(np.float32)
    s = np.rint(scale / df).clip(1, 127)
    codes = (np.rint(parts / (df * s)[:, :, None]).clip(-32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = (codes[:, :, :2] & 15) | (codes[:, :, 2:] & 15) << 4
    high = ((codes >> 4) << (2 * np.arange(4, dtype=np.uint8))[:, None]).sum(2).astype(np.uint8)
    return np.concatenate([low.reshape(-1, 128), high.reshape(-1, 64), s.astype(np.int8).view(np.uint8),
                           d.view(np.uint8)], -1)


def pack(rows, type_name):
    """[n_rows][n_columns] f32 to [n_rows][bytes]; n_columns is a multiple of 256."""
    blocks = pack_q6(rows) if type_name == "Q6_K" else pack_q4_or_q5(rows, int(type_name[1]))
    return blocks.reshape(rows.shape[0], -1)
