//go:build !unix

package wasm

func mapZeros(limit int) ([]byte, error) { return make([]byte, limit), nil }

func unmap([]byte) {}
