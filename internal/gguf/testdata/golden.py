"""Makes the goldens of package gguf with llama.cpp's own gguf-py 0.19.0 (as vendored in llama-cpp-python 0.3.36).

    PYTHONPATH=llama.cpp/gguf-py python testdata/golden.py testdata

all-kinds.bin   every kind of metadata and three tensors, alignment 64
big-endian.bin  a file that Realm must refuse
dtypes.json     [id, name, weights of a block, bytes of a block] of every dtype
"""

import json
import pathlib
import sys

import gguf
import numpy as np

out = pathlib.Path(sys.argv[1])

w = gguf.GGUFWriter(out / "all-kinds.bin", "golden")
w.add_custom_alignment(64)
w.add_uint8("u8", 255)
w.add_int8("i8", -128)
w.add_uint16("u16", 65535)
w.add_int16("i16", -32768)
w.add_uint32("u32", 2**32 - 1)
w.add_int32("i32", -(2**31))
w.add_float32("f32", 2.0**-149)
w.add_bool("true", True)
w.add_bool("false", False)
w.add_string("str", "löwe 🦁")
w.add_uint64("u64", 2**64 - 1)
w.add_int64("i64", -(2**63))
w.add_float64("f64", 0.1)
for name, values in {
    "UINT8": [0, 255],
    "INT8": [-128, 127],
    "UINT16": [0, 65535],
    "INT16": [-32768, 32767],
    "UINT32": [0, 2**32 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "FLOAT32": [-0.5, 2.0**127],
    "BOOL": [True, False, True],
    "STRING": ["a", "b c", "🦁"],
    "UINT64": [0, 2**64 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FLOAT64": [-0.1, 2.0**1023],
}.items():
    w.add_key_value(name, values, gguf.GGUFValueType.ARRAY, gguf.GGUFValueType[name])
w.add_array("nested", [[1, -2], ["x", "y"]])
w.add_tensor("f32", np.arange(6, dtype=np.float32).reshape(2, 3))
w.add_tensor("f16", np.arange(5, dtype=np.float16))
q8_0 = (np.arange(2 * 2 * 34) % 251).astype(np.uint8).reshape(2, 2 * 34)
w.add_tensor("q8_0", q8_0, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()

w = gguf.GGUFWriter(out / "big-endian.bin", "golden", endianess=gguf.GGUFEndian.BIG)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_ti_data_to_file()
w.close()

rows = [[d.value, d.name, *gguf.GGML_QUANT_SIZES[d]] for d in gguf.GGMLQuantizationType]
(out / "dtypes.json").write_text("[\n  " + ",\n  ".join(json.dumps(r) for r in rows) + "\n]\n")
