//go:build !linux

package model

// allocate returns n bytes of zeroed memory.
func allocate(n int64) ([]byte, error) { return make([]byte, n), nil }

// free gives back what allocate returned; here the garbage collector does.
func free([]byte) error { return nil }
