"""Makes the llama.cpp goldens of internal/model: greedy continuations, logits over a text, logits of small models.

Reference: llama-cpp-python 0.3.36, which vendors llama.cpp (ggml 0.25.3), on Python 3.11.7, built from source without
-march=native, so that the kernels are AVX2 + FMA + F16C on every x86-64 machine (no AVX-512, no AMX), and without
OpenMP:

    python3 -m venv build/llama && . build/llama/bin/activate
    CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DGGML_OPENMP=OFF" \
        pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36 numpy==2.4.6

Then, from the root of the repository (`make demo` fetches the model and builds build/realm):

    mkdir -p build/goldens/tiny
    for shape in f32 bias untied rope-linear rope-yarn rope-llama3; do
        build/realm synth tiny-llama-$shape build/goldens/tiny/tiny-llama-$shape.gguf
    done
    build/realm synth tiny-qwen3-f32 build/goldens/tiny/tiny-qwen3-f32.gguf
    python tools/goldens/llama.py --model build/models/SmolLM2-135M-Instruct.Q4_1.gguf --folder build/goldens
    REALM_GOLDENS=$PWD/build/goldens go test ./internal/model -run '^TestMakeGoldens$' -count=1 -timeout=90m -v

The script writes llama_greedy.json, llama_text.json and llama_tiny.json in internal/model/testdata, and 800 MB of
logits in the folder for the test, which measures them against exact arithmetic and writes llama_exact.json. The folder
can be deleted afterwards.

Settings: 2 threads, batches of up to 512 tokens, KV cache in F16 (float32 for the tiny models), and flash attention
off, as llama-cpp-python has it by default. llama.cpp's own default turns it on; the two differ no more than any two
implementations do: over the first 256 tokens of the text, the NMSE against exact arithmetic is 8.5e-4 with it off and
8.1e-4 with it on. llama.cpp gives the same bits each time.

Every prompt is continued for 64 tokens, whatever they are: an end-of-turn token is fed back like any other, so that
each prompt gives 64 positions. Position 0 is the prediction after the last token of the prompt.
"""

import argparse
import ctypes
import hashlib
import json
import platform
import sys
from pathlib import Path

import jinja2.sandbox
import llama_cpp
import numpy as np

sys.dont_write_bytecode = True  # the repository keeps no binary files, and a test says so
from prompts import PROMPTS  # noqa: E402

POSITIONS = 64
TEXT_TOKENS = 2000
TINY_TOKENS = 200
CONTEXT_LENGTH = 2048
BATCH = 512
THREADS = 2

HERE = Path(__file__).parent
TESTDATA = HERE.parent.parent / "internal" / "model" / "testdata"


class Llama:
    """One model and one sequence of llama.cpp's, through its C interface."""

    def __init__(self, path, cache_type=llama_cpp.GGML_TYPE_F16):
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            sys.exit(f"cannot load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = CONTEXT_LENGTH
        params.n_batch = params.n_ubatch = BATCH
        params.n_threads = params.n_threads_batch = THREADS
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.type_k = params.type_v = cache_type
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.vocab_size = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self.position = 0

    def metadata(self, key):
        buffer = ctypes.create_string_buffer(1 << 16)
        length = llama_cpp.llama_model_meta_val_str(self.model, key.encode(), buffer, len(buffer))
        return buffer.raw[:length].decode() if length >= 0 else ""

    def detokenize(self, ids):
        buffer = ctypes.create_string_buffer(256 * len(ids))
        array = (ctypes.c_int32 * len(ids))(*ids)
        length = llama_cpp.llama_detokenize(self.vocab, array, len(ids), buffer, len(buffer), False, True)
        return buffer.raw[:length].decode(errors="replace")

    def tokenize(self, text, parse_special):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, parse_special)
        return list(ids[:count])

    def render(self, message):
        """The model's own chat template over one user message, as Hugging Face's transformers would render it."""
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        return environment.from_string(self.metadata("tokenizer.chat_template")).render(
            messages=[{"role": "user", "content": message}],
            add_generation_prompt=True,
            bos_token=self.detokenize([llama_cpp.llama_vocab_bos(self.vocab)]),
            eos_token=self.detokenize([llama_cpp.llama_vocab_eos(self.vocab)]),
        )

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.position = 0

    def evaluate(self, tokens, every):
        """Appends tokens to the sequence; returns the logits of every token, or of the last, (rows, vocab_size)."""
        rows = []
        for start in range(0, len(tokens), BATCH):
            chunk = tokens[start : start + BATCH]
            self.batch.n_tokens = len(chunk)
            for i, token in enumerate(chunk):
                self.batch.token[i] = token
                self.batch.pos[i] = self.position + i
                self.batch.n_seq_id[i] = 1
                self.batch.seq_id[i][0] = 0
                self.batch.logits[i] = every or start + i == len(tokens) - 1
            if llama_cpp.llama_decode(self.context, self.batch) != 0:
                sys.exit("llama_decode failed")
            self.position += len(chunk)
            for i in range(len(chunk)):
                if self.batch.logits[i]:
                    logits = llama_cpp.llama_get_logits_ith(self.context, i)
                    # A copy: the buffer is the library's, and good only until the next llama_decode.
                    rows.append(np.ctypeslib.as_array(logits, (self.vocab_size,)).copy())
        return np.stack(rows)


def shortest(values):
    """Float32 values in the shortest decimal form that reads back as the same float32."""
    return [float(np.format_float_positional(v, unique=True)) for v in values]


def write_json(path, header, lists):
    """Writes an object with a line for each header field and each entry of the lists, which keeps diffs readable."""
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in header.items()]
    for key, entries in lists.items():
        body = ",\n".join(json.dumps(e, ensure_ascii=False, separators=(",", ":")) for e in entries)
        lines.append(f"{json.dumps(key)}: [\n{body}\n]")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def greedy(llama, tokens):
    """The logits, (POSITIONS, vocab_size), and ids of a greedy continuation; ties go to the lower id."""
    llama.clear()
    rows, ids = [llama.evaluate(tokens, every=False)[0]], []
    while True:
        ids.append(int(np.argmax(rows[-1])))
        if len(ids) == POSITIONS:
            return np.stack(rows), ids
        rows.append(llama.evaluate(ids[-1:], every=False)[0])


def make_tiny(header, paths):
    """Writes the logits that small synthetic models give after the last of some arbitrary tokens."""
    models = []
    for path in paths:
        llama = Llama(path, cache_type=llama_cpp.GGML_TYPE_F32)
        tokens = [(i * i * 31 + i * 7 + 3) % llama.vocab_size for i in range(TINY_TOKENS)]
        logits = llama.evaluate(tokens, every=False)[0]
        models.append({"shape": path.stem, "tokens": tokens, "logits": shortest(logits)})
    write_json(TESTDATA / "llama_tiny.json", header, {"models": models})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="holds tiny/*.gguf; gets logits, float32, by prompt")
    options = parser.parse_args()

    llama_cpp.llama_backend_init()
    llama = Llama(options.model)
    header = {
        "made_by": "tools/goldens/llama.py",
        "reference": f"llama-cpp-python {llama_cpp.__version__}",
        "python": platform.python_version(),
        "system_info": llama_cpp.llama_print_system_info().decode().strip(),
        "settings": f"{THREADS} threads, batch {BATCH}, context length {CONTEXT_LENGTH}, flash attention off",
    }
    make_tiny(header, sorted((options.folder / "tiny").glob("*.gguf")))

    header |= {
        "model": options.model.name,
        "model_sha256": hashlib.sha256(options.model.read_bytes()).hexdigest(),
    }

    def dump(name, rows):
        rows.astype("<f4").tofile(options.folder / f"{name}.f32")

    prompts = []
    for name, kind, text in PROMPTS:
        text = llama.render(text) if kind == "chat" else text
        tokens = llama.tokenize(text, parse_special=kind == "chat")
        rows, ids = greedy(llama, tokens)
        # The runner-up is the largest of the others, so that equal logits give a gap of zero and not the same id twice.
        others = rows.copy()
        others[np.arange(POSITIONS), ids] = -np.inf
        second = others.argmax(axis=1)
        prompts.append(
            {
                "name": name,
                "kind": kind,
                "text": text,
                "tokens": tokens,
                "greedy": ids,
                "greedy_logits": shortest(rows.max(axis=1)),
                "second": second.tolist(),
                "second_logits": shortest(others.max(axis=1)),
            }
        )
        dump(name, rows)
        print(f"{name}: {len(tokens)} tokens, {llama.detokenize(ids)!r}", file=sys.stderr)
    write_json(TESTDATA / "llama_greedy.json", header | {"positions": POSITIONS}, {"prompts": prompts})

    tokens = llama.tokenize((HERE / "text.txt").read_text(encoding="utf-8"), parse_special=False)[:TEXT_TOKENS]
    llama.clear()
    dump("text", llama.evaluate(tokens, every=True))
    write_json(TESTDATA / "llama_text.json", header | {"source": "tools/goldens/text.txt", "tokens": tokens}, {})


if __name__ == "__main__":
    main()
