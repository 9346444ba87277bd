package bridge

import (
	"math"
)

// storeModel(source) stores the model in a file, by its path, or in a buffer, and returns its id.
func storeModel(c *Call) (any, error) {
	var id uint32
	var err error
	switch {
	case c.Is(0, String):
		id, err = Models().StoreFile(c.Context(), c.Args[0].Text)
	case c.Is(0, Bytes):
		id, err = Models().StoreBytes(c.Context(), c.Args[0].Bytes)
	default:
		err = c.Invalid(0, "a path, or a buffer with a GGUF file")
	}
	if err != nil {
		return nil, err
	}
	return int(id), nil
}

// modelInfo is what JavaScript learns of a model.
type modelInfo struct {
	TensorCount   int    `json:"tensor_count"`
	TotalSize     int64  `json:"total_size"`
	FileSize      int64  `json:"file_size"`
	Name          string `json:"name"`
	Architecture  string `json:"architecture"`
	Layers        int    `json:"layers"`
	HiddenSize    int    `json:"hidden_size"`
	FFNSize       int    `json:"ffn_size"`
	Heads         int    `json:"heads"`
	KVHeads       int    `json:"kv_heads"`
	HeadDim       int    `json:"head_dim"`
	VocabSize     int    `json:"vocab_size"`
	ContextLength int    `json:"context_length"`
}

// getModelInfo(modelId) returns a model's shape and sizes.
func getModelInfo(c *Call) (any, error) {
	id, err := c.ModelID(0)
	if err != nil {
		return nil, err
	}
	i, err := Models().Info(c.Context(), id)
	if err != nil {
		return nil, err
	}
	return modelInfo{
		TensorCount: i.TensorCount, TotalSize: i.TensorBytes, FileSize: i.FileBytes, Name: i.Name, Architecture: i.Architecture,
		Layers: i.Layers, HiddenSize: i.Hidden, FFNSize: i.FFN, Heads: i.Heads, KVHeads: i.KVHeads, HeadDim: i.HeadDim,
		VocabSize: i.Vocab, ContextLength: i.ContextLength,
	}, nil
}

// tensorLength(modelId, name) returns the number of elements of a tensor.
func tensorLength(c *Call) (any, error) {
	_, _, n, err := c.tensor()
	if err != nil {
		return nil, err
	}
	return n, nil
}

// tensor reads the arguments that name a tensor, a model's id and a name, and returns the number of its elements too.
func (c *Call) tensor() (id uint32, name string, n int, err error) {
	if id, err = c.ModelID(0); err != nil {
		return 0, "", 0, err
	}
	if name, err = c.Text(1, "a tensor's name"); err != nil {
		return 0, "", 0, err
	}
	n, err = c.tensorElements(id, name)
	return id, name, n, err
}

// tensorElements returns the number of elements of a tensor.
func (c *Call) tensorElements(id uint32, name string) (int, error) {
	m, err := Models().Model(c.Context(), id)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	for _, t := range m.Tensors() {
		if t.Name == name {
			n := 1
			for _, d := range t.Shape {
				n *= int(d) // the file's parser has checked that the product fits
			}
			return n, nil
		}
	}
	return 0, m.Tensor(c.Context(), name, nil) // not found, with the closest names
}

// getTensor(modelId, name[, into]) dequantizes a tensor into a buffer of float32, aligned to 4 bytes and of exactly its
// size; without one it returns a new ArrayBuffer.
func getTensor(c *Call) (any, error) {
	id, name, n, err := c.tensor()
	if err != nil {
		return nil, err
	}
	if n > math.MaxInt/4 {
		return nil, c.Invalid(1, "a tensor that fits the address space")
	}
	if len(c.Args) < 3 && c.Op == nil {
		return NewBuffer(4 * n), nil
	}
	dst, err := elements[float32](c, 2, n)
	if err != nil {
		return nil, err
	}
	return nil, Models().Tensor(c.Context(), id, name, dst)
}

// removeModel(modelId) gives a reference to a model back.
func removeModel(c *Call) (any, error) {
	id, err := c.ModelID(0)
	if err != nil {
		return nil, err
	}
	return nil, Models().Remove(id)
}
