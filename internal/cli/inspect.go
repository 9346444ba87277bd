package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/realm-ai/realm"
)

// InspectResult is what `realm inspect --json` prints. Sizes are in bytes.
type InspectResult struct {
	File        string `json:"file"`
	Version     int    `json:"gguf_version"`
	Parts       int    `json:"parts"`
	FileBytes   int64  `json:"file_bytes"`
	TensorBytes int64  `json:"tensor_bytes"`
	Parameters  uint64 `json:"parameters"` // elements of all tensors
	SHA256      string `json:"sha256,omitempty"`

	Supported bool        `json:"supported"`
	Reason    string      `json:"unsupported_reason,omitempty"`
	Model     *ModelShape `json:"model"`   // null if not supported
	Session   *SessionRAM `json:"session"` // likewise

	Metadata map[string]MetadataValue `json:"metadata"`
	DTypes   []DTypeTotal             `json:"dtypes"` // the largest first
	Tensors  []TensorInfo             `json:"tensors"`

	keys []string // of Metadata, in the order of the file
}

// ModelShape is the shape of a model that can be run.
type ModelShape struct {
	Name          string `json:"name"`
	Architecture  string `json:"architecture"`
	Layers        int    `json:"layers"`
	Hidden        int    `json:"hidden_size"`
	FFN           int    `json:"ffn_size"`
	Heads         int    `json:"heads"`
	KVHeads       int    `json:"kv_heads"`
	HeadDim       int    `json:"head_dim"`
	Vocab         int    `json:"vocab_size"`
	ContextLength int    `json:"context_length"` // that the model was trained for
	TemplateError string `json:"chat_template_error,omitempty"`
}

// SessionRAM is the memory that a session needs beside the model: the KV cache in F16, which grows with its tokens.
type SessionRAM struct {
	PerToken    int64 `json:"kv_bytes_per_token"`
	FullContext int64 `json:"kv_bytes_full_context"`
}

// MetadataValue is one value of the metadata.
type MetadataValue struct {
	Type   string `json:"type"`
	Value  any    `json:"value"`            // NaN and infinities as strings
	Length *int   `json:"length,omitempty"` // of an array, of which Value may have only the start
}

// DTypeTotal sums up the tensors of one dtype.
type DTypeTotal struct {
	DType      string `json:"dtype"`
	Tensors    int    `json:"tensors"`
	Parameters uint64 `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

// TensorInfo describes one tensor.
type TensorInfo struct {
	Name  string   `json:"name"`
	DType string   `json:"dtype"`
	Shape []uint64 `json:"shape"` // the row length first
	Bytes int64    `json:"bytes"`
}

// ShownElements is how much of an array is shown unless all of it is asked for.
const ShownElements = 8

// NewInspectResult puts together what a file says of itself.
func NewInspectResult(path string, d *realm.Description) *InspectResult {
	r := &InspectResult{
		File: path, Version: d.Version, Parts: d.Parts, FileBytes: d.FileBytes, TensorBytes: d.TensorBytes,
		Metadata: map[string]MetadataValue{}, DTypes: []DTypeTotal{}, Tensors: []TensorInfo{},
	}
	for _, kv := range d.Metadata {
		v := MetadataValue{Type: kv.Type}
		if _, ok := kv.Value.([]any); ok {
			v.Length = &kv.Length
		}
		v.Value = jsonValue(kv.Value)
		r.Metadata[kv.Key] = v
		r.keys = append(r.keys, kv.Key)
	}
	for _, t := range d.Tensors {
		r.Tensors = append(r.Tensors, TensorInfo(t))
		elements := uint64(1)
		for _, n := range t.Shape {
			elements *= n
		}
		i := slices.IndexFunc(r.DTypes, func(total DTypeTotal) bool { return total.DType == t.DType })
		if i < 0 {
			i = len(r.DTypes)
			r.DTypes = append(r.DTypes, DTypeTotal{DType: t.DType})
		}
		total := &r.DTypes[i]
		total.Tensors++
		total.Parameters += elements
		total.Bytes += t.Bytes
		r.Parameters += elements
	}
	slices.SortStableFunc(r.DTypes, func(a, b DTypeTotal) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return r
}

// SetModel adds what is known of a file that can be run.
func (r *InspectResult) SetModel(i realm.Info) {
	r.Supported = true
	r.Model = &ModelShape{
		Name: i.Name, Architecture: i.Architecture, Layers: i.Layers, Hidden: i.Hidden, FFN: i.FFN, Heads: i.Heads,
		KVHeads: i.KVHeads, HeadDim: i.HeadDim, Vocab: i.Vocab, ContextLength: i.TrainedLength,
	}
	if i.TemplateError != nil {
		r.Model.TemplateError = i.TemplateError.Error()
	}
	r.Session = &SessionRAM{PerToken: i.CacheBytesPerToken, FullContext: i.CacheBytesPerToken * int64(i.TrainedLength)}
}

// jsonValue makes a value one that encoding/json writes as it is meant: NaN and infinities become strings, and slices of
// any type, which arrays of arrays hold, become []any, lest a []uint8 be written in base64.
func jsonValue(value any) any {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = jsonValue(v.Index(i).Interface())
		}
		return out
	case reflect.Float32, reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprint(x)
		}
	}
	return value
}

// WriteText writes the result for people. Names and texts of the file are quoted where they hold anything that a
// terminal might obey. Long texts are cut unless all is set.
func (r *InspectResult) WriteText(out io.Writer, all bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	parts := ""
	if r.Parts > 1 {
		parts = fmt.Sprintf(" in %d parts", r.Parts)
	}
	row("file", "%s", plain(r.File))
	row("format", "GGUF version %d, %s%s", r.Version, Bytes(float64(r.FileBytes)), parts)
	if r.SHA256 != "" {
		row("sha256", "%s", r.SHA256)
	}
	row("tensors", "%d, %s parameters in %s", len(r.Tensors), count(r.Parameters), Bytes(float64(r.TensorBytes)))
	for _, d := range r.DTypes {
		row("", "%s: %d, %s parameters in %s", plain(d.DType), d.Tensors, count(d.Parameters), Bytes(float64(d.Bytes)))
	}
	if m := r.Model; m != nil {
		name := "without a name"
		if m.Name != "" {
			name = plain(m.Name)
		}
		row("model", "%s, architecture %s", name, plain(m.Architecture))
		row("", "%d layers, hidden size %d, FFN %d", m.Layers, m.Hidden, m.FFN)
		row("", "%d query heads, %d key and value heads of %d", m.Heads, m.KVHeads, m.HeadDim)
		row("", "%d tokens in the vocabulary, context length %d", m.Vocab, m.ContextLength)
		row("session", "KV cache in F16: %s a token, %s at the full context length",
			Bytes(float64(r.Session.PerToken)), Bytes(float64(r.Session.FullContext)))
		if m.TemplateError != "" {
			row("template", "not used: %s", Printable(m.TemplateError))
		}
		row("supported", "yes")
	} else {
		row("supported", "no: %s", Printable(r.Reason))
	}

	fmt.Fprintf(w, "\nmetadata (%d)\n", len(r.keys))
	for _, key := range r.keys {
		v := r.Metadata[key]
		fmt.Fprintf(w, "  %s\t%s\t%s\n", plain(key), v.Type, v.text(all))
	}
	fmt.Fprintf(w, "\ntensors (%d)\n", len(r.Tensors))
	for _, t := range r.Tensors {
		shape := make([]string, len(t.Shape))
		for i, n := range t.Shape {
			shape[i] = strconv.FormatUint(n, 10)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", plain(t.Name), plain(t.DType), strings.Join(shape, " x "), Bytes(float64(t.Bytes)))
	}
	return w.Flush()
}

// count writes a number of parameters as they are spoken of: 135M, 1.10B.
func count(n uint64) string {
	x, unit := float64(n), ""
	for _, u := range []string{"K", "M", "B", "T"} {
		if x < 999.5 {
			break
		}
		x, unit = x/1000, u
	}
	if unit == "" {
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%.*f%s", decimals(x), x, unit)
}

// plain quotes a name that is not plain text.
func plain(s string) string {
	if quoted := strconv.Quote(s); quoted != `"`+s+`"` || s == "" {
		return quoted
	}
	return s
}

// shownText is how many characters of a text are shown unless all are asked for.
const shownText = 60

func (v MetadataValue) text(all bool) string {
	list, ok := v.Value.([]any)
	if !ok {
		return valueText(v.Value, all)
	}
	var b strings.Builder
	for i, x := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(valueText(x, all))
	}
	if len(list) < *v.Length {
		fmt.Fprintf(&b, ", ... %d in all", *v.Length)
	}
	return "[" + b.String() + "]"
}

func valueText(v any, all bool) string {
	switch v := v.(type) {
	case string:
		if runes := []rune(v); !all && len(runes) > shownText {
			return fmt.Sprintf("%s... %d bytes", strconv.Quote(string(runes[:shownText])), len(v))
		}
		return strconv.Quote(v)
	case []any:
		return MetadataValue{Value: v, Length: new(len(v))}.text(all)
	}
	return fmt.Sprint(v)
}
