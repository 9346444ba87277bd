package kernel

import "sync/atomic"

// attentionItem is a work item: a tile of a task's tokens, a head of keys and values, and blocks of positions. Most tiles
// are one item. Where there are few, as for one token of one session, several items share a tile, each with blocks of
// its own.
type attentionItem struct {
	task, kv int
	t0, t1   int       // tokens of the task
	b0, b1   int       // blocks
	shared   *attended // nil where the item has all blocks
}

const (
	// itemsOfThread is the fewest items for each thread, if blocks can be shared out: threads then end together.
	itemsOfThread = 2
	// A tile has as many tokens, from leastTile to mostTile, as have tileQueries queries between them. They all meet a block
	// of keys and values when it has been made float32.
	leastTile, mostTile, tileQueries = 8, 32, 96
	// fewestBlocks is the fewest blocks of an item that shares a tile. They take longer than the merging.
	fewestBlocks = 4
)

// attended is the attention of a tile's queries to one head of keys and values. The first item that shares a tile merges
// its blocks as it goes, in place 0; the others keep that of each block in a place of its own, so that whoever is done
// last can merge them in ascending order, as one item would have done.
type attended struct {
	queries, valueDim int
	first             int       // blocks of the first item
	out               []float32 // (place, query, value dimension)
	largest, sums     []float32 // (place, query): the largest score and the sum of weights
	left              atomic.Int32
}

// size makes room for blocks, the first of which share a place.
func (a *attended) size(queries, valueDim, first, blocks int) {
	a.queries, a.valueDim, a.first = queries, valueDim, first
	n := (1 + blocks - first) * queries
	a.out, a.largest, a.sums = grow(a.out, n*valueDim), grow(a.largest, n), grow(a.sums, n)
}

// place is where the attention over block b goes.
func (a *attended) place(b int) int { return max(0, b-a.first+1) }

// at is the attention of query i in a place.
func (a *attended) at(place, i int) partial {
	i += place * a.queries
	return partial{a.largest[i], a.sums[i], a.out[i*a.valueDim : (i+1)*a.valueDim]}
}

// merge returns the attention of query i over the first blocks.
func (a *attended) merge(i, blocks int) partial {
	p := a.at(0, i)
	for b := a.first; b < blocks; b++ {
		next := a.at(a.place(b), i)
		p.merge(&next)
	}
	return p
}

// kernels returns the kernels that can do it, or nil.
func (a *Attention) kernels() *attendKernels {
	if a.Shape.ValueDim%16 != 0 {
		return nil
	}
	return attendKernelsOf(kernels)
}

// count returns the number of tiles of so many tokens.
func (a *Attention) count(tokens int) int {
	tiles := 0
	for i := range a.Tasks {
		tiles += ceil(a.Tasks[i].T, tokens)
	}
	return tiles * a.Shape.KVHeads
}

// cut makes the items for a number of threads.
func (a *Attention) cut(threads int) {
	a.items = a.items[:0]
	group := a.Shape.Heads / a.Shape.KVHeads
	tokens := min(mostTile, max(leastTile, tileQueries/group/leastTile*leastTile)) // of a tile
	tiles := a.count(tokens)
	for tiles < itemsOfThread*threads && tokens > leastTile {
		tokens = max(leastTile, tokens/2)
		tiles = a.count(tokens)
	}
	most := 1 // items that share a tile
	if threads > 1 && tiles > 0 && a.kernels() != nil {
		most = ceil(itemsOfThread*threads, tiles)
	}
	shared := 0
	for i := range a.Tasks {
		task := &a.Tasks[i]
		for t0 := 0; t0 < task.T; t0 += tokens {
			t1 := min(t0+tokens, task.T)
			blocks := ceil(task.Position+t1, PagePositions)
			n := max(1, min(most, blocks/fewestBlocks))
			for kv := range a.Shape.KVHeads {
				it := attentionItem{task: i, kv: kv, t0: t0, t1: t1, b1: blocks}
				if n > 1 {
					if shared == len(a.tiles) {
						a.tiles = append(a.tiles, new(attended))
					}
					it.shared = a.tiles[shared]
					it.shared.size((t1-t0)*group, a.Shape.ValueDim, blocks/n, blocks)
					it.shared.left.Store(int32(n))
					shared++
				}
				for j := range n {
					it.b0, it.b1 = blocks*j/n, blocks*(j+1)/n
					a.items = append(a.items, it)
				}
			}
		}
	}
}
