//go:build !amd64 || purego

package cpu

func detect() sets { return sets{Generic: true} }
