package main

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

// defaultSystem is the system message of a chat without --system.
const defaultSystem = "You are a helpful AI assistant."

const runHelp = `
Without --raw, TEXT is a user's message, and the model's chat template makes the prompt of it. With --raw the model goes
on with TEXT itself. Only the answer is printed, as it comes.

The loop that answers, from the chat template to the sampler, runs in a guest: a WebAssembly module of a few MB that the
program brings along, with limits on its memory and its fuel. It has no access to the weights. --guest FILE runs one of
your own, --native none. A chat has a new guest for each answer, and goes on from what the host computed for the last.

Without -p, each line of standard input is a message of one conversation. On a terminal Ctrl-C stops an answer, and
/help lists what else there is; otherwise there are no prompts, and the first failure ends it.

The same model, prompt and flags give the same bytes. For that the defaults are the most probable token at each step
(--temp 0) and a fixed seed. With --temp 0.8 the defaults are those of llama.cpp; another answer comes with another
--seed.

A chat without --system begins with the system message "You are a helpful AI assistant.", as in node-llama-cpp. The one
that a template brings along can make a small model worse: SmolLM2-135M, quantized to 4 bits, answers its own in broken
French, under llama.cpp too. --system "" leaves the matter to the template, and templates that take no system message
get none.

  realm run -m model.gguf -p "What is the capital of France?"
  realm run -m model.gguf --raw -p "Once upon a time" -n 64 --temp 0.8 --seed 7
  realm run -m model.gguf --json --logprobs 3 -p - < question.txt

With --json one object is printed at the end: text, tokens, prompt_tokens, finish_reason ("stop" or "length"), usage,
timings, memory, model, settings, guest (memory_bytes, weight_bytes, fuel, host_calls) and, where asked for, logits_sha256 and logprobs. If the command fails nothing is; the
exit code and standard error say why.`

// maxText is how much is read from standard input: tokenizers take no more.
const maxText = 256 << 20

// run is a run of `realm run`.
type run struct {
	command *cli.Command
	env     *cli.Env
	modelFlags

	prompt, promptFile string
	raw                bool
	system             string
	request            realm.Request
	sampling           realm.Sampling
	json, hashLogits   bool
	verbose            bool
	guestFlags         guestFlags

	opened
	guest *loadedGuest // nil where the answer is native
}

func runCommand() *cli.Command {
	r := &run{sampling: realm.DefaultSampling()}
	r.sampling.Temperature = 0
	c := &cli.Command{
		Name:  "run",
		Short: "generate text, or chat",
		Usage: []string{"run -m MODEL -p TEXT [flags]", "run -m MODEL [flags]            chat"},
		Long:  runHelp,
	}
	r.command = c
	c.Run = func(ctx context.Context, env *cli.Env, _ []string) error {
		r.env = env
		return r.main(ctx)
	}
	r.declare(&c.Flags)
	return c
}

func (r *run) declare(f *cli.Flags) {
	f.Group("Model")
	r.modelFlags.declare(f)

	f.Group("Prompt")
	f.String(&r.prompt, "p, prompt", "TEXT", "the prompt; - reads it from standard input")
	f.String(&r.promptFile, "prompt-file", "FILE", "read the prompt from a file. A newline at its end is dropped, as for -p -")
	f.String(&r.system, "system", "TEXT", `system message; "" for none of ours`)
	f.Bool(&r.raw, "raw", "go on with the prompt, without the chat template")
	f.Bool(&r.request.ParseSpecial, "parse-special", "with --raw, read the texts of control tokens as these tokens")

	f.Group("Answer")
	f.Int(&r.request.MaxTokens, "n, max-tokens", "tokens of the answer at most; 0 for as many as the context length holds")
	f.Strings(&r.request.Stop, "stop", "TEXT", "end the answer before this text")
	f.Bool(&r.request.IgnoreEndOfGeneration, "ignore-eos", "go on when the model ends its answer")
	f.Bool(&r.request.Special, "special", "print control tokens")
	f.Bool(&r.request.Shift, "shift", "when the context length is full, drop the older half of it rather than end")
	f.Int(&r.request.Keep, "keep", "with --shift, tokens at the start that stay")

	f.Group("Sampling, in llama.cpp's order")
	f.Func("logit-bias", "ID=BIAS", "add BIAS to the logit of a token ID; -inf bans it; may be repeated", "", r.addBias)
	f.Float32(&r.sampling.RepeatPenalty, "repeat-penalty", "divide logits of recent tokens by it; 1 is off")
	f.Float32(&r.sampling.FrequencyPenalty, "frequency-penalty", "subtract it from logits for each recent occurrence; 0 is off")
	f.Float32(&r.sampling.PresencePenalty, "presence-penalty", "subtract it from logits of recent tokens; 0 is off")
	f.Int(&r.sampling.RepeatLastN, "repeat-last-n", "how many tokens are recent; -1 for all")
	f.Int(&r.sampling.TopK, "top-k", "keep the K most probable tokens; 0 for all")
	f.Float32(&r.sampling.TopP, "top-p", "keep the most probable tokens that together reach P; 1 for all")
	f.Float32(&r.sampling.MinP, "min-p", "keep tokens at least P times as probable as the first; 0 for all")
	f.Float32(&r.sampling.Temperature, "temp", "temperature; 0, the default, takes the most probable token")
	f.Uint64(&r.sampling.Seed, "seed", "seed of the draw, 0 if not given")

	f.Group("Guest")
	r.guestFlags.declare(f)

	f.Group("Output")
	f.Bool(&r.json, "json", "print one JSON object at the end")
	f.Int(&r.sampling.TopLogprobs, "logprobs", "with --json, the log-probability of each token and of the N most probable ones")
	f.Bool(&r.hashLogits, "hash-logits", "with --json, the SHA-256 over the logits of every step, in little-endian float32")
	f.Bool(&r.verbose, "v, verbose", "print speeds to standard error, as on a terminal, and what memory the guest took")
}

func (r *run) addBias(s string) error {
	token, bias, ok := strings.Cut(s, "=")
	id, err := strconv.ParseInt(token, 10, 32)
	value, err2 := cli.ParseFloat32(bias)
	if !ok || err != nil || err2 != nil || id < 0 {
		return errors.New("want ID=BIAS, such as 42=-1.5")
	}
	if r.sampling.LogitBias == nil {
		r.sampling.LogitBias = map[int32]float32{}
	}
	r.sampling.LogitBias[int32(id)] = value
	return nil
}

// prompted reports whether there is a prompt; else it is a chat.
func (r *run) prompted() bool {
	return r.command.Flags.Given("p") || r.command.Flags.Given("prompt-file")
}

// check finds flags that contradict one another, and completes the request.
func (r *run) check() error {
	f, usage := &r.command.Flags, r.command.Usagef
	r.request.Sampling = &r.sampling
	r.request.Logprobs = f.Given("logprobs")
	switch {
	case f.Given("p") && f.Given("prompt-file"):
		return usage("-p and --prompt-file are both the prompt: give one")
	case r.raw && !r.prompted():
		return usage("--raw needs a prompt: -p TEXT, -p - or --prompt-file FILE")
	case r.json && !r.prompted():
		return usage("--json needs a prompt: -p TEXT, -p - or --prompt-file FILE")
	case r.raw && f.Given("system"):
		return usage("--system belongs to the chat template, which --raw leaves out")
	case r.request.ParseSpecial && !r.raw:
		return usage("--parse-special needs --raw: in a chat, control tokens come from the template")
	case r.request.Keep != 0 && !r.request.Shift:
		return usage("--keep needs --shift")
	case !r.json && (r.hashLogits || r.request.Logprobs):
		return usage("--hash-logits and --logprobs need --json")
	case slices.Contains(r.request.Stop, ""):
		return usage("--stop needs a text that is not empty")
	}
	r.request.MaxTokens = max(0, r.request.MaxTokens) // -1 is no limit too, as in llama.cpp
	if err := r.guestFlags.check(r.command); err != nil {
		return err
	}
	return r.modelFlags.check(r.command)
}

// readPrompt returns the prompt that -p or --prompt-file gives.
func (r *run) readPrompt(ctx context.Context) (prompt string, err error) {
	switch {
	case r.command.Flags.Given("prompt-file"):
		data, err := os.ReadFile(r.promptFile)
		if err != nil {
			return "", cli.FileError(err)
		}
		prompt = string(data)
	case r.prompt == "-":
		if prompt, err = r.env.ReadAll(ctx, maxText); err != nil {
			return "", err
		}
	default:
		return r.prompt, nil
	}
	return strings.TrimSuffix(strings.TrimSuffix(prompt, "\n"), "\r"), nil
}

func (r *run) main(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if !r.prompted() {
		return r.chat(ctx)
	}
	ctx, stop := r.env.Cancelable(ctx)
	defer stop()
	prompt, err := r.readPrompt(ctx)
	if err != nil {
		return err
	}
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.close()
	request := r.request
	if r.raw {
		request.Prompt = prompt
		return r.once(ctx, request)
	}
	system, err := r.systemMessages()
	if err != nil {
		return err
	}
	request.Messages = append(system, realm.Message{Role: "user", Content: prompt})
	return r.once(ctx, request)
}

func (r *run) open(ctx context.Context) error {
	var err error
	if !r.guestFlags.native {
		if r.guest, err = r.guestFlags.load(ctx); err != nil {
			return err
		}
	}
	if r.opened, err = r.modelFlags.open(ctx, r.env); err != nil {
		if r.guest != nil {
			r.guest.close()
		}
		return err
	}
	if reason := r.model.Info().TemplateError; reason != nil && !r.raw {
		r.env.Note("realm: the model's chat template cannot be used, so ChatML takes its place: %v", reason)
	}
	return nil
}

func (r *run) close() {
	if r.guest != nil {
		r.guest.close()
	}
	_ = r.model.Close()
}

// systemMessages returns what a conversation begins with.
func (r *run) systemMessages() ([]realm.Message, error) {
	if r.command.Flags.Given("system") {
		if r.system == "" {
			return nil, nil
		}
		return []realm.Message{{Role: "system", Content: r.system}}, nil
	}
	system := []realm.Message{{Role: "system", Content: defaultSystem}}
	_, _, err := r.model.Prompt(append(system, realm.Message{Role: "user", Content: "Hello"}), nil)
	if realm.CodeOf(err) == realm.CodeInvalidArgument {
		return nil, nil // the template has no place for it
	}
	return system, err
}

// settings lists what the answer depends on, and the threads.
func (r *run) settings(request *realm.Request) cli.RunSettings {
	i, s := r.model.Info(), r.sampling
	out := cli.RunSettings{
		Threads: i.Threads, ContextLength: i.ContextLength, CacheType: r.cacheType, MaxTokens: request.MaxTokens, Raw: r.raw,
		Stop: append([]string{}, request.Stop...), Seed: s.Seed, Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP,
		MinP: s.MinP, RepeatPenalty: s.RepeatPenalty, FrequencyPenalty: s.FrequencyPenalty,
		PresencePenalty: s.PresencePenalty, RepeatLastN: s.RepeatLastN, LogitBias: map[int32]*float32{},
	}
	if len(request.Messages) > 0 && request.Messages[0].Role == "system" {
		out.System = &request.Messages[0].Content
	}
	for id, bias := range s.LogitBias {
		out.LogitBias[id] = &bias
		if math.IsInf(float64(bias), 0) {
			out.LogitBias[id] = nil
		}
	}
	return out
}
