package kernel

import (
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

// TestTilesHammer multiplies with tiles on several threads while the garbage collector stops the world and profiling
// signals come in: Linux must have kept the tiles across all of it.
func TestTilesHammer(t *testing.T) {
	needKernels(t, cpu.AMX)
	if err := pprof.StartCPUProfile(io.Discard); err == nil {
		defer pprof.StopCPUProfile()
	}
	const rows, cols, tokens = 160, 2048, 48
	rng := rand.New(rand.NewPCG(13, 13))
	m := pack(t, randomMatrix(t, rng, quant.Q4_K, []int{quant.Q4_KD, quant.Q4_KDMin}, rows, cols))
	x := randomFloats(rng, tokens*cols)
	one := NewPool(1)
	defer one.Close()
	want := multiply(t, one, m, x, tokens)
	deadline := time.Now().Add(200 * time.Millisecond)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			p := NewPool(2)
			defer p.Close()
			for time.Now().Before(deadline) {
				if !slices.Equal(multiply(t, p, m, x, tokens), want) {
					t.Error("other products under load")
					return
				}
			}
		})
	}
	for time.Now().Before(deadline) {
		runtime.GC()
	}
	wg.Wait()
}
