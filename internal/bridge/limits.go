package bridge

import (
	"encoding/json"
	"math"
	"time"

	"github.com/realm-ai/realm/internal/hostcall"
)

// limits are a sandbox's limits as JavaScript gives them; what is missing has the default.
type limits struct {
	Fuel       *float64 `json:"fuel"`
	Timeout    *float64 `json:"timeout"` // milliseconds
	CacheBytes *float64 `json:"cacheLimit"`
	Output     *float64 `json:"outputLimit"`
	HostCalls  *float64 `json:"hostCallLimit"`
}

// Limits returns an argument that is a sandbox's limits in JSON.
func (c *Call) Limits(i int) (hostcall.Limits, error) {
	out := hostcall.DefaultLimits()
	text, err := c.Text(i, "limits in JSON")
	if err != nil {
		return out, err
	}
	var given limits
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return out, c.Invalid(i, "limits in JSON: "+err.Error())
	}
	set := func(from *float64, most float64, to func(int64)) {
		if from != nil && err == nil {
			if v := *from; !(v >= 0 && v <= most) || v != math.Trunc(v) {
				err = c.Invalid(i, "whole numbers, 0 or more, as limits")
			} else {
				to(int64(v))
			}
		}
	}
	const most = 1 << 53
	set(given.Fuel, most, func(v int64) { out.Fuel = uint64(v) })
	set(given.Timeout, math.MaxInt64/float64(time.Millisecond)/2, func(v int64) { out.Time = time.Duration(v) * time.Millisecond })
	set(given.CacheBytes, most, func(v int64) { out.CacheBytes = v })
	set(given.Output, most, func(v int64) { out.OutputBytes = v })
	set(given.HostCalls, most, func(v int64) { out.HostCalls = v })
	return out, err
}
