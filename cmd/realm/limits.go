package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/internal/limits"
)

// addLimits measures the machine, and adds to a result what it is a share of.
func (b *bench) addLimits(ctx context.Context, result *cli.BenchResult, info realm.Info) error {
	description, err := realm.Inspect(b.path, 1)
	if err != nil {
		return err
	}
	work := cli.WorkOf(description.Tensors, info.CacheBytesPerToken)
	rates, err := limits.Measure(ctx, work.Read, slices.Compact([]int{1, info.Threads})...)
	if err != nil {
		return err
	}
	l := &cli.BenchLimits{Instructions: limits.Instructions(), Bytes: work.Read}
	for _, r := range rates {
		l.Rates = append(l.Rates, cli.Rates(r))
	}
	result.Limits = l
	most, s := l.Rates[len(l.Rates)-1], b.settings
	if result.PrefillTPS != nil {
		result.PrefillBound = work.Prefill(most, s.Depth, s.PromptTokens).Of(*result.PrefillTPS)
	}
	if result.DecodeTPS != nil {
		result.DecodeBound = work.Decode(most, s.Sessions, s.Depth, s.DecodeTokens).Of(*result.DecodeTPS)
	}
	return nil
}

// decodeCollecting measures a decode while garbage collections are forced.
func (b *bench) decodeCollecting(ctx context.Context, c *cli.BenchCollector) error {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Duration(b.gcMS) * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				runtime.GC()
			case <-done:
				return
			}
		}
	})
	before := cli.ReadPauses()
	tps, err := b.time(ctx, b.decode, b.settings.DecodeTokens, b.settings.Sessions)
	close(done)
	wg.Wait()
	c.Add(tps, cli.ReadPauses().Since(before))
	return err
}
