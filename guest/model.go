package guest

import (
	"unsafe"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/chat"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// The types of a model that guests share with the host.
type (
	Info          = abi.ModelInfo           // sizes and shape of a model
	Tokenizer     = tokenizer.Tokenizer     // text to token IDs and back
	EncodeOptions = tokenizer.EncodeOptions // how a text is read
	DecodeOptions = tokenizer.DecodeOptions // how token IDs are written
	Template      = chat.Template           // a conversation to the text of a prompt
	Message       = chat.Message            // a turn of a conversation
)

// Model is a model that the embedder granted to this guest. Its calls act on the selected sequence, at first sequence 0.
type Model struct {
	Info Info

	tokenizer *Tokenizer
	template  *Template
}

var models = map[uint32]*Model{}

// Open returns the model with an id, such as Request.Model. It fails with errs.PermissionDenied or errs.NotFound where the
// embedder has not granted it.
func Open(id uint32) (*Model, error) {
	if m := models[id]; m != nil {
		return m, nil
	}
	var buf [abi.ModelInfoSize]byte
	if _, err := getModelInfo(id, buf[:]); err != nil {
		return nil, err
	}
	info, err := abi.DecodeModelInfo(buf[:])
	if err != nil {
		return nil, err
	}
	info.ModelID = id
	m := &Model{Info: info}
	models[id] = m
	return m, nil
}

// Tokenizer returns the model's tokenizer, for which the first call reads the vocabulary.
func (m *Model) Tokenizer() (*Tokenizer, error) {
	if m.tokenizer != nil {
		return m.tokenizer, nil
	}
	table, err := m.metadata(abi.MetadataVocab)
	if err != nil {
		return nil, err
	}
	vocab, err := tokenizer.VocabFromTable(table)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.New(vocab)
	if err != nil {
		return nil, err
	}
	m.tokenizer = t
	return t, nil
}

// Template returns the model's chat template. Where the model has none, or one that Realm cannot run, it is ChatML.
func (m *Model) Template() (*Template, error) {
	if m.template != nil {
		return m.template, nil
	}
	source, err := m.metadata(abi.MetadataChatTemplate)
	if err != nil && errs.CodeOf(err) != errs.NotFound {
		return nil, err
	}
	m.template = chat.Fallback()
	if err == nil {
		if own, err := chat.Parse(string(source)); err == nil {
			m.template = own
		}
	}
	return m.template, nil
}

// Name returns the model's name, which may be empty, and its architecture.
func (m *Model) Name() (name, architecture string, err error) {
	n, err := m.metadata(abi.MetadataName)
	if err != nil {
		return "", "", err
	}
	a, err := m.metadata(abi.MetadataArchitecture)
	return string(n), string(a), err
}

func (m *Model) metadata(what uint32) ([]byte, error) {
	size, err := getModelMetadata(m.Info.ModelID, what, nil)
	if err != nil || size == 0 {
		return nil, err
	}
	words := make([]uint32, (size+3)/4) // so that the numbers of the vocabulary table are aligned
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)
	_, err = getModelMetadata(m.Info.ModelID, what, data)
	return data, err
}

// Forward computes tokens at position, position+1, ... What stood at and beyond position is dropped. The logits of the last
// token, (VocabSize), are written to logits if it is not nil.
func (m *Model) Forward(tokens []int32, position int, logits []float32) error {
	if logits != nil {
		if err := checkLen("logits", len(logits), int(m.Info.VocabSize)); err != nil {
			return err
		}
	}
	return forward(m.Info.ModelID, tokens, uint32(position), logits)
}

// TopLogits writes the IDs of the len(ids) tokens with the largest logits of the last Forward to ids, the largest first and
// of equal ones the lower ID, and the logits to logits. It returns how many there are, which is fewer where the vocabulary
// is smaller. A NaN stands before all numbers.
func (m *Model) TopLogits(ids []int32, logits []float32) (int, error) {
	if err := checkLen("logits", len(logits), len(ids)); err != nil {
		return 0, err
	}
	return topLogits(m.Info.ModelID, ids, logits)
}

// EmbedTokens writes the hidden states, (len(tokens), HiddenSize), of tokens before the first layer to out.
func (m *Model) EmbedTokens(tokens []int32, out []float32) error {
	if err := checkLen("hidden states", len(out), len(tokens)*int(m.Info.HiddenSize)); err != nil {
		return err
	}
	return embedTokens(m.Info.ModelID, tokens, out)
}

// ForwardLayer runs one transformer layer on the hidden states, (tokens, HiddenSize), of tokens at position, position+1,
// ..., and writes the result to out, which may be hidden. Each layer of a sequence has a length of its own: position is at
// most that, and what stood at and beyond position is dropped from the layer.
func (m *Model) ForwardLayer(layer int, hidden []float32, position int, out []float32) error {
	if err := checkLen("hidden states", len(out), len(hidden)); err != nil {
		return err
	}
	return forwardLayer(m.Info.ModelID, uint32(layer), hidden, uint32(position), out)
}

// ComputeLogits writes the logits, (VocabSize), of one token's hidden state, (HiddenSize), to out. The state may be that
// after any layer.
func (m *Model) ComputeLogits(hidden, out []float32) error {
	if err := checkLen("logits", len(out), int(m.Info.VocabSize)); err != nil {
		return err
	}
	return computeLogits(m.Info.ModelID, hidden, out)
}

// Tensor returns a tensor's weights. It takes a grant of its own, which embedders rarely give.
func (m *Model) Tensor(name string) ([]float32, error) {
	n, err := getTensor(m.Info.ModelID, name, nil)
	if err != nil || n == 0 {
		return nil, err
	}
	out := make([]float32, n)
	_, err = getTensor(m.Info.ModelID, name, out)
	return out, err
}

// Truncate drops what stands at and beyond position from the selected sequence.
func (m *Model) Truncate(position int) error { return kvTruncate(m.Info.ModelID, uint32(position)) }

// Fork makes a sequence with the first positions of the selected one, whose memory they share until one of them changes
// it, and returns its number. It does not select it.
func (m *Model) Fork(position int) (seq uint32, err error) {
	return kvFork(m.Info.ModelID, uint32(position))
}

// Select makes later calls act on a sequence from Fork, or on sequence 0.
func (m *Model) Select(seq uint32) error { return kvSelect(m.Info.ModelID, seq) }

// Free frees a sequence from Fork that is not selected.
func (m *Model) Free(seq uint32) error { return kvFree(m.Info.ModelID, seq) }

func checkLen(what string, n, want int) error {
	if n != want {
		return errs.Errorf(errs.InvalidArgument, "guest: %s: room for %d values, want %d", what, n, want)
	}
	return nil
}
