package wasm

// mapping is an instance's memory. It has its largest size from the start, of which the operating system provides what is
// used, so it never moves. Beyond what the instance starts with it reads as zero.
//
//	snapshot, shared until written | zeros
//	0                              n       limit
type mapping struct{ data []byte }

// Reallocate gives the memory a size; wazero asks for no more than the module's maximum, which is the limit.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(m.data)) {
		return nil
	}
	return m.data[:size:size]
}

// Free gives the memory back.
func (m *mapping) Free() {
	if m.data != nil {
		unmap(m.data)
		m.data = nil
	}
}
