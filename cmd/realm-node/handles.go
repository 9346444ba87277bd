//go:build cgo && node_addon

package main

import "github.com/realm-ai/realm/internal/bridge"

// openHandles counts what the process holds for JavaScript.
type openHandles struct {
	Environments int `json:"environments"` // the main thread's, and one for each worker that has loaded the addon
	Operations   int `json:"operations"`   // calls in progress
	Sessions     int `json:"sessions"`
	Sandboxes    int `json:"sandboxes"`
	Requests     int `json:"requests"` // for sandboxes, not yet answered
	Tasks        int `json:"tasks"`    // of guests
	Modules      int `json:"modules"`  // of guests, patched
	Holds        int `json:"holds"`    // of stored models, by what is counted above
}

// getOpenHandles() returns the counts, of all environments together: for tests, and for whoever looks for a leak. What a
// worker held is gone from them when the worker has ended.
func getOpenHandles(*call) (any, error) {
	h := openHandles{Environments: environments.Size(), Sandboxes: sandboxes.Size(), Requests: requests.Size()}
	environments.Each(func(env *environment) {
		operations, sessions := env.Open()
		h.Operations += operations
		h.Sessions += sessions
		h.Tasks += env.tasks.Size()
	})
	for _, m := range bridge.Models().Models() {
		h.Holds += m.Holds
	}
	modules.mu.Lock()
	defer modules.mu.Unlock()
	h.Modules = len(modules.all)
	return h, nil
}
