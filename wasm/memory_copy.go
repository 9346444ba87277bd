//go:build !(linux && (amd64 || arm64))

package wasm

import "bytes"

// snapshot is the content of a memory, which instances copy.
type snapshot struct{ memory []byte }

func newSnapshot(memory []byte) (*snapshot, error) { return &snapshot{bytes.Clone(memory)}, nil }

func (s *snapshot) close() {}

// newMapping makes a copy of a snapshot, or zeros where it is nil.
func newMapping(s *snapshot, limit int) (*mapping, error) {
	data, err := mapZeros(limit)
	if err != nil {
		return nil, err
	}
	if s != nil {
		copy(data, s.memory)
	}
	return &mapping{data}, nil
}
