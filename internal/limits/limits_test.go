package limits

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/errs"
)

// TestRead: every set of instructions reads all of the memory.
func TestRead(t *testing.T) {
	memory := make([]byte, 5*lineBytes)
	for i := range memory {
		memory[i] = byte(i*i>>3 + i)
	}
	for _, size := range []int{lineBytes, 2 * lineBytes, len(memory)} {
		want := uint64(0)
		for at := 0; at < size; at += 8 {
			want += binary.LittleEndian.Uint64(memory[at:])
		}
		for set := cpu.Generic; set <= cpu.AMX; set++ {
			if !cpu.Available(set) {
				continue
			}
			if got := probeOf(set).read(memory[:size]); got != want {
				t.Errorf("%v: %d bytes: sum %#x, want %#x", set, size, got, want)
			}
		}
	}
}

func TestMeasure(t *testing.T) {
	if set, names, _ := strings.Cut(Instructions(), ": "); set != cpu.Chosen().String() || names == "" {
		t.Errorf("instructions %q", Instructions())
	}
	rates, err := Measure(t.Context(), 1<<20, 1, 2)
	if err != nil || len(rates) != 2 {
		t.Fatalf("%+v, %v", rates, err)
	}
	for i, r := range rates {
		// No processor is so slow, and none so fast.
		if r.Threads != i+1 || r.Read < 1e7 || r.Ints < 1e7 || r.Floats < 1e6 || max(r.Read, r.Ints, r.Floats) > 1e15 {
			t.Errorf("%+v", r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(ctx, 1<<20, 1); !errors.Is(err, errs.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
