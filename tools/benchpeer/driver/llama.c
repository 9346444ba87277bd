// Measures llama.cpp the way `realm bench` measures Realm, and prints the same JSON members: the shared libraries are
// those that node-llama-cpp ships, without its JavaScript in the loop. It is compiled against llama.h of the very
// release that they were built from, so struct layouts are the compiler's business.
//
// One process is one sample of each speed: a prefill of -p tokens behind -d tokens after one to warm up, then -n decoded
// tokens in each of -b sequences behind -d tokens, after one token to warm up. Token IDs are arbitrary but
// fixed; logits are waited for and nothing is sampled. Settings are the peer's best: flash attention, F16 cache, a
// mapped file, repacked weights, a thread pool that outlives the graphs, and a cache for each sequence.

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "llama.h"

enum { CHUNK = 512 }; // tokens of a prompt computed at a time

static struct {
    const char * model;    // -m: GGUF file
    const char * backends; // -l: folder of the libggml-cpu-*.so
    const char * backend;  // -c: the one of them to use, such as "haswell"; NULL for the best that the CPU can run
    bool no_pool;          // -o: threads of each graph's own
    int threads, prompt, decode, depth, sequences;
} opt = {.threads = 1, .sequences = 1};

static void die(const char * format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void log_errors(enum ggml_log_level level, const char * text, void * data) {
    (void) data;
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

// status_bytes reads one line of /proc/self/status, which is in kB.
static long long status_bytes(const char * key) {
    FILE * f = fopen("/proc/self/status", "r");
    char line[256];
    long long kb = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kb = strtoll(line + strlen(key) + 1, NULL, 10);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kb * 1024;
}

// mapped_backend finds which CPU backend was loaded: its file name without "libggml-cpu-" and ".so".
static void mapped_backend(char * name, size_t size) {
    static const char prefix[] = "libggml-cpu-";
    FILE * f = fopen("/proc/self/maps", "r");
    char line[4096];
    snprintf(name, size, "unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char * at = strstr(line, prefix);
        if (at != NULL) {
            at += sizeof prefix - 1;
            snprintf(name, size, "%.*s", (int) strcspn(at, ".\n"), at);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

// load_backend loads the CPU backend that was asked for, or the best.
static ggml_backend_reg_t load_backend(void) {
    if (opt.backend == NULL) {
        ggml_backend_load_all_from_path(opt.backends);
    } else {
        char path[4096];
        snprintf(path, sizeof path, "%s/libggml-cpu-%s.so", opt.backends, opt.backend);
        if (ggml_backend_load(path) == NULL) {
            die("no CPU backend %s that runs here", opt.backend);
        }
    }
    ggml_backend_reg_t reg = ggml_backend_reg_by_name("CPU");
    if (reg == NULL) {
        die("no CPU backend in %s", opt.backends);
    }
    return reg;
}

typedef ggml_threadpool_t (*new_pool)(struct ggml_threadpool_params *);

// attach_pool gives the context threads that stay, as llama.cpp's own llama-bench does. Without it each graph starts
// and joins its own.
static void attach_pool(struct llama_context * ctx, ggml_backend_reg_t cpu) {
    new_pool make = (new_pool) ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_new");
    struct ggml_threadpool_params params = ggml_threadpool_params_default(opt.threads);
    ggml_threadpool_t pool = make == NULL ? NULL : make(&params);
    if (pool == NULL) {
        die("no thread pool");
    }
    llama_attach_threadpool(ctx, pool, pool);
}

// token makes an arbitrary token ID for a place in a sequence (the multiplier is Knuth's, 2^32 by the golden ratio).
static llama_token token(int sequence, int position, int vocab) {
    uint32_t hash = (uint32_t) (sequence * 8191 + position + 1) * 2654435761u;
    return (llama_token) (((uint64_t) hash * (uint32_t) vocab) >> 32);
}

static void add(struct llama_batch * batch, llama_token id, int position, int sequence, bool logits) {
    int i = batch->n_tokens++;
    batch->token[i] = id;
    batch->pos[i] = position;
    batch->n_seq_id[i] = 1;
    batch->seq_id[i][0] = sequence;
    batch->logits[i] = logits;
}

// compute runs the batch, waits for its logits and empties it.
static void compute(struct llama_context * ctx, struct llama_batch * batch) {
    if (llama_decode(ctx, *batch) != 0) {
        die("llama_decode failed at %d tokens", batch->n_tokens);
    }
    if (llama_get_logits_ith(ctx, -1) == NULL) {
        die("no logits");
    }
    batch->n_tokens = 0;
}

// prefill computes n tokens of a sequence from position start, where it is cut, logits for the last of them only.
static void prefill(struct llama_context * ctx, struct llama_batch * batch, int sequence, int start, int n, int vocab) {
    llama_memory_seq_rm(llama_get_memory(ctx), sequence, start, -1);
    for (int at = start; at < start + n; at++) {
        add(batch, token(sequence, at, vocab), at, sequence, at == start + n - 1);
        if (batch->n_tokens == CHUNK && at < start + n - 1) {
            if (llama_decode(ctx, *batch) != 0) {
                die("llama_decode failed at position %d", at);
            }
            batch->n_tokens = 0;
        }
    }
    if (n > 0) {
        compute(ctx, batch);
    }
}

// decode computes n tokens one at a time in all sequences at once, each behind the tokens of its depth.
static void decode(struct llama_context * ctx, struct llama_batch * batch, int n, int vocab) {
    for (int s = 0; s < opt.sequences; s++) {
        llama_memory_seq_rm(llama_get_memory(ctx), s, opt.depth, -1);
    }
    for (int at = opt.depth; at < opt.depth + n; at++) {
        for (int s = 0; s < opt.sequences; s++) {
            add(batch, token(s, at, vocab), at, s, true);
        }
        compute(ctx, batch);
    }
}

static void parse_options(int argc, char ** argv) {
    for (int c; (c = getopt(argc, argv, "m:l:c:ot:p:n:d:b:")) != -1;) {
        switch (c) {
            case 'm': opt.model = optarg; break;
            case 'l': opt.backends = optarg; break;
            case 'c': opt.backend = optarg; break;
            case 'o': opt.no_pool = true; break;
            case 't': opt.threads = atoi(optarg); break;
            case 'p': opt.prompt = atoi(optarg); break;
            case 'n': opt.decode = atoi(optarg); break;
            case 'd': opt.depth = atoi(optarg); break;
            case 'b': opt.sequences = atoi(optarg); break;
            default: exit(2);
        }
    }
    if (opt.model == NULL || opt.backends == NULL || opt.threads < 1 || opt.sequences < 1 || opt.sequences > CHUNK ||
        opt.prompt < 0 || opt.decode < 0 || opt.depth < 0) {
        die("usage: driver -m FILE -l FOLDER [-c BACKEND] [-o] [-t N] [-p N] [-n N] [-d N] [-b N]");
    }
}

int main(int argc, char ** argv) {
    parse_options(argc, argv);
    llama_log_set(log_errors, NULL);
    double start = now_ms();
    ggml_backend_reg_t cpu = load_backend();
    llama_backend_init();
    struct llama_model_params mp = llama_model_default_params();
    struct llama_model * model = llama_model_load_from_file(opt.model, mp);
    if (model == NULL) {
        die("%s cannot be loaded", opt.model);
    }
    double load_ms = now_ms() - start;
    int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));

    start = now_ms();
    int length = opt.depth + (opt.decode > opt.prompt ? opt.decode : opt.prompt);
    struct llama_context_params cp = llama_context_default_params();
    cp.n_ctx = (uint32_t) ((length + 255) / 256 * 256 * opt.sequences); // a sequence's share is a multiple of 256
    cp.n_batch = cp.n_ubatch = CHUNK;
    cp.n_seq_max = (uint32_t) opt.sequences;
    cp.n_threads = cp.n_threads_batch = opt.threads;
    cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    cp.kv_unified = false;
    cp.no_perf = true;
    struct llama_context * ctx = llama_init_from_model(model, cp);
    if (ctx == NULL) {
        die("no context of %u tokens", cp.n_ctx);
    }
    if (!opt.no_pool) {
        attach_pool(ctx, cpu);
    }
    struct llama_batch batch = llama_batch_init(CHUNK, 0, 1);
    double prepare_ms = now_ms() - start;

    double warmup_ms = 0, prefill_tps = 0, decode_tps = 0;
    if (opt.prompt > 0) {
        prefill(ctx, &batch, 0, 0, opt.depth, vocab);
        start = now_ms();
        prefill(ctx, &batch, 0, opt.depth, opt.prompt, vocab);
        warmup_ms = now_ms() - start;
        start = now_ms();
        prefill(ctx, &batch, 0, opt.depth, opt.prompt, vocab);
        prefill_tps = opt.prompt * 1e3 / (now_ms() - start);
    }
    if (opt.decode > 0) {
        for (int s = opt.prompt > 0 ? 1 : 0; s < opt.sequences; s++) { // the prefill has left its tokens in sequence 0
            prefill(ctx, &batch, s, 0, opt.depth, vocab);
        }
        decode(ctx, &batch, 1, vocab);
        start = now_ms();
        decode(ctx, &batch, opt.decode, vocab);
        decode_tps = (double) opt.decode * opt.sequences * 1e3 / (now_ms() - start);
    }

    char backend[256];
    mapped_backend(backend, sizeof backend);
    printf("{\"load_ms\":%.3f,\"prepare_ms\":%.3f,\"warmup_ms\":%.3f,\"prefill_tps\":%.4f,\"decode_tps\":%.4f,"
           "\"peak_bytes\":%lld,\"resident_bytes\":%lld,\"anonymous_bytes\":%lld,"
           "\"backend\":\"%s\",\"system\":\"%s\"}\n",
           load_ms, prepare_ms, warmup_ms, prefill_tps, decode_tps,
           status_bytes("VmHWM"), status_bytes("VmRSS"), status_bytes("RssAnon"), backend,
           llama_print_system_info());
    return 0; // the system takes the model's memory back sooner than llama.cpp would
}
