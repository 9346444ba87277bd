//go:build purego || (!amd64 && !arm64)

package limits

import "github.com/realm-ai/realm/internal/cpu"

func probeOf(cpu.Set) probe { return generic }
