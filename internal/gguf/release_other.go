//go:build !linux

package gguf

// Release would give the memory of the tensor's bytes back to the system, where package syscall has the call for it.
func (t *Tensor) Release() {}

// Discard would give back the bytes that are not needed again, likewise.
func (t *Tensor) Discard() {}
