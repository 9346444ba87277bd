package wasmpatch

import (
	"bytes"

	"github.com/realm-ai/realm/internal/errs"
)

// meter is what the patcher works with in a function, kept from one function to the next, and the types it adds.
type meter struct {
	firstType int      // index of the refill function's type; types of several results follow
	results   [][]byte // of those
	typeOf    map[string]uint32

	flow      flow
	targeted  []bool  // by number of the block
	tightOf   []int32 // by number of the block, index in tight, noLoop where it is no loop
	tight     []tight
	types     []byte // of locals
	calls     bool
	bulk      bool
	stretches []stretch
	charges   []charge

	// The emitter's.
	body    []byte
	next    int    // charge to come
	counter uint32 // local that holds the counter
	scratch uint32 // local of bulk operations
	inLocal bool   // false in functions that neither loop nor call, which use the global itself
}

// stretch is code without branches in or out, which is charged in one piece.
type stretch struct {
	at     int32 // offset of its first instruction
	before int32 // the stretch that has always run before it, at least once for each time that this one runs
	loop   int32 // number of the loop at whose head it stands, else 0
	cost   uint32
	charge int32 // where it is charged
}

// charge is a place where units are subtracted.
type charge struct {
	at    int32 // offset of the instruction that it stands before
	cost  uint32
	extra uint32 // part of cost that a branch may skip
	loop  int32  // number of the loop at whose head it stands, else 0
	look  bool   // at the counter: at loop heads and function entries
}

// unreached is the stretch of code that cannot run.
const unreached = -1

// resultTypes lists the types of blocks with several results that functions are wrapped in.
func (m *patcher) resultTypes() int {
	p := &m.meter
	p.typeOf = map[string]uint32{}
	for _, t := range m.funcs {
		results := m.types[t].results
		if _, known := p.typeOf[string(results)]; len(results) > 1 && !known {
			p.typeOf[string(results)] = uint32(p.firstType + 1 + len(p.results))
			p.results = append(p.results, results)
		}
	}
	return len(p.results)
}

// open begins a stretch at an offset.
func (p *meter) open(at int, before int32) int32 {
	p.stretches = append(p.stretches, stretch{at: int32(at), before: before})
	return int32(len(p.stretches) - 1)
}

// close decides where a stretch is charged: with the one before, if that does not overcharge by too much, or at its own
// beginning.
func (p *meter) close(i int32) {
	if i == unreached {
		return
	}
	s := &p.stretches[i]
	if s.before == unreached { // a function's entry or a loop's head
		s.charge = int32(len(p.charges))
		p.charges = append(p.charges, charge{at: s.at, cost: s.cost, loop: s.loop, look: true})
		return
	}
	c := p.stretches[s.before].charge
	if before := &p.charges[c]; before.extra+s.cost <= slack {
		before.cost += s.cost
		before.extra += s.cost
		s.charge = c
		return
	}
	s.charge = int32(len(p.charges))
	p.charges = append(p.charges, charge{at: s.at, cost: s.cost})
}

// price is the second pass over a function's code: it finds the charges.
func (p *meter) price(r *reader) {
	f := &p.flow
	f.begin()
	p.stretches, p.charges = p.stretches[:0], p.charges[:0]
	now := p.open(r.at, unreached)
	p.stretches[now].cost = entryCost
	for len(f.open) > 0 {
		in := r.instr()
		if now != unreached && !free(in.op) {
			p.stretches[now].cost++
		}
		ended := f.step(&in, now, p.targeted)
		if now == unreached && (in.op != opEnd && in.op != opElse || f.dead) {
			continue
		}
		was, before := now, now
		switch in.op {
		case opLoop:
			if !p.targeted[f.n-1] {
				continue
			}
			before = unreached
		case opElse:
			before = f.open[len(f.open)-1].outer
		case opEnd:
			if !p.targeted[ended.number] && ended.op != opIf || len(f.open) == 0 {
				continue
			}
			before = ended.outer
		case opIf, opBrIf:
		case opBr, opBrTable, opReturn, opUnreachable:
			p.close(was)
			now = unreached
			continue
		default:
			continue
		}
		p.close(was)
		if f.dead {
			now = unreached
			continue
		}
		now = p.open(r.at, before)
		if in.op == opLoop {
			p.stretches[now].cost, p.stretches[now].loop = loopCost, f.n-1
		}
	}
	p.close(now)
}

// free reports whether an instruction only marks structure.
func free(op opcode) bool {
	return op == opBlock || op == opLoop || op == opElse || op == opEnd || op == opNop
}

// code copies the code of the i-th function that the module defines, with its charges.
func (m *patcher) code(r *reader, dst []byte, i int) []byte {
	if r.err != nil {
		return dst
	}
	p := &m.meter
	body := r.sub(int(r.u32()))
	t := m.types[m.funcs[i]]
	start := body.at
	groups := body.count()
	p.types = append(p.types[:0], t.params...)
	locals := uint64(len(p.types))
	for range groups {
		n := uint64(body.u32())
		local := body.valueType()
		if locals += n; locals <= maxLocals {
			p.types = append(p.types, bytes.Repeat([]byte{local}, int(n))...)
		}
	}
	declared := body.b[min(start, len(body.b)):body.at]
	if locals > maxLocals-2 {
		body.fail(errs.LimitExceeded, "offset %#x: a function of %d locals", start, locals)
	}
	instructions := body.at
	m.targets(&body, int(locals))
	if body.err != nil {
		r.stop(body.err)
		return dst
	}
	p.price(&reader{b: body.b, at: instructions})

	p.inLocal = p.calls || p.bulk
	for _, c := range p.charges[1:] {
		p.inLocal = p.inLocal || c.look
	}
	p.counter, p.scratch = uint32(locals), uint32(locals)+1
	p.body = p.body[:0]
	added := 0
	if p.inLocal {
		added++
	}
	if p.bulk {
		added++
	}
	vector := reader{b: declared}
	vector.u32()
	p.body = append(appendU32(p.body, uint32(groups+added)), declared[vector.at:]...)
	if p.inLocal {
		p.body = append(p.body, 1, 0x7e)
	}
	if p.bulk {
		p.body = append(p.body, 1, 0x7f)
	}
	m.emit(&reader{b: body.b, at: instructions}, t)
	return append(appendU32(dst, uint32(len(p.body))), p.body...)
}
