// Measures node-llama-cpp by its public API, as a program written for it would: the same flags and the same JSON as
// llama.c, but its evaluate() samples (the most probable token), since it has no way to wait for logits alone.

import {readFileSync} from "node:fs";
import {parseArgs} from "node:util";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const flags = [..."mtpndb"].map((name) => [name, {type: "string", short: name}]);
const {values} = parseArgs({options: Object.fromEntries(flags)});
const {m: modelPath, t = 1, p = 0, n: generated = 0, d = 0, b = 1} = values;
const [threads, prompt, decoded, depth, sequences] = [t, p, generated, d, b].map(Number);
const sampling = {temperature: 0, yieldEogToken: true};

let start = performance.now();
const llama = await getLlama({
    gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error, progressLogs: false
});
const model = await llama.loadModel({modelPath});
const loadMs = performance.now() - start;

start = performance.now();
const contextSize = Math.ceil((depth + Math.max(prompt, decoded) + 2) / 256) * 256;
const context = await model.createContext({
    contextSize, sequences, threads: {ideal: threads, min: threads}, batchSize: 512, flashAttention: true
});
const all = Array.from({length: sequences}, () => context.getSequence());
const prepareMs = performance.now() - start;

// The vocabularies of both synthetic models are far larger than this.
const tokens = (sequence, n) => Array.from({length: n}, (_, i) => 300 + (sequence * 8191 + (i + 1) * 7919) % 20000);

// generate computes the tokens, and takes n tokens behind them: n computations, the first of all the tokens.
async function generate(sequence, input, n) {
    for await (const _ of sequence.evaluate(input, sampling)) {
        if (--n <= 0)
            return;
    }
    throw new Error("generation ended early");
}

// deepen leaves depth tokens in a sequence.
async function deepen(sequence, i) {
    if (sequence.nextTokenIndex > depth)
        await sequence.eraseContextTokenRanges([{start: depth, end: sequence.nextTokenIndex}]);
    else if (sequence.nextTokenIndex < depth)
        await sequence.evaluateWithoutGeneratingNewTokens(tokens(i, depth));
}

async function prefill() {
    await deepen(all[0], 0);
    const begin = performance.now();
    await generate(all[0], tokens(200, prompt), 1);
    return performance.now() - begin;
}

async function decode(n) {
    for (const [i, sequence] of all.entries())
        await deepen(sequence, i);
    const begin = performance.now();
    await Promise.all(all.map((sequence, i) => generate(sequence, tokens(i + 100, 1), n)));
    return performance.now() - begin;
}

let warmupMs = 0, prefillTps = 0, decodeTps = 0;
if (prompt > 0) {
    warmupMs = await prefill();
    prefillTps = prompt * 1e3 / await prefill();
}
if (decoded > 0) {
    await decode(1);
    decodeTps = decoded * sequences * 1e3 / await decode(decoded);
}

const status = readFileSync("/proc/self/status", "utf8");
const bytes = (key) => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024;
const backend = /libggml-cpu-([^./]+)/.exec(readFileSync("/proc/self/maps", "utf8"))?.[1] ?? "unknown";
console.log(JSON.stringify({
    load_ms: loadMs, prepare_ms: prepareMs, warmup_ms: warmupMs, prefill_tps: prefillTps, decode_tps: decodeTps,
    peak_bytes: bytes("VmHWM"), resident_bytes: bytes("VmRSS"), anonymous_bytes: bytes("RssAnon"), backend
}));
process.exit(0);
