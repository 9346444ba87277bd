//go:build !amd64 || !linux || purego

package cpu

// permitTiles says that there are no tiles, or none that are known how to ask for.
func permitTiles() bool { return false }
