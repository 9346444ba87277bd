#!/usr/bin/env python3
"""Encodes random texts with llama.cpp, for compare_test.go to compare with.

The texts come from a seeded generator that compare_test.go has as well (textGenerator): all planes of Unicode, white
space, digits, contractions, words, special tokens, invalid UTF-8. Every text is encoded, with and without special
tokens and parsing them, and the ids are decoded again.

Made with llama-cpp-python 0.3.36 (the llama.cpp it vendors, built from its source distribution):

    python -m venv venv && venv/bin/pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36
    PYTHONPATH=LLAMA_CPP/gguf-py venv/bin/python testdata/make_golden.py ../../../shared/fixtures/tokenizer MODEL.gguf

LLAMA_CPP is a checkout of llama.cpp, MODEL.gguf is SmolLM2-135M-Instruct.Q4_1.gguf. This writes llama_cpp.json: what
the texts are made of, and a hash for each block of results. With --texts N --dump DIR it writes the results themselves for N texts of each vocabulary
instead (of those named after --only, as in "gpt-2.falcon model."), and REALM_TOKENIZER_DUMP=DIR go test -run TestDump
compares them one by one.
"""

import argparse
import ctypes
import hashlib
import json
import os
import sys
import tempfile

import gguf
import llama_cpp

FIXTURES = ["bert-bge", "deepseek-llm", "gpt-2", "llama-spm", "phi-3"]
# Pre-tokenizers without a vocabulary of their own here are tried on that of gpt-2.
PRES = ["default", "mpt", "llama-bpe", "qwen2", "deepseek-llm", "deepseek-coder", "falcon", "starcoder", "refact",
        "command-r", "smollm", "chatglm-bpe", "glm4", "dbrx", "trillion", "stablelm2"]
BLOCK = 100

WORDS = ["the", "The", "hello", "world", "HELLO", "token", "izer", "unbelievable", "don", "func", "return", "i", "x1",
         "straße", "привет", "日本語", "こんにちは", "한국어", "नमस्ते", "สวัสดี", "العربية", "na\u00efve", "a\u0308",
         "\u212b", "\ufb01", "\u0130", "\u212a", "\u017f"]
BITS = ["'s", "'S", "'t", "'re", "'RE", "'Ve", "'m", "'ll", "'lL", "'d", "'", "''", "\u2019s", "==", "!=", "->", "/*",
        "...", "\n\n", "\r\n", "    ", "\t\t", "\u3000", "\u00a0", "\u2028", "\u0085", "\u180e", "\u200b", "\u200d", "\ufe0f",
        "<|im_end|>", "<|im_start|>", "<|endoftext|>", "</s>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "<|end|>",
        "<|user|>", "<0x0A>", "▁", "##", "[PAD100015]", "<｜end▁of▁sentence｜>", "ø", "Ġ", "`", "$", "\uffff", "\x00", "\ufffd"]
RANGES = [(0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x30, 0x39), (0xA0, 0x24F), (0x250, 0x52F), (0x300, 0x36F),
          (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0x1CFF), (0x1D00, 0x2BFF), (0x3000, 0x30FF), (0x3400, 0x9FFF),
          (0xAC00, 0xD7FF), (0xF900, 0xFFFF), (0x10000, 0x1FFFF), (0x1F300, 0x1FAFF), (0x20000, 0x3FFFF),
          (0x40000, 0x10FFFF), (0x0, 0x10FFFF)]


class Generator:
    """The same texts as textGenerator in compare_test.go."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        """SplitMix64."""
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return (z ^ (z >> 31)) % n

    def text(self):
        out = bytearray()
        for _ in range(1 + self.below(24)):
            kind = self.below(16)
            if kind < 4:
                out += WORDS[self.below(len(WORDS))].encode()
            elif kind < 6:
                out += BITS[self.below(len(BITS))].encode()
            elif kind < 9:
                out += b" "
            elif kind < 14:
                first, last = RANGES[self.below(len(RANGES))]
                for _ in range(1 + self.below(4)):
                    out += chr(first + self.below(last - first + 1)).encode("utf-8", "surrogatepass")
            elif kind == 14:
                out += chr(0x09 + self.below(0x18)).encode() * (1 + self.below(3))
            else:
                # A byte that is no text by itself, but not one that can start a sequence beyond U+10FFFF, which
                # llama.cpp ends the process for.
                for _ in range(1 + self.below(3)):
                    b = 0x80 + self.below(0x80)
                    out.append(b if b < 0xF4 or b > 0xF7 else 0xC0)
        return bytes(out)


class Vocab:
    def __init__(self, path):
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            sys.exit("cannot load " + path)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.ids = (llama_cpp.llama_token * 65536)()
        self.text = ctypes.create_string_buffer(1 << 20)

    def close(self):
        llama_cpp.llama_model_free(self.model)

    def line(self, text, add, parse):
        n = llama_cpp.llama_tokenize(self.vocab, text, len(text), self.ids, len(self.ids), add, parse)
        # The options of decoding follow those of encoding.
        m = llama_cpp.llama_detokenize(self.vocab, self.ids, n, self.text, len(self.text), add, parse)
        assert n >= 0 and m >= 0
        return ",".join(map(str, self.ids[:n])) + " " + self.text.raw[:m].hex() + "\n"

    def properties(self):
        v = self.vocab
        return {
            "eog": [i for i in range(llama_cpp.llama_vocab_n_tokens(v)) if llama_cpp.llama_vocab_is_eog(v, i)],
            "special": {
                "bos": llama_cpp.llama_vocab_bos(v), "eos": llama_cpp.llama_vocab_eos(v),
                "sep": llama_cpp.llama_vocab_sep(v), "pad": llama_cpp.llama_vocab_pad(v),
                "mask": llama_cpp.llama_vocab_mask(v),
            },
            "add_bos": llama_cpp.llama_vocab_get_add_bos(v), "add_eos": llama_cpp.llama_vocab_get_add_eos(v),
        }


def with_pre(path, pre, out):
    """Copies a vocabulary, with another pre-tokenizer."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = pre if name == "tokenizer.ggml.pre" else field.contents()
        kind = field.types[0]
        writer.add_key_value(name, value, kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def run(path, seed, texts, dump):
    vocab, generator = Vocab(path), Generator(seed)
    hashes, block = [], hashlib.sha256()
    for i in range(texts):
        line = vocab.line(generator.text(), i & 1 != 0, i & 2 != 0).encode()
        if dump:
            dump.write(line)
        block.update(line)
        if (i + 1) % BLOCK == 0:
            hashes.append(block.hexdigest()[:16])
            block = hashlib.sha256()
    result = {"seed": seed, "blocks": hashes, **vocab.properties()}
    vocab.close()
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fixtures")
    parser.add_argument("model")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--dump")
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    llama_cpp.llama_log_set(log, None)

    def fixture(name):
        return os.path.join(args.fixtures, "ggml-vocab-" + name + ".gguf")

    results = []
    with tempfile.TemporaryDirectory() as folder:
        cases = [(name, "", fixture(name)) for name in FIXTURES] + [("model", "", args.model)]
        for pre in PRES:
            path = os.path.join(folder, pre + ".gguf")
            with_pre(fixture("gpt-2"), pre, path)
            cases.append(("gpt-2", pre, path))
        for seed, (name, pre, path) in enumerate(cases, 1):
            if args.only and f"{name}.{pre}" not in args.only:
                continue
            print(name, pre, file=sys.stderr)
            dump = open(os.path.join(args.dump, f"{name}.{pre}.txt"), "wb") if args.dump else None
            results.append({"vocab": name, "pre": pre, **run(path, seed, args.texts, dump)})
            if dump:
                dump.close()
    if not args.dump:
        out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_cpp.json")
        with open(out, "w") as f:
            f.write("{" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in
                                     {"words": WORDS, "bits": BITS, "ranges": RANGES, "block": BLOCK}.items()))
            f.write(',\n"results": [\n' + ",\n".join(json.dumps(r) for r in results) + "\n]}\n")


main()
