package kvcache

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/realm-ai/realm/internal/f16"
)

var shape = Shape{Layers: 2, KVHeads: 2, HeadDim: 3, ValueDim: 5}

// plain is what a sequence should hold: per layer, the value that was put at each position.
type plain [2][]float32

// put extends a sequence and its model by n positions with a value each.
func put(t *testing.T, s *Sequence, p *plain, layer, position, n int, value float32) {
	t.Helper()
	if err := s.Reserve(layer, position, n); err != nil {
		t.Fatal(err)
	}
	p[layer] = p[layer][:position:position]
	k, v := make([]float32, 6), make([]float32, 10)
	for i := range n {
		value++
		for j := range k {
			k[j] = value + float32(j)
		}
		for j := range v {
			v[j] = -value - float32(j)
		}
		write(s, layer, position+i, k, v)
		p[layer] = append(p[layer], value)
	}
}

// write sets the keys and values of a position.
func write(s *Sequence, layer, position int, k, v []float32) {
	p, at := s.Pages(nil, layer)[position/PagePositions], position%PagePositions
	set := func(to int, x float32) {
		if p.F32 != nil {
			p.F32[to] = x
		} else {
			p.F16[to] = f16.FromFloat32(x)
		}
	}
	for i, x := range k {
		set(keyAt(i, at), x)
	}
	for i, x := range v {
		set(valueAt(i, at), x)
	}
}

// keyAt is where in a page dimension i of all heads' keys is.
func keyAt(i, position int) int {
	return i/shape.HeadDim*(shape.HeadDim+shape.ValueDim)*PagePositions + i%shape.HeadDim*PagePositions + position
}

// valueAt is where in a page dimension i of all heads' values is.
func valueAt(i, position int) int {
	return (i/shape.ValueDim*(shape.HeadDim+shape.ValueDim)+shape.HeadDim)*PagePositions +
		position*shape.ValueDim + i%shape.ValueDim
}

func check(t *testing.T, s *Sequence, p *plain) {
	t.Helper()
	at := func(page Page, i int) float32 {
		if page.F32 != nil {
			return page.F32[i]
		}
		return f16.ToFloat32(page.F16[i])
	}
	for layer := range p {
		if s.Len(layer) != len(p[layer]) {
			t.Fatalf("layer %d: length %d, want %d", layer, s.Len(layer), len(p[layer]))
		}
		pages := s.Pages(nil, layer)
		if want := (len(p[layer]) + 63) / 64; len(pages) != want {
			t.Fatalf("layer %d: %d pages, want %d", layer, len(pages), want)
		}
		for pos, value := range p[layer] {
			page := pages[pos/64]
			for j := range 6 {
				if got := at(page, keyAt(j, pos%64)); got != value+float32(j) {
					t.Fatalf("layer %d, position %d, key %d: %v, want %v", layer, pos, j, got, value+float32(j))
				}
			}
			for j := range 10 {
				if got := at(page, valueAt(j, pos%64)); got != -value-float32(j) {
					t.Fatalf("layer %d, position %d, value %d: %v", layer, pos, j, got)
				}
			}
		}
	}
}

// TestSequencesStayApart runs random operations on a family of sequences that share pages, against plain slices.
func TestSequencesStayApart(t *testing.T) {
	for _, f32 := range []bool{false, true} {
		shape := shape
		shape.F32 = f32
		c := New(shape, 0)
		rng := rand.New(rand.NewPCG(7, 7))
		seqs, models := []*Sequence{c.NewSequence()}, []*plain{{}}
		for range 600 {
			i := rng.IntN(len(seqs))
			s, m := seqs[i], models[i]
			short := min(len(m[0]), len(m[1]))
			switch rng.IntN(6) {
			case 0, 1, 2:
				layer := rng.IntN(2)
				position := len(m[layer])
				if rng.IntN(4) == 0 {
					position = rng.IntN(position + 1)
				}
				// Small whole numbers, which F16 holds exactly.
				put(t, s, m, layer, position, 1+rng.IntN(100), float32(rng.IntN(1000)))
			case 3:
				at := rng.IntN(max(len(m[0]), len(m[1])) + 2)
				s.Truncate(at)
				for l := range m {
					m[l] = m[l][:min(at, len(m[l]))]
				}
			case 4:
				if len(seqs) == 6 {
					continue
				}
				at := rng.IntN(short + 1)
				f, err := s.Fork(at)
				if err != nil {
					t.Fatal(err)
				}
				seqs = append(seqs, f)
				models = append(models, &plain{m[0][:at:at], m[1][:at:at]})
			case 5:
				if len(seqs) == 1 {
					continue
				}
				s.Free()
				seqs[i], models[i] = seqs[len(seqs)-1], models[len(seqs)-1]
				seqs, models = seqs[:len(seqs)-1], models[:len(models)-1]
			}
			for j := range seqs {
				check(t, seqs[j], models[j])
			}
		}
		for _, s := range seqs {
			s.Free()
		}
		if c.Used() != 0 {
			t.Errorf("%d bytes in use after every sequence was freed", c.Used())
		}
	}
}

func TestLimits(t *testing.T) {
	c := New(shape, 5*shape.PageBytes())
	s, m := c.NewSequence(), &plain{}
	put(t, s, m, 0, 0, 100, 1)
	put(t, s, m, 1, 0, 64, 1)
	if err := s.Reserve(1, 64, 200); !errors.Is(err, ErrFull) {
		t.Errorf("over the budget: %v", err)
	}
	if err := s.Reserve(1, 65, 1); !errors.Is(err, ErrGap) {
		t.Errorf("a gap: %v", err)
	}
	if _, err := s.Fork(65); !errors.Is(err, ErrGap) {
		t.Errorf("a fork beyond a layer: %v", err)
	}
	check(t, s, m)
	if got, want := c.Used(), 3*shape.PageBytes(); got != want {
		t.Errorf("%d bytes in use, want %d", got, want)
	}
	f, err := s.Fork(60)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Used(), 3*shape.PageBytes(); got != want {
		t.Errorf("%d bytes in use after a fork, want %d", got, want)
	}
	f.Free()
	if got, want := shape.Bytes(65), 2*2*shape.PageBytes(); got != want {
		t.Errorf("Bytes(65) = %d, want %d", got, want)
	}
}

// TestBudget sees that a budget counts the pages of its sequences in two caches, shared ones once, and no others.
func TestBudget(t *testing.T) {
	page := shape.PageBytes()
	b := NewBudget(4 * page)
	c, other := New(shape, 0), New(shape, 0)
	free := c.NewSequence()
	put(t, free, &plain{}, 0, 0, 640, 1)
	s, m := c.NewSequenceWithin(b), &plain{}
	put(t, s, m, 0, 0, 100, 1)
	put(t, s, m, 1, 0, 100, 1)
	if b.Used() != 4*page {
		t.Errorf("%d bytes, want %d", b.Used(), 4*page)
	}
	f, err := s.Fork(100)
	if err != nil {
		t.Fatal(err)
	}
	if b.Used() != 4*page {
		t.Errorf("%d bytes after a fork, want %d", b.Used(), 4*page)
	}
	if err := f.Reserve(0, 90, 1); !errors.Is(err, ErrBudget) {
		t.Errorf("a copy of a shared page beyond the budget: %v", err)
	}
	if err := other.NewSequenceWithin(b).Reserve(0, 0, 1); !errors.Is(err, ErrBudget) {
		t.Errorf("a page of another cache beyond the budget: %v", err)
	}
	check(t, s, m)
	s.Free()
	f.Free()
	if b.Used() != 0 || c.Used() != 10*page {
		t.Errorf("%d bytes of the budget, %d of the cache after all", b.Used(), c.Used())
	}
	if err := other.NewSequenceWithin(b).Reserve(0, 0, 256); err != nil {
		t.Errorf("after all was freed: %v", err)
	}
}

// TestMemoryIsGivenBack holds a cache to a few slabs once its sequences are freed, and new pages to zeros.
func TestMemoryIsGivenBack(t *testing.T) {
	c := New(shape, 0)
	var seqs []*Sequence
	for range 10 * slabPositions / PagePositions {
		s := c.NewSequence()
		put(t, s, &plain{}, 0, 0, 100, 1)
		seqs = append(seqs, s)
	}
	for i := range seqs { // in another order
		seqs[i*7%len(seqs)].Free()
	}
	if n := len(c.slabs); n != maxFreeSlabs || c.Used() != 0 {
		t.Errorf("%d slabs and %d bytes are left, want %d and none", n, c.Used(), maxFreeSlabs)
	}
	s := c.NewSequence()
	if err := s.Reserve(0, 0, 100); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Pages(nil, 0) {
		for _, x := range p.F16 {
			if x != 0 {
				t.Fatal("a new page is not empty")
			}
		}
	}
}
