package wasmpatch

import (
	"slices"

	"github.com/realm-ai/realm/internal/errs"
)

// flow follows the structure of a function's code: the blocks that are open, and whether code can be reached.
type flow struct {
	open []frame // the function itself first
	dead bool    // after a branch that is always taken, up to the end of its block
	n    int32   // blocks opened so far, which numbers them
}

// frame is an open block.
type frame struct {
	op     opcode // opBlock, opLoop or opIf
	dead   bool   // it began in code that cannot be reached
	number int32  // in the order of opening; the function is 0
	outer  int32  // the stretch that was running at its opening
}

func (f *flow) begin() {
	f.open, f.dead, f.n = append(f.open[:0], frame{op: opBlock}), false, 1
}

// step follows one instruction. targeted says which blocks are branched to. At an opEnd it returns the frame that ended.
func (f *flow) step(in *instr, stretch int32, targeted []bool) (ended frame) {
	switch in.op {
	case opBlock, opLoop, opIf:
		f.open = append(f.open, frame{op: in.op, number: f.n, dead: f.dead, outer: stretch})
		f.n++
	case opElse:
		f.dead = f.open[len(f.open)-1].dead
	case opEnd:
		ended = f.open[len(f.open)-1]
		f.open = f.open[:len(f.open)-1]
		// The end of a loop is reached only from within it; that of a block also by branches to it.
		if ended.op == opIf || ended.op == opBlock && targeted[ended.number] {
			f.dead = ended.dead
		}
	case opBr, opBrTable, opReturn, opUnreachable:
		f.dead = true
	}
	return ended
}

// targets is the first pass over a function's code, from r.at to its end. It checks the structure and every index that
// could reach what the patch adds, and finds which blocks are branched to, and whether there are calls.
func (m *patcher) targets(r *reader, locals int) {
	p, f := &m.meter, &m.meter.flow
	f.begin()
	p.targeted = append(p.targeted[:0], false)
	p.calls, p.bulk = false, false
	p.tight, p.tightOf = p.tight[:0], append(p.tightOf[:0], noLoop)
	innermost := noLoop // the loop, by its number, in which no other one stands so far
	for len(f.open) > 0 {
		if r.done() {
			r.fail(errs.InvalidFormat, "offset %#x: a function's code ends within a block", r.at)
			return
		}
		in := r.instr()
		if r.err != nil {
			return
		}
		switch in.op {
		case opBlock, opLoop, opIf:
			p.targeted = append(p.targeted, false)
			p.tightOf = append(p.tightOf, noLoop)
			if in.op == opLoop {
				if innermost != noLoop {
					p.tight[p.tightOf[innermost]].n = tooMany
				}
				innermost = f.n
				p.tightOf[innermost] = int32(len(p.tight))
				p.tight = append(p.tight, tight{})
			}
		case opElse:
			top := &f.open[len(f.open)-1]
			if top.op != opIf {
				r.fail(errs.InvalidFormat, "offset %#x: else without if", in.at)
				return
			}
		case opBr, opBrIf:
			m.target(r, in.at, in.index)
		case opBrTable:
			labels := reader{b: r.b, at: in.labels}
			for range in.index + 1 {
				m.target(r, in.at, labels.u32())
			}
		case opCall:
			if int64(in.index) >= int64(m.importedFuncs+len(m.funcs)) {
				r.fail(errs.InvalidFormat, "offset %#x: function %d: there are %d", in.at, in.index, m.importedFuncs+len(m.funcs))
			}
			p.calls = true
		case opRefFunc:
			if int64(in.index) >= int64(m.importedFuncs+len(m.funcs)) {
				r.fail(errs.InvalidFormat, "offset %#x: function %d: there are %d", in.at, in.index, m.importedFuncs+len(m.funcs))
			}
		case opCallIndirect:
			p.calls = true
		case opLocalGet, opLocalSet, opLocalTee:
			if int64(in.index) >= int64(locals) {
				r.fail(errs.InvalidFormat, "offset %#x: local %d: there are %d", in.at, in.index, locals)
			}
			if in.op != opLocalGet && innermost != noLoop {
				p.tight[p.tightOf[innermost]].set(in.index)
			}
		case opGlobalGet, opGlobalSet:
			m.checkGlobal(r, in.at, in.index)
		case opTableSet, opTableGrow, opTableFill, opTableCopy, opTableInit, opElemDrop:
			m.hide("a table")
		case opDataDrop:
			m.hide("dropped data")
		}
		p.bulk = p.bulk || bulk(in.op)
		if (in.op == opCall || in.op == opCallIndirect) && innermost != noLoop {
			p.tight[p.tightOf[innermost]].n = tooMany
		}
		if ended := f.step(&in, 0, p.targeted); in.op == opEnd && ended.op == opLoop {
			innermost = noLoop
		}
	}
	if r.err == nil && !r.done() {
		r.fail(errs.InvalidFormat, "offset %#x: code beyond a function's end", r.at)
	}
}

func (m *patcher) target(r *reader, at int, label uint32) {
	open := m.meter.flow.open
	if int64(label) >= int64(len(open)) {
		r.fail(errs.InvalidFormat, "offset %#x: label %d: %d blocks are open", at, label, len(open))
		return
	}
	m.meter.targeted[open[len(open)-1-int(label)].number] = true
}

// bulk reports whether an instruction's cost depends on the number on top of the stack.
func bulk(op opcode) bool {
	switch op {
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		return true
	}
	return false
}

// tight is what a loop without calls and other loops in it changes, as far as those are few locals.
type tight struct {
	locals [maxTight]uint32
	n      uint8
}

const (
	maxTight = 8
	tooMany  = maxTight + 1
	noLoop   = int32(-1)
)

func (t *tight) set(local uint32) {
	if t.n == tooMany || slices.Contains(t.locals[:t.n], local) {
		return
	}
	if t.n < maxTight {
		t.locals[t.n] = local
	}
	t.n++
}

// copies lists the locals that the loop with a number changes, if it is tight.
func (p *meter) copies(loop int32) []uint32 {
	if i := p.tightOf[loop]; i != noLoop && p.tight[i].n != tooMany {
		return p.tight[i].locals[:p.tight[i].n]
	}
	return nil
}
