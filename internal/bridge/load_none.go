//go:build nofetch

package bridge

func named() []Function { return nil }
