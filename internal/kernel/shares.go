package kernel

import "slices"

// The products of a few tokens wait for weights: what matters is that all threads read all the time, each as much in one
// piece as it can, and end together. So the strips of all products follow one another, and are cut into shares that are
// large at both ends, where threads begin, and small in the middle, where they meet.

// sharesTokens is the number of tokens up to which products are cut into shares.
const sharesTokens = 2 * maxTile

// cut cuts the products into shares for a number of threads, or reports false where they are not such.
func (in *Input) cut(threads int) bool {
	const (
		least = 16 << 10 // bytes of a share: a microsecond's reading
		most  = 2 << 20  // multiply-adds of a share, since a thread in a kernel cannot be stopped
	)
	if in.T > sharesTokens {
		return false
	}
	strips, bytes := 0, 0
	for i := range in.products {
		m := in.products[i].W
		if m.strips() == nil || m.tiles(in.T) != nil {
			return false
		}
		strips += ceil(m.Rows, stripRows)
		bytes = max(bytes, m.stripBytes)
	}
	smallest, largest := max(1, least/bytes), max(1, most/(stripRows*in.N*in.T))
	in.cuts, in.backs = append(in.cuts[:0], 0), in.backs[:0]
	// Each round gives three quarters of what is left: a share at the front to the one thread, shares at the back to the
	// others.
	for first, end := 0, strips; first < end; {
		size := largest
		if threads > 1 {
			size = min(max(firstShare(end-first, threads), smallest), largest)
		}
		first = min(first+size, end)
		in.cuts = append(in.cuts, first)
		for range threads - 1 {
			if first < end {
				in.backs = append(in.backs, end)
				end = max(end-size, first)
			}
		}
	}
	slices.Reverse(in.backs)
	in.cuts = append(in.cuts, in.backs...)
	return true
}

// firstShare is the number of strips that each thread begins with.
func firstShare(strips, threads int) int { return strips * 3 / (4 * threads) }

// expectation is where the first share of a worker begins in the last of the matrices that come next; nil for none.
type expectation struct {
	last *Matrix
	at   int
}

// Expect says which matrices the MatMul after the next one, which takes this input, will multiply. Threads that wait in
// between then bring weights nearer, if the tokens are few enough for that to matter.
func (in *Input) Expect(p *Pool, matrices ...*Matrix) {
	in.expectation = expectation{}
	strips := 0
	for _, m := range matrices {
		strips += ceil(m.Rows, stripRows)
	}
	last := matrices[len(matrices)-1]
	if last.strips() != nil && p.threads > 1 {
		n := ceil(last.Rows, stripRows)
		in.expectation = expectation{last, max(0, n-firstShare(strips, p.threads)) * last.stripBytes}
	}
}

// approach prefetches a little of what the pool expects. With more than one worker they begin at the same share.
func (s *sleeper) approach(p *Pool) {
	const (
		step = 512       // bytes at a time
		most = 256 << 10 // a part of the second-level cache
	)
	m := p.expected.Load()
	if m != s.nearing {
		s.nearing, s.near = m, 0
	}
	if m == nil || s.near >= most {
		return
	}
	at := int(p.expectedAt.Load()) + s.near
	if at+step <= len(m.data) {
		prefetch(m.data[at : at+step])
	}
	s.near += step
}

// share computes one share of the products.
func (in *Input) share(item int) {
	s := scratches.Get().(*scratch)
	first, end := in.cuts[item], in.cuts[item+1]
	for i := range in.products {
		o := &in.products[i]
		n := ceil(o.W.Rows, stripRows)
		if first < n && end > 0 {
			s.stripRange(o.Dst, o.W, o.W.strips(), in, max(first, 0), min(end, n), 0, in.T)
		}
		first, end = first-n, end-n
	}
	scratches.Put(s)
}
