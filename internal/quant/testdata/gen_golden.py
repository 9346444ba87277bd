#!/usr/bin/env python3
"""Asks ggml what the bytes of every dtype mean, and writes the answers down for golden_test.go.

Made with llama-cpp-python 0.3.36 (built from its source distribution for x86-64, defaults) and numpy 2.4.6:

    python gen_golden.py > golden.json

A larger comparison, which is run by hand and not committed:

    python gen_golden.py --units 250000 --rows 4000 > large.json
    REALM_QUANT_GOLDEN=$PWD/large.json go test -count=1 -run Golden ./internal/quant

A unit is 256 weights. Inputs come from splitmix64, and golden_test.go makes the same ones. For each dtype the file has
the SHA-256 of what ggml dequantizes from random blocks (float32, little-endian, every NaN as 0x7fc00000) and of what it
quantizes from rows of several kinds, with the last values as literals.
"""

import argparse
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import json
import pathlib

import numpy as np

UNIT = 256

# dtype: (ggml_type, bytes of a unit, bytes of a block, offsets of the F16 scales in a block)
DTYPES = {
    "F32": (0, 1024, 0, []),
    "F16": (1, 512, 0, []),
    "BF16": (30, 512, 0, []),
    "Q4_0": (2, 144, 18, [0]),
    "Q4_1": (3, 160, 20, [0, 2]),
    "Q5_0": (6, 176, 22, [0]),
    "Q5_1": (7, 192, 24, [0, 2]),
    "Q8_0": (8, 272, 34, [0]),
    "Q2_K": (10, 84, 84, [80, 82]),
    "Q3_K": (11, 110, 110, [108]),
    "Q4_K": (12, 144, 144, [0, 2]),
    "Q5_K": (13, 176, 176, [0, 2]),
    "Q6_K": (14, 210, 210, [208]),
    "IQ4_NL": (20, 144, 18, [0]),
    "IQ4_XS": (23, 136, 136, [0]),
}
QUANTIZABLE = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K"]

# Of every 64 blocks the first ten have these scales: zeros, subnormals, smallest normal, largest, infinities, 1.
EDGES = np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x3C00], np.uint16)


def splitmix64(seed, first, count):
    """Outputs first, first+1, ... of the generator."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(first + 1, first + 1 + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def random_units(name, first, count):
    """Raw bytes of units first, first+1, ...: random but for the scales, which are finite or from EDGES."""
    type_id, unit_bytes, block_bytes, scales = DTYPES[name]
    words = -(-unit_bytes // 8)
    raw = splitmix64(type_id, first * words, count * words).view(np.uint8).reshape(count, words * 8)[:, :unit_bytes]
    raw = np.ascontiguousarray(raw)
    if not scales:
        return raw
    blocks = raw.reshape(-1, block_bytes)
    number = np.arange(len(blocks)) + first * (unit_bytes // block_bytes)
    for field, offset in enumerate(scales):
        d = np.ascontiguousarray(blocks[:, offset : offset + 2]).view(np.uint16)[:, 0]
        d = np.where(d & 0x7C00 == 0x7C00, d & 0xBFFF, d)
        d = np.where(number % 64 < len(EDGES), EDGES[(number + field) % len(EDGES)], d)
        blocks[:, offset : offset + 2] = d.astype(np.uint16).reshape(-1, 1).view(np.uint8)
    return blocks.reshape(count, unit_bytes)


def ldexp(integers, exponent):
    return np.ldexp(integers.astype(np.float64), exponent).astype(np.float32)


def uniform(words, exponent):
    """Uniform in [-2^exponent, 2^exponent)."""
    return ldexp(words.view(np.int64) >> 40, exponent - 23)


def bell(words):
    """The sum of four uniform numbers, in [-0.5, 0.5)."""
    return ldexp(words.view(np.int16).reshape(*words.shape, 4).astype(np.int64).sum(axis=-1), -18)


def outlier(words):
    x = bell(words)
    rows = np.arange(len(x))
    x[rows, words[:, 0] >> np.uint64(56)] *= np.float32(1024)
    return x


def wide(words):
    exponent = ((words >> np.uint64(8)) & np.uint64(31)).astype(np.int32) - 39
    return np.ldexp((words.view(np.int64) >> 40).astype(np.float64), exponent).astype(np.float32)


def bits(words):
    u = words.astype(np.uint32)
    return np.where(u & 0x7F800000 == 0x7F800000, u & 0xBFFFFFFF, u).astype(np.uint32).view(np.float32)


# What rows look like, from one random word per weight.
KINDS = {
    "bell": bell,
    "uniform": lambda w: uniform(w, 0),
    "positive": lambda w: np.abs(uniform(w, 0)) + np.float32(0.5),
    "negative": lambda w: -np.abs(uniform(w, 0)) - np.float32(0.5),
    "constant": lambda w: np.repeat(uniform(w[:, :1], 0), UNIT, axis=1),
    "zero": lambda w: np.where(w >> np.uint64(63), np.float32(-0.0), np.float32(0)),
    "sparse": lambda w: np.where(w & np.uint64(15), np.float32(0), uniform(w, 0)),
    "outlier": outlier,
    "wide": wide,
    "small": lambda w: uniform(w, -20),
    "smaller": lambda w: uniform(w, -48),
    "tiny": lambda w: uniform(w, -125),
    "subnormal": lambda w: uniform(w, -140),
    "large": lambda w: uniform(w, 24),
    "huge": lambda w: uniform(w, 127),
    "bits": bits,
}


def chunks(total, size=1024):
    for first in range(0, total, size):
        yield first, min(size, total - first)


def dequantize(lib, name, raw):
    out = np.empty(raw.shape[0] * UNIT, np.float32)
    if name == "F32":
        out = raw.reshape(-1).view(np.float32).copy()
    else:
        row = {"F16": "ggml_fp16_to_fp32_row", "BF16": "ggml_bf16_to_fp32_row"}.get(name)
        function = lib[row or "dequantize_row_" + name.lower().replace("_k", "_K")]
        function(ctypes.c_void_p(raw.ctypes.data), ctypes.c_void_p(out.ctypes.data), ctypes.c_int64(out.size))
    u = out.view(np.uint32)
    u[np.isnan(out)] = 0x7FC00000
    return u


def quantize(lib, name, x):
    type_id, unit_bytes, _, _ = DTYPES[name]
    x = np.ascontiguousarray(x, np.float32)
    out = np.zeros(x.shape[0] * unit_bytes, np.uint8)
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    written = lib.ggml_quantize_chunk(
        ctypes.c_int(type_id),
        ctypes.c_void_p(x.ctypes.data),
        ctypes.c_void_p(out.ctypes.data),
        ctypes.c_int64(0),
        ctypes.c_int64(x.shape[0]),
        ctypes.c_int64(UNIT),
        None,
    )
    assert written == out.size
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=64, help="random units to dequantize, per dtype")
    parser.add_argument("--rows", type=int, default=16, help="units to quantize, per dtype and kind")
    args = parser.parse_args()

    package = pathlib.Path(importlib.util.find_spec("llama_cpp").submodule_search_locations[0])
    lib = ctypes.CDLL(str(package / "lib" / "libggml-base.so"))

    golden = {
        "made_by": "gen_golden.py, llama-cpp-python " + importlib.metadata.version("llama-cpp-python"),
        "units": args.units,
        "rows": args.rows,
        "dequantize": {},
        "quantize": {},
    }
    for name in DTYPES:
        digest = hashlib.sha256()
        for first, count in chunks(args.units):
            values = dequantize(lib, name, random_units(name, first, count))
            digest.update(values.tobytes())
        last = " ".join(f"{v:08x}" for v in values[-8:])
        golden["dequantize"][name] = {"sha256": digest.hexdigest(), "last": last}
    for name in QUANTIZABLE:
        golden["quantize"][name] = {}
        for seed, (kind, make) in enumerate(KINDS.items()):
            digest = hashlib.sha256()
            for first, count in chunks(args.rows):
                words = splitmix64(seed, first * UNIT, count * UNIT).reshape(count, UNIT)
                out = quantize(lib, name, make(words))
                digest.update(out.tobytes())
            golden["quantize"][name][kind] = {"sha256": digest.hexdigest(), "last": out[-12:].tobytes().hex()}
    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
