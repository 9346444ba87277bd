package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

const benchHelp = `
Measures what llama-bench calls pp and tg. Prefill (pp): a prompt of -p tokens is computed into an empty session.
Decode (tg): -n tokens are computed one at a time, beginning with BOS in an empty session, or behind -d tokens that do
not count. With -b, that many sessions do so at once, and the speed is that of all of them together. Token IDs are
random with a fixed seed; nothing is sampled. Each is run once to warm up, decode for one token, and then -r times;
speeds are the mean of the repetitions, with their sample standard deviation.

--json prints one object: prefill_tps, decode_tps (null where skipped), their _stddev and _samples, load_ms, prepare_ms
(to bring the weights into the form that the processor wants), peak_bytes, resident_bytes, anonymous_bytes (resident,
but of no file), model and settings.`

const (
	benchSeed   = 1 // fixes the token IDs
	maxSessions = 256
)

// bench is a run of `realm bench`.
type bench struct {
	modelFlags
	settings cli.BenchSettings
	tokens   []int32 // BOS if there is one, then random ones

	sessions []*realm.Session

	mu       sync.Mutex // guards what follows
	progress *cli.Progress
	done     int64 // tokens of all runs
	total    int64
}

func benchCommand() *cli.Command {
	c := &cli.Command{
		Name:  "bench",
		Short: "measure prompt and decode speed",
		Usage: []string{"bench -m FILE [flags]"},
		Long:  benchHelp,
	}
	b := &bench{settings: cli.BenchSettings{PromptTokens: 512, DecodeTokens: 128, Repetitions: 3, Sessions: 1}}
	asJSON := false
	c.Flags.Int(&b.settings.PromptTokens, "p, n-prompt", "tokens of the prompt; 0 skips prefill")
	c.Flags.Int(&b.settings.DecodeTokens, "n, n-gen", "tokens to decode; 0 skips decode")
	c.Flags.Int(&b.settings.Depth, "d, depth", "tokens that each session holds before it decodes")
	c.Flags.Int(&b.settings.Sessions, "b, sessions", "sessions that decode at once")
	c.Flags.Int(&b.settings.Repetitions, "r, repetitions", "repetitions of each")
	c.Flags.Bool(&asJSON, "json", "print one JSON object")
	c.Flags.Group("Model")
	b.declare(&c.Flags)
	c.Run = func(ctx context.Context, env *cli.Env, _ []string) error {
		s := &b.settings
		if s.PromptTokens < 0 || s.DecodeTokens < 0 || s.Depth < 0 || s.Repetitions < 1 || s.Sessions < 1 || s.Sessions > maxSessions {
			return c.Usagef("want -p, -n and -d from 0 on, -r from 1 on, and -b from 1 to %d", maxSessions)
		}
		if err := b.check(c); err != nil {
			return err
		}
		ctx, stop := env.Cancelable(ctx)
		defer stop()
		result, err := b.run(ctx, env)
		if err != nil {
			return err
		}
		if asJSON {
			return env.WriteJSON(result)
		}
		return writeBench(env, result)
	}
	return c
}

func (b *bench) run(ctx context.Context, env *cli.Env) (*cli.BenchResult, error) {
	o, err := b.open(ctx, env)
	if err != nil {
		return nil, err
	}
	model := o.model
	defer model.Close()
	b.sessions = []*realm.Session{o.session}
	for len(b.sessions) < b.settings.Sessions {
		s, err := model.NewSession()
		if err != nil {
			return nil, err
		}
		b.sessions = append(b.sessions, s)
	}
	b.tokens = benchTokens(model.Tokenizer(), max(b.settings.PromptTokens, b.settings.DecodeTokens+b.settings.Depth))
	info := model.Info()
	b.settings.Threads, b.settings.ContextLength = info.Threads, info.ContextLength
	b.settings.ChunkSize, b.settings.CacheType = b.options.ChunkSize, b.cacheType
	b.progress = env.NewProgress("bench", cli.Tokens)
	defer b.progress.Clear()

	p, n, r := b.settings.PromptTokens, b.settings.DecodeTokens, b.settings.Repetitions
	b.total = int64(p*(r+1) + b.settings.Sessions*(n*r+min(n, 1)))
	result := &cli.BenchResult{LoadMS: cli.Milliseconds(o.load), PrepareMS: cli.Milliseconds(o.prepare), Model: b.name(info)}
	if p > 0 {
		if result.PrefillSamples, err = b.repeat(ctx, b.prefill, p, p, 1); err != nil {
			return nil, err
		}
		mean, stddev := cli.MeanStddev(result.PrefillSamples)
		result.PrefillTPS, result.PrefillStddev = &mean, &stddev
	}
	if n > 0 {
		if err := b.deepen(ctx); err != nil {
			return nil, err
		}
		if result.DecodeSamples, err = b.repeat(ctx, b.decode, n, 1, b.settings.Sessions); err != nil {
			return nil, err
		}
		mean, stddev := cli.MeanStddev(result.DecodeSamples)
		result.DecodeTPS, result.DecodeStddev = &mean, &stddev
	}
	result.Memory = cli.ReadMemory()
	result.Settings = b.settings
	return result, nil
}

// benchTokens makes n token IDs.
func benchTokens(t *realm.Tokenizer, n int) []int32 {
	random := rand.New(rand.NewPCG(benchSeed, 0))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = random.Int32N(int32(t.VocabSize()))
	}
	if bos := t.BOS(); bos >= 0 && n > 0 {
		tokens[0] = bos
	}
	return tokens
}

// repeat runs f for warmup tokens and then, as often as asked for, for n tokens. It returns the tokens per second of
// each repetition, where f computes the tokens in a number of sessions.
func (b *bench) repeat(ctx context.Context, f func(ctx context.Context, n int) error, n, warmup, sessions int) ([]float64, error) {
	if err := f(ctx, warmup); err != nil {
		return nil, err
	}
	var samples []float64
	for range b.settings.Repetitions {
		start := time.Now()
		if err := f(ctx, n); err != nil {
			return nil, err
		}
		samples = append(samples, cli.Rate(n*sessions, time.Since(start)))
	}
	return samples, nil
}

// prefill computes n tokens at once, from position 0.
func (b *bench) prefill(ctx context.Context, n int) error {
	_, err := b.sessions[0].Forward(ctx, b.tokens[:n], 0)
	b.advance(n)
	return err
}

// deepen makes every session hold the tokens behind which it decodes.
func (b *bench) deepen(ctx context.Context) error {
	depth := b.settings.Depth
	if err := b.sessions[0].Truncate(0); err != nil || depth == 0 {
		return err
	}
	for _, s := range b.sessions {
		if _, err := s.Forward(ctx, b.tokens[:depth], 0); err != nil {
			return err
		}
	}
	return nil
}

// decode computes n tokens one at a time in every session at once.
func (b *bench) decode(ctx context.Context, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, s := range b.sessions {
		wg.Go(func() {
			for at := b.settings.Depth; at < b.settings.Depth+n; at++ {
				if _, err := s.Forward(ctx, b.tokens[at:at+1], at); err != nil {
					cancel(err)
					return
				}
				b.advance(1)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (b *bench) advance(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += int64(n)
	b.progress.Update(b.done, b.total)
}

func writeBench(env *cli.Env, r *cli.BenchResult) error {
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	name := r.Model.Name
	if name == "" {
		name = r.Model.File
	}
	fmt.Fprintf(w, "model\t%s, architecture %s\n", cli.Printable(name), cli.Printable(r.Model.Architecture))
	fmt.Fprintf(w, "threads\t%d\n", r.Settings.Threads)
	fmt.Fprintf(w, "load\t%.1f ms, then %.1f ms to prepare the weights\n", r.LoadMS, r.PrepareMS)
	if r.PrefillTPS != nil {
		fmt.Fprintf(w, "prefill\tpp%d\t%.2f ± %.2f tokens/s\n", r.Settings.PromptTokens, *r.PrefillTPS, *r.PrefillStddev)
	}
	if r.DecodeTPS != nil {
		name := fmt.Sprintf("tg%d", r.Settings.DecodeTokens)
		if r.Settings.Depth > 0 {
			name += fmt.Sprintf(" @ %d", r.Settings.Depth)
		}
		if r.Settings.Sessions > 1 {
			name += fmt.Sprintf(", %d sessions", r.Settings.Sessions)
		}
		fmt.Fprintf(w, "decode\t%s\t%.2f ± %.2f tokens/s\n", name, *r.DecodeTPS, *r.DecodeStddev)
	}
	fmt.Fprintf(w, "memory\tpeak %s, resident %s, of which %s is no file's\n",
		cli.Bytes(float64(r.Peak)), cli.Bytes(float64(r.Resident)), cli.Bytes(float64(r.Anonymous)))
	return w.Flush()
}
