#!/usr/bin/env python3
"""Writes llamacpp.json: what llama.cpp's samplers leave of made-up logits after each stage.

Made with Python 3.11 and llama-cpp-python 0.3.36 (the llama.cpp it vendors), from this folder:

    pip install llama-cpp-python==0.3.36
    python make_goldens.py > llamacpp.json

The logits are made of integers, so that the Go test makes the same ones bit for bit.
"""

import ctypes
import json
import sys

import llama_cpp as lc

MASK = (1 << 64) - 1


def splitmix(seed):
    """The generator of random.go."""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        yield z ^ z >> 31


def make_logits(vocab, seed, shift):
    """Bell-shaped, exact in float32: 24-bit integers over 2^(18+shift), from -32 to 32 where shift is 0."""
    random, out = splitmix(seed), []
    for _ in range(vocab):
        a, b = next(random), next(random)
        k = sum(a >> s & 0xFFFF for s in (0, 16, 32, 48)) << 6 | b & 63
        out.append((k - (1 << 23)) / 2 ** (18 + shift))
    return out


def run(case):
    logits = make_logits(case["vocab"], case["seed"], case["shift"])
    order = sorted(range(len(logits)), key=lambda i: -logits[i])
    # Recent tokens that matter: probable ones, some twice, some improbable ones, and more than fit into last_n.
    case["history"] = [order[i] for i in case.pop("ranks")]
    case["bias"] = {str(order[i]): b for i, b in case.pop("bias_ranks").items()}

    data = (lc.llama_token_data * len(logits))()
    for i, logit in enumerate(logits):
        data[i].id, data[i].logit, data[i].p = i, logit, 0.0
    array = lc.llama_token_data_array(data=data, size=len(logits), selected=-1, sorted=False)

    def apply(sampler):
        lc.llama_sampler_apply(sampler, ctypes.byref(array))
        lc.llama_sampler_free(sampler)

    def ids():
        return [array.data[i].id for i in range(array.size)]

    biases = (lc.llama_logit_bias * max(len(case["bias"]), 1))()
    for i, (token, bias) in enumerate(case["bias"].items()):
        biases[i].token, biases[i].bias = int(token), bias
    apply(lc.llama_sampler_init_logit_bias(len(logits), len(case["bias"]), biases))

    penalties = lc.llama_sampler_init_penalties(
        len(logits), case["last_n"], case["repeat"], case["frequency"], case["presence"]
    )
    for token in case["history"]:
        lc.llama_sampler_accept(penalties, token)
    apply(penalties)
    touched = sorted(set(case["history"]) | {int(t) for t in case["bias"]})
    now = {array.data[i].id: array.data[i].logit for i in range(array.size)}
    case["adjusted"] = {str(t): now[t] for t in touched}

    apply(lc.llama_sampler_init_top_k(case["top_k"]))
    case["after_top_k"] = ids() if case["top_k"] else []
    apply(lc.llama_sampler_init_top_p(case["top_p"], 0))
    case["top_p_keeps"] = array.size
    apply(lc.llama_sampler_init_min_p(case["min_p"], 0))
    apply(lc.llama_sampler_init_temp(case["temp"]))
    apply(lc.llama_sampler_init_dist(1))
    kept = sorted((-array.data[i].p, array.data[i].id) for i in range(array.size))
    case["final"] = [i for _, i in kept]
    case["probabilities"] = [float(f"{-p:.8g}") for p, _ in kept[:64]]
    return case


def case(name, vocab=49152, shift=0, top_k=40, top_p=0.95, min_p=0.05, temp=0.8, repeat=1.0, frequency=0.0,
         presence=0.0, last_n=64, ranks=(), bias_ranks=None):
    return dict(name=name, vocab=vocab, shift=shift, top_k=top_k, top_p=top_p, min_p=min_p, temp=temp, repeat=repeat,
                frequency=frequency, presence=presence, last_n=last_n, ranks=list(ranks), bias_ranks=bias_ranks or {})


CASES = [
    case("defaults"),
    case("defaults, flat", shift=3),
    case("defaults, flatter", shift=5),
    case("top-k only", top_k=100, top_p=1.0, min_p=0.0, shift=3),
    case("top-k 1", top_k=1, shift=3),
    case("top-p only", top_k=0, top_p=0.9, min_p=0.0, shift=1),
    case("top-p only, hundreds", top_k=0, top_p=0.7, min_p=0.0, shift=1),
    case("top-p 0", top_k=0, top_p=0.0, min_p=0.0, shift=3),
    case("min-p only", top_k=0, top_p=1.0, min_p=0.02, shift=1),
    case("min-p 1", top_k=0, top_p=1.0, min_p=1.0, shift=2),
    case("hot", temp=2.5, shift=2),
    case("cold", temp=0.05, shift=3),
    case("repeat", repeat=1.3, ranks=[0, 1, 1, 2, 30, 49151, 25000], shift=2),
    case("repeat below 1", repeat=0.7, ranks=[0, 50, 50, 60], shift=2),
    case("frequency and presence", frequency=0.4, presence=0.7, ranks=[3, 0, 1, 0, 2, 0, 49151], shift=3),
    case("all penalties, short window", repeat=1.1, frequency=0.3, presence=0.2, last_n=4, ranks=[0, 1, 2, 3, 2, 4, 2], shift=3),
    case("penalties off by last_n", repeat=1.5, last_n=0, ranks=[0, 1, 2], shift=3),
    case("bias", bias_ranks={0: -100.0, 1: -2.5, 2000: 100.0, 7: 3.25}, shift=2),
    case("everything", repeat=1.2, frequency=0.1, presence=0.1, ranks=[0, 1, 0, 5], bias_ranks={0: 1.5, 9: 4.0}, top_k=64,
         top_p=0.9, min_p=0.01, temp=1.3, shift=3),
    case("small vocabulary", vocab=300, top_k=50, shift=3),
    case("top-k beyond the vocabulary", vocab=30, top_k=50, top_p=0.99, min_p=0.0, shift=3),
    case("150k vocabulary", vocab=151936, shift=2),
    case("150k vocabulary, no top-k", vocab=151936, top_k=0, shift=0),
]


def main():
    out = []
    for seed, c in enumerate(CASES, start=1):
        c["seed"] = seed
        out.append(run(c))
    json.dump({"llama_cpp_python": lc.__version__, "cases": out}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
