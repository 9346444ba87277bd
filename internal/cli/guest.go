package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/wasm"
)

// GuestResult is what a guest used for an answer.
type GuestResult struct {
	MemoryBytes int64            `json:"memory_bytes"` // of linear memory at the end
	WeightBytes int64            `json:"weight_bytes"` // of tensors that entered the guest
	Fuel        uint64           `json:"fuel"`         // units, about one for each instruction
	HostCalls   map[string]int64 `json:"host_calls"`   // by name
}

// GuestTable says where the memory of an answer is: in the host, and not in the guest.
func GuestTable(i realm.Info, tensors []realm.Tensor, host Memory, g *GuestResult) string {
	weights := 0.0
	for _, tensor := range tensors {
		n := 1.0
		for _, d := range tensor.Shape {
			n *= float64(d)
		}
		weights += n
	}
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(g.HostCalls)) {
		calls = append(calls, fmt.Sprintf("%s %d", name, g.HostCalls[name]))
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"model file", Bytes(float64(i.FileBytes))},
		{"its weights as float32", Bytes(4 * weights)},
		{"host memory, resident", Bytes(float64(host.Resident))},
		{"guest memory", Bytes(float64(g.MemoryBytes))},
		{"weights that entered the guest", Bytes(float64(g.WeightBytes))},
		{"fuel", fmt.Sprintf("%d units", g.Fuel)},
		{"host calls", strings.Join(calls, ", ")},
	} {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	_ = t.Flush() // a Builder takes everything
	return strings.TrimSuffix(b.String(), "\n")
}

// GuestDescription is what `realm guest inspect --json` prints.
type GuestDescription struct {
	File       string          `json:"file"`
	FileBytes  int64           `json:"file_bytes"`
	ABIVersion int             `json:"abi_version"`
	MemoryMin  int64           `json:"memory_min_bytes"`
	MemoryMax  int64           `json:"memory_max_bytes"`
	Imports    []GuestFunction `json:"imports"`
	Exports    []GuestFunction `json:"exports"`
	Refused    string          `json:"refused"`
}

// GuestFunction is an import or an export.
type GuestFunction struct {
	Module string `json:"module,omitempty"`
	Name   string `json:"name"`
	Type   string `json:"type"`
}

// NewGuestDescription describes a module.
func NewGuestDescription(file string, size int, d *wasm.Description) *GuestDescription {
	out := &GuestDescription{
		File: file, FileBytes: int64(size), ABIVersion: d.ABIVersion, MemoryMin: d.MemoryMin, MemoryMax: d.MemoryMax,
		Imports: []GuestFunction{}, Exports: []GuestFunction{},
	}
	if d.Refused != nil {
		out.Refused = d.Refused.Error()
	}
	for _, f := range d.Imports {
		out.Imports = append(out.Imports, GuestFunction(f))
	}
	for _, f := range d.Exports {
		out.Exports = append(out.Exports, GuestFunction(f))
	}
	return out
}

// WriteText prints the description for people.
func (d *GuestDescription) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	most := "open"
	if d.MemoryMax > 0 {
		most = Bytes(float64(d.MemoryMax))
	}
	fmt.Fprintf(t, "file\t%s, %s\n", d.File, Bytes(float64(d.FileBytes)))
	if d.Refused == "" {
		fmt.Fprintf(t, "ABI version\t%d\n", d.ABIVersion)
	} else {
		fmt.Fprintf(t, "refused\t%s\n", d.Refused)
	}
	fmt.Fprintf(t, "memory\t%s at the start, %s at most\n", Bytes(float64(d.MemoryMin)), most)
	for _, f := range d.Imports {
		fmt.Fprintf(t, "import\t%s.%s\t%s\n", f.Module, f.Name, f.Type)
	}
	for _, f := range d.Exports {
		fmt.Fprintf(t, "export\t%s\t%s\n", f.Name, f.Type)
	}
	return t.Flush()
}
