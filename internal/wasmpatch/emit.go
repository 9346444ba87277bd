package wasmpatch

// emit is the third pass over a function's code, which appends it to meter.body. A function whose counter lives in a
// local becomes
//
//	counter = FuelGlobal
//	block (its results)
//	  code, where `return` is a branch to the block's end
//	end
//	FuelGlobal = counter
//
// Branches to the function's own label reach the block without a change: it stands at the same depth.
func (m *patcher) emit(r *reader, t funcType) {
	p, f := &m.meter, &m.meter.flow
	f.begin()
	p.next = 0
	if p.inLocal {
		m.load()
		p.op(opBlock)
		switch len(t.results) {
		case 0:
			p.body = append(p.body, 0x40)
		case 1:
			p.body = append(p.body, t.results[0])
		default:
			p.body = appendS64(p.body, int64(p.typeOf[string(t.results)]))
		}
	}
	for len(f.open) > 0 {
		if p.next < len(p.charges) && int(p.charges[p.next].at) == r.at {
			m.charge(p.charges[p.next])
			p.next++
		}
		in := r.instr()
		dead := f.dead
		depth := len(f.open) - 1
		f.step(&in, 0, p.targeted)
		code := r.b[in.at:in.end]
		switch {
		case in.op == opCall:
			m.call(dead, appendU32([]byte{byte(opCall)}, m.shift(in.index)))
		case in.op == opCallIndirect:
			m.call(dead, code)
		case in.op == opRefFunc:
			p.indexed(opRefFunc, m.shift(in.index))
		case in.op == opReturn && p.inLocal:
			p.indexed(opBr, uint32(depth))
		case bulk(in.op) && !dead:
			m.chargeBulk(in.op)
			p.body = append(p.body, code...)
			if in.op == opMemoryGrow {
				m.noteDenied()
			}
		default:
			p.body = append(p.body, code...)
		}
	}
	if p.inLocal {
		m.store()
		p.op(opEnd)
	}
}

func (p *meter) op(op opcode) { p.body = append(p.body, byte(op)) }

func (p *meter) indexed(op opcode, i uint32) { p.body = appendU32(append(p.body, byte(op)), i) }

func (p *meter) i64(x int64) { p.body = appendS64(append(p.body, byte(opI64Const)), x) }

func (m *patcher) fuelGlobal() uint32 { return uint32(m.importedGlobals + m.globals) }

// load reads the counter from the global.
func (m *patcher) load() {
	m.meter.indexed(opGlobalGet, m.fuelGlobal())
	m.meter.indexed(opLocalSet, m.meter.counter)
}

// store writes the counter back.
func (m *patcher) store() {
	m.meter.indexed(opLocalGet, m.meter.counter)
	m.meter.indexed(opGlobalSet, m.fuelGlobal())
}

func (m *patcher) call(dead bool, code []byte) {
	if !dead {
		m.store()
	}
	m.meter.body = append(m.meter.body, code...)
	if !dead {
		m.load()
	}
}

// charge subtracts a charge's cost.
func (m *patcher) charge(c charge) {
	p := &m.meter
	switch {
	case c.look:
		if !p.inLocal {
			break
		}
		p.indexed(opLocalGet, p.counter)
		p.i64(int64(c.cost))
		p.op(opI64Sub)
		m.look(p.copies(c.loop))
		return
	case c.cost == 0:
		return
	}
	if p.inLocal {
		p.indexed(opLocalGet, p.counter)
	} else {
		p.indexed(opGlobalGet, m.fuelGlobal())
	}
	p.i64(int64(c.cost))
	p.op(opI64Sub)
	if p.inLocal {
		p.indexed(opLocalSet, p.counter)
	} else {
		p.indexed(opGlobalSet, m.fuelGlobal())
	}
}

// look takes the new counter from the stack and asks the host for more where it is below zero:
//
//	if counter >= 0
//	else
//	  counter = refill(counter)
//	end
//
// The form matters to wazero's compiler, which lays registers out for the arm that it meets first: with the call there,
// a tight loop takes twice as long. And a value that changes in a loop and is needed after a call in it is stored at every
// change; copies of the locals that the loop changes keep that in the arm of the call.
func (m *patcher) look(copies []uint32) {
	p := &m.meter
	p.indexed(opLocalTee, p.counter)
	p.i64(0)
	p.op(opI64GeS)
	p.op(opIf)
	p.body = append(p.body, 0x40)
	p.op(opElse)
	for _, local := range copies {
		p.copyLocal(local)
	}
	p.indexed(opLocalGet, p.counter)
	p.indexed(opCall, uint32(m.importedFuncs))
	p.indexed(opLocalSet, p.counter)
	p.op(opEnd)
}

// noteDenied sets the global DeniedGlobal where the result of memory.grow, which stays on the stack, is -1.
func (m *patcher) noteDenied() {
	p := &m.meter
	p.indexed(opLocalTee, p.scratch)
	p.indexed(opLocalGet, p.scratch)
	p.body = append(p.body, byte(opI32Const), 0x7f) // -1
	p.op(opI32Eq)
	p.op(opIf)
	p.body = append(p.body, 0x40)
	p.indexed(opI32Const, 1)
	p.indexed(opGlobalSet, m.fuelGlobal()+1)
	p.op(opEnd)
}

// copyLocal sets a local to itself by an instruction that compilers take for a computation.
func (p *meter) copyLocal(local uint32) {
	t := p.types[local]
	if t == 0x70 || t == 0x6f {
		return
	}
	p.indexed(opLocalGet, local)
	switch t {
	case 0x7f: // i32: x + 0
		p.body = append(p.body, byte(opI32Const), 0, 0x6a)
	case 0x7e: // i64: x + 0
		p.body = append(p.body, byte(opI64Const), 0, 0x7c)
	case 0x7d: // f32.copysign(x, x), which leaves NaNs as they are
		p.indexed(opLocalGet, local)
		p.op(0x98)
	case 0x7c: // f64.copysign(x, x)
		p.indexed(opLocalGet, local)
		p.op(0xa6)
	case 0x7b: // v128.or(x, x)
		p.indexed(opLocalGet, local)
		p.body = append(p.body, 0xfd, 0x50)
	}
	p.indexed(opLocalSet, local)
}

// chargeBulk charges for the number on top of the stack, which stays there.
func (m *patcher) chargeBulk(op opcode) {
	p := &m.meter
	shift, shiftOp := int64(0), opI64ShrU
	highest := uint32(0) // of growth that can succeed
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		shift = bytesShift
	case opMemoryGrow:
		shift, shiftOp, highest = pageShift, opI64Shl, m.options.MemoryPages
	case opTableGrow:
		highest = m.options.TableElements
	}
	p.indexed(opLocalTee, p.scratch)
	p.indexed(opLocalGet, p.counter)
	p.indexed(opLocalGet, p.scratch)
	if op == opMemoryGrow || op == opTableGrow {
		p.op(opI32Const)
		p.body = appendS64(p.body, 0)
		p.indexed(opLocalGet, p.scratch)
		p.op(opI32Const)
		p.body = appendS64(p.body, int64(int32(highest)))
		p.op(opI32LeU)
		p.op(opSelect)
	}
	p.op(opExtendI32U)
	if shift != 0 {
		p.i64(shift)
		p.op(shiftOp)
	}
	p.op(opI64Sub)
	m.look(nil)
}
