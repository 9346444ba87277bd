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
Measures what llama-bench calls pp and tg. Prefill (pp): a prompt of -p tokens is computed in a session that holds -d
tokens. Decode (tg): -n tokens are computed one at a time behind -d tokens, beginning with BOS where that is 0. With -b,
that many sessions decode at once, and the speed is that of all of them together. Token IDs are random with a fixed
seed; nothing is sampled. Each is run once to warm up, decode for one token, and then -r times; speeds are the mean of
the repetitions, with their sample standard deviation.

--limits also measures the machine: bytes read per second from as much memory as the weights that a pass reads, in
huge pages, and products of 8-bit integers and of floats per second, each the best of 5, with the instructions that
the kernels have. It prints each speed as a share of the bound that these set: reading the weights, the keys and the
values, or multiplying the weights, whichever is slower. Attention's arithmetic is not in the bound.

--gc decodes each time twice, once while a garbage collection is forced every so many milliseconds, and prints the
speed with them, what the medians differ by, and for how long they stopped all threads.

--json prints one object: prefill_tps, decode_tps (null where skipped), their _stddev, _samples and, with --limits,
_bound; load_ms, prepare_ms (to bring the weights into the form that the processor wants), peak_bytes, resident_bytes,
anonymous_bytes (resident, but of no file), limits, gc, model and settings.`

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

	limits bool
	gcMS   int // between forced garbage collections; 0 for none

	mu       sync.Mutex // guards what follows
	progress *cli.Progress
	done     int64 // tokens of all runs
	total    int64
}

func benchCommand() *cli.Command {
	c := &cli.Command{
		Name:  "bench",
		Short: "measure prompt and decode speed",
		Usage: []string{"bench -m MODEL [flags]"},
		Long:  benchHelp,
	}
	b := &bench{settings: cli.BenchSettings{PromptTokens: 512, DecodeTokens: 128, Repetitions: 3, Sessions: 1}}
	asJSON := false
	c.Flags.Int(&b.settings.PromptTokens, "p, n-prompt", "tokens of the prompt; 0 skips prefill")
	c.Flags.Int(&b.settings.DecodeTokens, "n, n-gen", "tokens to decode; 0 skips decode")
	c.Flags.Int(&b.settings.Depth, "d, depth", "tokens that each session holds before")
	c.Flags.Int(&b.settings.Sessions, "b, sessions", "sessions that decode at once")
	c.Flags.Int(&b.settings.Repetitions, "r, repetitions", "repetitions of each")
	c.Flags.Bool(&b.limits, "limits", "measure the machine too, and print speeds as shares of what it allows")
	c.Flags.Int(&b.gcMS, "gc", "milliseconds between forced garbage collections in every other decode; 0 for none")
	c.Flags.Bool(&asJSON, "json", "print one JSON object")
	c.Flags.Group("Model")
	b.declare(&c.Flags)
	c.Run = func(ctx context.Context, env *cli.Env, _ []string) error {
		s := &b.settings
		if min(s.PromptTokens, s.DecodeTokens, s.Depth, b.gcMS) < 0 || min(s.Repetitions, s.Sessions) < 1 || s.Sessions > maxSessions {
			return c.Usagef("want -p, -n, -d and --gc from 0 on, -r from 1 on, and -b from 1 to %d", maxSessions)
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
	b.tokens = benchTokens(model.Tokenizer(), b.settings.Depth+max(b.settings.PromptTokens, b.settings.DecodeTokens))
	info := model.Info()
	b.settings.Threads, b.settings.ContextLength = info.Threads, info.ContextLength
	b.settings.ChunkSize, b.settings.CacheType = b.options.ChunkSize, b.cacheType
	b.progress = env.NewProgress("bench", cli.Tokens)
	defer b.progress.Clear()

	p, n, r := b.settings.PromptTokens, b.settings.DecodeTokens, b.settings.Repetitions
	b.total = int64(p*(r+1) + b.settings.Sessions*(n*r+min(n, 1)))
	if b.gcMS > 0 {
		b.total += int64(b.settings.Sessions * n * r)
	}
	result := &cli.BenchResult{LoadMS: cli.Milliseconds(o.load), PrepareMS: cli.Milliseconds(o.prepare), Model: b.ran(info)}
	if p > 0 {
		if err := b.deepen(ctx, b.sessions[:1]); err != nil {
			return nil, err
		}
		if err := b.prefill(ctx, p); err != nil {
			return nil, err
		}
		for range r {
			tps, err := b.time(ctx, b.prefill, p, 1)
			if err != nil {
				return nil, err
			}
			result.PrefillSamples = append(result.PrefillSamples, tps)
		}
		mean, stddev := cli.MeanStddev(result.PrefillSamples)
		result.PrefillTPS, result.PrefillStddev = &mean, &stddev
	}
	if n > 0 {
		if err := b.deepen(ctx, b.sessions); err != nil {
			return nil, err
		}
		if err := b.decode(ctx, 1); err != nil {
			return nil, err
		}
		var collector cli.BenchCollector
		for range r {
			tps, err := b.time(ctx, b.decode, n, b.settings.Sessions)
			if err != nil {
				return nil, err
			}
			result.DecodeSamples = append(result.DecodeSamples, tps)
			if b.gcMS > 0 {
				if err := b.decodeCollecting(ctx, &collector); err != nil {
					return nil, err
				}
			}
		}
		mean, stddev := cli.MeanStddev(result.DecodeSamples)
		result.DecodeTPS, result.DecodeStddev = &mean, &stddev
		if b.gcMS > 0 {
			collector.Finish(result.DecodeSamples)
			result.Collector = &collector
		}
	}
	result.Memory = cli.ReadMemory()
	result.Settings = b.settings
	if b.limits {
		// The model's memory comes free before as much is asked for.
		if err := model.Close(); err != nil {
			return nil, err
		}
		if err := b.addLimits(ctx, result, info); err != nil {
			return nil, err
		}
	}
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

// time returns the tokens per second of f, which computes n tokens in a number of sessions.
func (b *bench) time(ctx context.Context, f func(ctx context.Context, n int) error, n, sessions int) (float64, error) {
	start := time.Now()
	err := f(ctx, n)
	return cli.Rate(n*sessions, time.Since(start)), err
}

// deepen makes sessions hold the tokens behind which all others are computed.
func (b *bench) deepen(ctx context.Context, sessions []*realm.Session) error {
	for _, s := range sessions {
		if err := s.Truncate(b.settings.Depth); err != nil {
			return err
		}
		if at := s.Position(); at < b.settings.Depth {
			if _, err := s.Forward(ctx, b.tokens[at:b.settings.Depth], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// prefill computes n tokens at once.
func (b *bench) prefill(ctx context.Context, n int) error {
	depth := b.settings.Depth
	_, err := b.sessions[0].Forward(ctx, b.tokens[depth:depth+n], depth)
	b.advance(n)
	return err
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
	depth, sessions := "", ""
	if r.Settings.Depth > 0 {
		depth = fmt.Sprintf(" @ %d", r.Settings.Depth)
	}
	if r.Settings.Sessions > 1 {
		sessions = fmt.Sprintf(", %d sessions", r.Settings.Sessions)
	}
	if r.PrefillTPS != nil {
		fmt.Fprintf(w, "prefill\tpp%d%s\t%.2f ± %.2f tokens/s%s\n",
			r.Settings.PromptTokens, depth, *r.PrefillTPS, *r.PrefillStddev, share(r.PrefillBound))
	}
	if r.DecodeTPS != nil {
		fmt.Fprintf(w, "decode\ttg%d%s%s\t%.2f ± %.2f tokens/s%s\n",
			r.Settings.DecodeTokens, depth, sessions, *r.DecodeTPS, *r.DecodeStddev, share(r.DecodeBound))
	}
	if c := r.Collector; c != nil {
		fmt.Fprintf(w, "  with gc\t%d pauses\t%.2f ± %.2f tokens/s, %+.1f%%; ",
			c.Pauses, c.DecodeTPS, c.DecodeStddev, -100*c.Cost)
		fmt.Fprintf(w, "paused %.2f ms in half of all cases, %.2f in 99%%, at most %.2f\n",
			c.PauseP50MS, c.PauseP99MS, c.PauseMaxMS)
	}
	if l := r.Limits; l != nil {
		for _, rates := range l.Rates {
			fmt.Fprintf(w, "limits\t%d threads\t%.1f GB/s, %.3f int8 TOP/s, %.1f float32 GFLOP/s\n",
				rates.Threads, rates.Read/1e9, rates.Ints/1e12, rates.Floats/1e9)
		}
		fmt.Fprintf(w, "\tby\t%s, %s read\n", l.Instructions, cli.Bytes(float64(l.Bytes)))
	}
	fmt.Fprintf(w, "memory\tpeak %s, resident %s, of which %s is no file's\n",
		cli.Bytes(float64(r.Peak)), cli.Bytes(float64(r.Resident)), cli.Bytes(float64(r.Anonymous)))
	return w.Flush()
}

// share writes how much a speed is of its bound, if that is known.
func share(b *cli.Bound) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf(", %.1f%% of the %.2f that %s allows", 100*b.Share, b.TPS, b.By)
}
