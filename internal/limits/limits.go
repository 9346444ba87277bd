// Package limits owns measuring what the machine can do at best: how many bytes a second can be read from memory, and
// how many multiplications of integers and of floats a second the vector units make. A speed of a model as a share of
// these says what is left to gain.
//
// It measures with the instructions of the kernels that package cpu has chosen, and must not know of models or of the
// kernels themselves. Start at Measure.
package limits

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/errs"
)

// Rates are what a number of threads reach together.
type Rates struct {
	Threads int     `json:"threads"`
	Read    float64 `json:"read_bytes_per_second"`
	Ints    float64 `json:"int8_ops_per_second"`    // products of 8-bit integers and their additions: 2 for each pair
	Floats  float64 `json:"float32_ops_per_second"` // likewise of float32
}

// probe is one set of instructions.
type probe struct {
	names string
	// read reads memory, a multiple of lineBytes.
	read func(memory []byte) uint64
	// ints and floats do n rounds of intOps and floatOps operations. What they return keeps a compiler from leaving them
	// out.
	ints             func(n int) int32
	floats           func(n int) float32
	intOps, floatOps int
}

const (
	repetitions = 5                     // of which the best counts
	least       = 10 * time.Millisecond // that one of them takes
	piece       = 256 << 10             // bytes that a thread reads at a time: some 10 microseconds
	rounds      = 2000                  // that a thread calculates at a time: some 10 microseconds, with tiles 80
	lineBytes   = 512                   // what memory to be read is a multiple of
)

// Instructions names the set of kernels that package cpu has chosen, and what Measure measures with for it.
func Instructions() string { return cpu.Chosen().String() + ": " + probeOf(cpu.Chosen()).names }

// Kernels names the set of kernels that package cpu has chosen, and those that the processor can run, the best first.
func Kernels() (chosen string, processor []string) {
	for set := cpu.AMX; ; set-- {
		if cpu.Available(set) {
			processor = append(processor, set.String())
		}
		if set == cpu.Generic {
			return cpu.Chosen().String(), processor
		}
	}
}

// Measure finds the rates of each number of threads. It reads memory of its own, of about size bytes, in huge pages
// where the system has them: what the processor's caches hold of that many bytes, they hold here too.
func Measure(ctx context.Context, size int64, threads ...int) ([]Rates, error) {
	size = max(size, piece) / piece * piece
	memory, err := allocate(size)
	if err != nil {
		return nil, errs.Errorf(errs.OutOfMemory, "limits: %d bytes to read: %w", size, err)
	}
	defer free(memory)
	p := probeOf(cpu.Chosen())
	// Each page is written once: until then all of them are the same page of zeros.
	spread(runtime.GOMAXPROCS(0), int64(len(memory)/piece), func(i int64) {
		for at := i * piece; at < (i+1)*piece; at += 4096 {
			memory[at] = byte(at>>12) | 1
		}
	})
	var all []Rates
	for _, n := range threads {
		r := Rates{Threads: n}
		for _, m := range []struct {
			rate  *float64
			items int64   // of one pass
			each  float64 // what an item counts
			do    func(item int64)
		}{
			{&r.Read, size / piece, piece, func(i int64) { p.read(memory[i*piece : (i+1)*piece]) }},
			{&r.Ints, 16, float64(rounds * p.intOps), func(int64) { p.ints(rounds) }},
			{&r.Floats, 16, float64(rounds * p.floatOps), func(int64) { p.floats(rounds) }},
		} {
			for range repetitions {
				if err := ctx.Err(); err != nil {
					return nil, errs.Errorf(errs.Canceled, "limits: %w", err)
				}
				*m.rate = max(*m.rate, m.each*rate(n, m.items, m.do))
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// rate does passes over items on a number of threads for a while and returns the items per second.
func rate(threads int, items int64, do func(item int64)) float64 {
	for passes := int64(1); ; passes *= 2 {
		if took := spread(threads, passes*items, func(i int64) { do(i % items) }); took >= least {
			return float64(passes*items) / took.Seconds()
		}
	}
}

// spread does n items, each thread taking the next, and returns how long that took. Threads that start late find less
// to do.
func spread(threads int, n int64, do func(item int64)) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range threads {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}
