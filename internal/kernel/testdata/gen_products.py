#!/usr/bin/env python3
"""Measures how exact llama.cpp's matrix products are, for accuracy_test.go to compare with.

Made with llama-cpp-python 0.3.36 (built from its source distribution for x86-64, defaults) and numpy 2.4.6:

    python gen_products.py > products.json

Weights are random blocks and activations sums of four uniform numbers, all from splitmix64, so that accuracy_test.go
makes the same ones. For each dtype the file has the normalised mean squared error (NMSE) of ggml's products against
products in float64 of the dequantized weights with the activations before quantization.
"""

import ctypes
import importlib.metadata
import importlib.util
import json
import pathlib

import numpy as np

ROWS, COLUMNS, TOKENS = 48, 2048, 24

# dtype: (ggml_type, weights and bytes of a block, offsets of the F16 scales in a block)
DTYPES = {
    "F16": (1, 1, 2, []),
    "BF16": (30, 1, 2, []),
    "Q4_0": (2, 32, 18, [0]),
    "Q4_1": (3, 32, 20, [0, 2]),
    "Q5_0": (6, 32, 22, [0]),
    "Q5_1": (7, 32, 24, [0, 2]),
    "Q8_0": (8, 32, 34, [0]),
    "Q2_K": (10, 256, 84, [80, 82]),
    "Q3_K": (11, 256, 110, [108]),
    "Q4_K": (12, 256, 144, [0, 2]),
    "Q5_K": (13, 256, 176, [0, 2]),
    "Q6_K": (14, 256, 210, [208]),
    "IQ4_NL": (20, 32, 18, [0]),
    "IQ4_XS": (23, 256, 136, [0]),
}


class Traits(ctypes.Structure):
    """struct ggml_type_traits_cpu of ggml-cpu.h"""

    _fields_ = [
        ("from_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        (
            "vec_dot",
            ctypes.CFUNCTYPE(
                None,
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_size_t,
                ctypes.c_void_p,
                ctypes.c_size_t,
                ctypes.c_void_p,
                ctypes.c_size_t,
                ctypes.c_int,
            ),
        ),
        ("vec_dot_type", ctypes.c_int),
        ("nrows", ctypes.c_int64),
    ]


def splitmix64(seed, count):
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, 1 + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def bell(seed, count):
    """Sums of four uniform numbers, in [-0.5, 0.5), multiples of 2^-18."""
    words = splitmix64(seed, count)
    return np.ldexp(words.view(np.int16).reshape(count, 4).astype(np.int64).sum(axis=-1).astype(np.float64), -18).astype(np.float32)


def weights(name):
    type_id, block, size, scales = DTYPES[name]
    if not scales:
        x = bell(type_id, ROWS * COLUMNS)
        if name == "F16":
            return x.astype(np.float16).view(np.uint8).reshape(ROWS, -1)
        return (x.view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(np.uint8).reshape(ROWS, -1)
    total = ROWS * COLUMNS // block * size
    raw = splitmix64(type_id, -(-total // 8)).view(np.uint8)[:total].copy().reshape(-1, size)
    for at in scales:
        raw[:, at + 1] = raw[:, at + 1] & 0x03 | 0x20  # 2^-7 to 2^-6
    return raw.reshape(ROWS, -1)


def main():
    package = pathlib.Path(importlib.util.find_spec("llama_cpp").submodule_search_locations[0])
    base = ctypes.CDLL(str(package / "lib" / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    cpu = ctypes.CDLL(str(package / "lib" / "libggml-cpu.so"))
    cpu.ggml_cpu_init()
    cpu.ggml_get_type_traits_cpu.restype = ctypes.POINTER(Traits)
    base.ggml_row_size.restype = ctypes.c_size_t
    base.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]

    x = bell(1000, TOKENS * COLUMNS).reshape(TOKENS, COLUMNS)
    nmse = {}
    for name, (type_id, _, _, _) in DTYPES.items():
        raw = np.ascontiguousarray(weights(name))
        w = np.empty((ROWS, COLUMNS), np.float32)
        row = {"F16": "ggml_fp16_to_fp32_row", "BF16": "ggml_bf16_to_fp32_row"}.get(name)
        function = base[row or "dequantize_row_" + name.lower().replace("_k", "_K")]
        function(ctypes.c_void_p(raw.ctypes.data), ctypes.c_void_p(w.ctypes.data), ctypes.c_int64(w.size))
        exact = x.astype(np.float64) @ w.astype(np.float64).T
        traits = cpu.ggml_get_type_traits_cpu(type_id).contents
        quantize = cpu.ggml_get_type_traits_cpu(traits.vec_dot_type).contents.from_float
        got = np.empty((TOKENS, ROWS), np.float32)
        result = ctypes.c_float()
        for t in range(TOKENS):
            act = np.zeros(base.ggml_row_size(traits.vec_dot_type, COLUMNS), np.uint8)
            quantize(x[t].ctypes.data, act.ctypes.data, COLUMNS)
            for r in range(ROWS):
                traits.vec_dot(COLUMNS, ctypes.addressof(result), 0, raw[r].ctypes.data, 0, act.ctypes.data, 0, 1)
                got[t, r] = result.value
        nmse[name] = float(((got - exact) ** 2).sum() / (exact**2).sum())
    made_by = "gen_products.py, llama-cpp-python " + importlib.metadata.version("llama-cpp-python")
    print(json.dumps({"made_by": made_by, "nmse": nmse}, indent=1))


if __name__ == "__main__":
    main()
