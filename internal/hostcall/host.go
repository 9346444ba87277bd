package hostcall

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// The host functions. Each is given its parameters in the order of the ABI's table. It checks all of them, every pointer
// with its length before anything is read or written there, and writes last, so that a call that fails changes nothing in
// the guest's memory:
//
//	realm_forward(model_id, token_ids_ptr, token_count, position, out_ptr)
//	                            |                                    |
//	           reads [3]u32  05 00 00 00 07 00 00 00 02 00 00 00     |
//	           writes [vocab_size]f32                    00 00 80 3f ...
var hostFunctions = map[string]func(t *Task, p []uint32) (int64, error){
	abi.EmbedTokens:      embedTokens,
	abi.ForwardLayer:     forwardLayer,
	abi.ComputeLogits:    computeLogits,
	abi.Forward:          forward,
	abi.TopLogits:        topLogits,
	abi.GetModelInfo:     getModelInfo,
	abi.GetModelMetadata: getModelMetadata,
	abi.GetTensor:        getTensor,
	abi.KVTruncate:       kvTruncate,
	abi.KVFork:           kvFork,
	abi.KVSelect:         kvSelect,
	abi.KVFree:           kvFree,
	abi.Emit:             emit,
	abi.LastError:        lastError,
	abi.Log:              logLine,
	abi.Now:              now,
}

// maxParams is the most parameters that a host function has.
const maxParams = 8

// hostFunction does what all host functions do around their own work. index is its place in the table.
func hostFunction(index int, f abi.Func) func(t *Task, params []uint64) uint64 {
	run := hostFunctions[f.Name]
	always := f.Name == abi.LastError || f.Name == abi.Now // which a cancelled guest may still call
	return func(t *Task, params []uint64) uint64 {
		t.calls[index]++
		t.hostCalls++
		if limit := t.request.Limits.HostCalls; limit > 0 && t.hostCalls > limit {
			t.end(errorf(realm.CodeHostCallLimit, "the guest has made more than %d host calls", limit))
		}
		var p [maxParams]uint32
		for i, v := range params {
			p[i] = uint32(v)
		}
		var result int64
		var err error
		if t.ctx.Err() != nil && !always {
			err = t.canceled()
		} else {
			result, err = run(t, p[:])
		}
		if err != nil {
			t.lastError = err
			result = int64(abi.ErrorResult(err))
		}
		if f.Result == abi.I64 {
			return uint64(result)
		}
		return uint64(uint32(result))
	}
}

// canceled is the error of a host call of a task whose context has ended. A guest may take note of it once.
func (t *Task) canceled() error {
	err := contextError(t.ctx.Err())
	if t.warned {
		t.end(err)
	}
	t.warned = true
	return err
}

// sequence is the selected sequence of a model by its id.
func (t *Task) sequence(id uint32) (*realm.Session, *Grant, error) {
	m, err := t.model(id)
	if err != nil {
		return nil, nil, err
	}
	s, err := t.session(m)
	return s, m, err
}

// readTokens reads token ids. One that is no int32 becomes -1, which is in no vocabulary.
func (t *Task) readTokens(at, n uint32) ([]int32, error) {
	b, err := t.span(at, uint64(n), 4)
	if err != nil {
		return nil, err
	}
	t.tokens = t.tokens[:0]
	for ; len(b) > 0; b = b[4:] {
		id := binary.LittleEndian.Uint32(b)
		if id > math.MaxInt32 {
			id = math.MaxUint32
		}
		t.tokens = append(t.tokens, int32(id))
	}
	return t.tokens, nil
}

// scratch is room for n floats, until the next call of it.
func (t *Task) scratch(n uint64) []float32 {
	t.floats = slices.Grow(t.floats[:0], int(n))[:n]
	return t.floats
}

func embedTokens(t *Task, p []uint32) (int64, error) {
	s, m, err := t.sequence(p[0])
	if err != nil {
		return 0, err
	}
	tokens, err := t.readTokens(p[1], p[2])
	if err != nil {
		return 0, err
	}
	n := uint64(len(tokens)) * uint64(m.Model.Info().Hidden)
	out, err := t.span(p[3], n, 4)
	if err != nil {
		return 0, err
	}
	if len(tokens) == 0 {
		return 0, errorf(realm.CodeInvalidArgument, "%s: no tokens", abi.EmbedTokens)
	}
	hidden := t.scratch(n)
	if err := s.Embed(tokens, hidden); err != nil {
		return 0, err
	}
	putFloats(out, hidden)
	return 0, nil
}

func forwardLayer(t *Task, p []uint32) (int64, error) {
	s, _, err := t.sequence(p[0])
	if err != nil {
		return 0, err
	}
	in, err := t.span(p[2], uint64(p[3]), 4)
	if err != nil {
		return 0, err
	}
	out, err := t.span(p[5], uint64(p[3]), 4)
	if err != nil {
		return 0, err
	}
	hidden := t.scratch(uint64(p[3]))
	getFloats(hidden, in)
	if err := s.ForwardLayer(t.ctx, int(p[1]), hidden, int(p[4])); err != nil {
		return 0, err
	}
	putFloats(out, hidden)
	return 0, nil
}

func computeLogits(t *Task, p []uint32) (int64, error) {
	s, m, err := t.sequence(p[0])
	if err != nil {
		return 0, err
	}
	info := m.Model.Info()
	in, err := t.span(p[1], uint64(p[2]), 4)
	if err != nil {
		return 0, err
	}
	out, err := t.span(p[3], uint64(info.Vocab), 4)
	if err != nil {
		return 0, err
	}
	if int(p[2]) != info.Hidden {
		return 0, errorf(realm.CodeInvalidArgument, "%s: hidden size %d, the model's is %d", abi.ComputeLogits, p[2], info.Hidden)
	}
	buffer := t.scratch(uint64(info.Hidden) + uint64(info.Vocab))
	hidden, logits := buffer[:info.Hidden], buffer[info.Hidden:]
	getFloats(hidden, in)
	if err := s.Logits(hidden, logits); err != nil {
		return 0, err
	}
	putFloats(out, logits)
	return 0, nil
}

func forward(t *Task, p []uint32) (int64, error) {
	m, err := t.model(p[0])
	if err != nil {
		return 0, err
	}
	tokens, err := t.readTokens(p[1], p[2])
	if err != nil {
		return 0, err
	}
	var out []byte
	if p[4] != 0 {
		if out, err = t.span(p[4], uint64(m.Model.Info().Vocab), 4); err != nil {
			return 0, err
		}
	}
	logits, err := t.forward(m, tokens, int(p[3]))
	if err != nil {
		return 0, err
	}
	if out != nil {
		putFloats(out, logits)
	}
	if t.request.OnForward != nil {
		t.request.OnForward(tokens, int(p[3]), logits)
	}
	return 0, nil
}

func topLogits(t *Task, p []uint32) (int64, error) {
	s, m, err := t.sequence(p[0])
	if err != nil {
		return 0, err
	}
	k := uint64(p[1])
	outIDs, err := t.span(p[2], k, 4)
	if err != nil {
		return 0, err
	}
	outLogits, err := t.span(p[3], k, 4)
	if err != nil {
		return 0, err
	}
	if k == 0 {
		return 0, errorf(realm.CodeInvalidArgument, "%s: k is 0", abi.TopLogits)
	}
	k = min(k, uint64(m.Model.Tokenizer().VocabSize()))
	ids := slices.Grow(t.tokens[:0], int(k))[:k]
	t.tokens = ids
	logits := t.scratch(k)
	n, err := s.TopLogits(ids, logits)
	if err != nil {
		return 0, err
	}
	for i, id := range ids[:n] {
		binary.LittleEndian.PutUint32(outIDs[4*i:], uint32(id))
	}
	putFloats(outLogits, logits[:n])
	return int64(n), nil
}

func getModelInfo(t *Task, p []uint32) (int64, error) {
	m, err := t.model(p[0])
	if err != nil {
		return 0, err
	}
	out, err := t.span(p[1], uint64(p[2]), 1)
	if err != nil {
		return 0, err
	}
	i := m.Model.Info()
	info := abi.ModelInfo{
		TotalSize: uint64(i.TensorBytes), FileSize: uint64(i.FileBytes), TensorCount: uint32(i.TensorCount), ModelID: m.ID,
		LayerCount: uint32(i.Layers), HiddenSize: uint32(i.Hidden), FFNSize: uint32(i.FFN), HeadCount: uint32(i.Heads),
		KVHeadCount: uint32(i.KVHeads), HeadDim: uint32(i.HeadDim), VocabSize: uint32(i.Vocab),
		TokenCount: uint32(m.Model.Tokenizer().VocabSize()), ContextLength: uint32(i.ContextLength),
		TrainedContextLength: uint32(i.TrainedLength),
	}
	copy(out, info.Encode())
	return abi.ModelInfoSize, nil
}

func getModelMetadata(t *Task, p []uint32) (int64, error) {
	m, err := t.model(p[0])
	if err != nil {
		return 0, err
	}
	out, err := t.span(p[2], uint64(p[3]), 1)
	if err != nil {
		return 0, err
	}
	var value []byte
	switch p[1] {
	case abi.MetadataVocab:
		if value, err = m.vocabTable(); err != nil {
			return 0, err
		}
	case abi.MetadataChatTemplate:
		if value = []byte(m.Model.ChatTemplate()); len(value) == 0 {
			return 0, errorf(realm.CodeNotFound, "the model has no chat template")
		}
	case abi.MetadataName:
		value = []byte(m.Model.Info().Name)
	case abi.MetadataArchitecture:
		value = []byte(m.Model.Info().Architecture)
	default:
		return 0, errorf(realm.CodeInvalidArgument, "metadata kind %d is unknown", p[1])
	}
	copy(out, value)
	return int64(len(value)), nil
}

// vocabTable is the model's vocabulary, which a guest asks for twice: how long it is, then for the table.
func (m *Grant) vocabTable() ([]byte, error) {
	if m.vocab == nil {
		table, err := m.Model.Tokenizer().VocabTable()
		if err != nil {
			return nil, err
		}
		m.vocab = table
	}
	return m.vocab, nil
}

func getTensor(t *Task, p []uint32) (int64, error) {
	m, err := t.model(p[0])
	if err != nil {
		return 0, err
	}
	name, err := t.span(p[1], uint64(p[2]), 1)
	if err != nil {
		return 0, err
	}
	out, err := t.span(p[3], uint64(p[4]), 4)
	if err != nil {
		return 0, err
	}
	if !m.Tensors {
		return 0, errorf(realm.CodePermissionDenied, "the tensors of model %#x are not granted to the guest", m.ID)
	}
	n := uint64(0)
	for _, tensor := range m.Model.Tensors() {
		if tensor.Name == string(name) {
			n = 1
			for _, d := range tensor.Shape {
				n *= d
			}
		}
	}
	if n > math.MaxInt32 {
		return 0, errorf(realm.CodeLimitExceeded, "tensor %q has %d values", name, n)
	}
	if p[4] == 0 && n > 0 {
		return int64(n), nil
	}
	if n > uint64(p[4]) {
		return 0, errorf(realm.CodeInvalidArgument, "tensor %q has %d values, there is room for %d", name, n, p[4])
	}
	values := t.scratch(n)
	if err := m.Model.Tensor(t.ctx, string(name), values); err != nil { // which names what it does not find
		return 0, err
	}
	putFloats(out, values)
	t.weightBytes += int64(4 * n)
	return int64(n), nil
}

// MaxSequences bounds the sequences of a model in a request: each takes room for logits, which no other limit counts.
const MaxSequences = 64

func kvTruncate(t *Task, p []uint32) (int64, error) {
	s, _, err := t.sequence(p[0])
	if err != nil {
		return 0, err
	}
	return 0, s.Truncate(int(p[1]))
}

func kvFork(t *Task, p []uint32) (int64, error) {
	s, m, err := t.sequence(p[0])
	if err != nil {
		return 0, err
	}
	if len(m.sequences) == MaxSequences {
		return 0, errorf(realm.CodeLimitExceeded, "more than %d sequences of a model", MaxSequences)
	}
	if m.next > math.MaxInt32 {
		return 0, errorf(realm.CodeLimitExceeded, "sequence numbers are used up")
	}
	fork, err := s.Fork(int(p[1]))
	if err != nil {
		return 0, err
	}
	seq := m.next
	m.next++
	m.sequences[seq] = fork
	return int64(seq), nil
}

func kvSelect(t *Task, p []uint32) (int64, error) {
	m, err := t.model(p[0])
	if err != nil {
		return 0, err
	}
	if _, ok := m.sequences[p[1]]; !ok && p[1] != 0 {
		return 0, errorf(realm.CodeNotFound, "sequence %d does not exist", p[1])
	}
	m.selected = p[1]
	return 0, nil
}

func kvFree(t *Task, p []uint32) (int64, error) {
	m, err := t.model(p[0])
	if err != nil {
		return 0, err
	}
	s, ok := m.sequences[p[1]]
	switch {
	case p[1] == 0 || p[1] == m.selected:
		return 0, errorf(realm.CodeInvalidArgument, "sequence %d is selected, or the one that always exists", p[1])
	case !ok:
		return 0, errorf(realm.CodeNotFound, "sequence %d does not exist", p[1])
	}
	delete(m.sequences, p[1])
	return 0, s.Close()
}

// maxErrorText bounds the text of an error that a guest emits.
const maxErrorText = 4096

func emit(t *Task, p []uint32) (int64, error) {
	chunk, err := t.span(p[1], uint64(p[2]), 1)
	if err != nil {
		return 0, err
	}
	t.spend(len(chunk))
	switch p[0] {
	case abi.EmitText, abi.EmitToken:
		if t.request.OnEmit != nil {
			if err := t.request.OnEmit(p[0], chunk); err != nil {
				t.end(err)
			}
		}
	case abi.EmitResult:
		if t.hasResult {
			return 0, errorf(realm.CodeInvalidArgument, "a second result")
		}
		t.result, t.hasResult = bytes.Clone(chunk), true
	case abi.EmitError:
		t.errorText = printable(chunk[:min(len(chunk), maxErrorText)])
	default:
		return 0, errorf(realm.CodeInvalidArgument, "emit kind %d is unknown", p[0])
	}
	return 0, nil
}

func lastError(t *Task, p []uint32) (int64, error) {
	out, err := t.span(p[0], uint64(p[1]), 1)
	if err != nil {
		return 0, err
	}
	if t.lastError == nil {
		return 0, nil
	}
	text := t.lastError.Error()
	copy(out, text)
	return int64(len(text)), nil
}

func logLine(t *Task, p []uint32) (int64, error) {
	line, err := t.span(p[0], uint64(p[1]), 1)
	if err != nil {
		return 0, err
	}
	t.log(line)
	return 0, nil
}

// log hands a line to the embedder. The guest's output limit counts its bytes and its end.
func (t *Task) log(line []byte) {
	t.spend(len(line) + 1)
	if t.request.OnLog != nil {
		t.request.OnLog(printable(line))
	}
}

func now(t *Task, _ []uint32) (int64, error) { return t.now(), nil }
