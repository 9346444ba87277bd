// Package realm runs large language models from GGUF files.
//
//	m, err := realm.Open("model.gguf", realm.Options{})
//	s, err := m.NewSession()
//	for chunk, err := range s.Generate(ctx, realm.Request{Messages: []realm.Message{{Role: "user", Content: "Hello"}}}) {
//		fmt.Print(chunk.Text)
//	}
//
// A Model holds the weights, quantized as they stand in the file, in memory that processes share. Any number of sessions share
// them; each has a KV cache of its own, so that a prompt that goes on where the last one ended is computed from there.
//
// The same model, prompt, seed and options give the same bytes: whatever the number of threads, the way a prompt was cut
// into chunks, and the prefixes that were cached.
//
// Errors have the type *Error with a Code, which errors.Is also finds: errors.Is(err, realm.CodeNotFound). The package
// never logs, prints or exits.
package realm

import (
	"context"

	"github.com/realm-ai/realm/internal/engine"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/kvcache"
	"github.com/realm-ai/realm/internal/store"
)

// Error is the type of every error of this package: a Code, a message that says where and what, and the cause.
type Error = errs.Error

// Code says what kind of failure an error is. A Code is itself an error, for errors.Is.
type Code = errs.Code

// The codes.
const (
	CodeInternal         = errs.Internal         // a bug in Realm
	CodeInvalidArgument  = errs.InvalidArgument  // an argument that can never be right
	CodeNotFound         = errs.NotFound         // no such file
	CodeInvalidFormat    = errs.InvalidFormat    // a file does not follow its format
	CodeUnsupported      = errs.Unsupported      // a version, dtype, architecture or tokenizer that Realm does not run
	CodeLimitExceeded    = errs.LimitExceeded    // a stated limit on untrusted input
	CodeContextLength    = errs.ContextLength    // a prompt or an answer that does not fit the context length
	CodeCanceled         = errs.Canceled         // the context was cancelled
	CodeDeadlineExceeded = errs.DeadlineExceeded // the context's deadline passed
	CodeClosed           = errs.Closed           // a model or session used after Close
	CodeOutOfMemory      = errs.OutOfMemory      // Options.CacheBytes is used up
	CodeIO               = errs.IO               // the operating system failed
	CodeConflict         = errs.Conflict         // a session used by two calls at once
	CodePermissionDenied = errs.PermissionDenied // a guest reached for what it was not granted
	CodeFuelExhausted    = errs.FuelExhausted    // a guest's fuel is used up
	CodeCacheLimit       = errs.CacheLimit       // a CacheBudget is used up
	CodeOutputLimit      = errs.OutputLimit      // a guest put out more than it may
	CodeHostCallLimit    = errs.HostCallLimit    // a guest made more host calls than it may
	CodeStackOverflow    = errs.StackOverflow    // a guest's calls went too deep
	CodeGuestFailed      = errs.GuestFailed      // a guest trapped, exited or broke the ABI
)

// CodeOf returns the code of an error: 0 for nil, CodeInternal for one that is not of this package.
func CodeOf(err error) Code { return errs.CodeOf(err) }

// Options say how a model is run. The zero value is a good default.
type Options struct {
	// Threads is the number of threads of arithmetic. 0 means as many as the process may use.
	Threads int
	// ContextLength is the number of positions of a session, at most what the model was trained for. 0 means that.
	ContextLength int
	// CacheBytes limits the KV cache of all sessions together. 0 means no limit. Pages are allocated as they fill.
	CacheBytes int64
	// CacheF32 keeps keys and values in float32 rather than F16, in twice the memory.
	CacheF32 bool
	// ChunkSize is the number of prompt tokens that are computed at a time. 0 means a good default. It changes how soon
	// a cancelled prompt stops and other sessions get their turn, never a result.
	ChunkSize int
	// PreTokenizer replaces the file's `tokenizer.ggml.pre`, for a file with one that Realm does not know.
	PreTokenizer string
	// PackedLimit is the most that the cache folder holds of packed weights, of all models together, in bytes. Those that
	// were not used for the longest time go first. 0 means 32 GiB; less than 0 neither reads nor writes any. See Prepare.
	PackedLimit int64
}

// Model is an open model. It is safe for concurrent use.
type Model struct {
	e     *engine.Engine
	entry *store.Entry
	lease *lease // of a model in a Store, else nil
}

// Open opens the model in a GGUF file, or in the parts of a split one of which path is the first. The file is mapped,
// not read, and must not change while the model is open.
func Open(path string, o Options) (*Model, error) {
	entry, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := newModel(entry, o)
	if err != nil {
		_ = entry.Close()
		return nil, errs.Wrap(err, path)
	}
	return m, nil
}

// newModel makes a model of an entry, which is closed with it.
func newModel(entry *store.Entry, o Options) (*Model, error) {
	entry.ImageLimit = o.PackedLimit
	e, err := engine.New(entry.File, engine.Options{
		Threads: o.Threads, ContextLength: o.ContextLength, CacheBytes: o.CacheBytes, CacheF32: o.CacheF32,
		ChunkSize: o.ChunkSize, PreTokenizer: o.PreTokenizer, Images: entry,
	}, func() { _ = entry.Close() })
	if err != nil {
		return nil, err
	}
	return &Model{e: e, entry: entry}, nil
}

// Prepare brings the weights into the form in which they are fastest on this processor, and gives the file's memory back.
// The first call that computes does it otherwise; results are the same. progress, if not nil, is told the bytes done.
//
// What it makes is kept in the cache folder as a file of the size of the weights, which is mapped from then on: other
// processes share its memory, and opening the model again takes a moment. Where that cannot be, or Options.PackedLimit says
// that it should not, weights are packed in memory. The file appears when the model's digest is known; Prepare waits for
// that, the first call that computes does not.
func (m *Model) Prepare(ctx context.Context, progress func(done, total int64)) error {
	err := m.e.Prepare(ctx, progress)
	if err == nil {
		m.entry.Settle(ctx)
	}
	return err
}

// Close ends the model: calls in progress fail with CodeClosed, at the latest after a layer, and the file is unmapped
// when the last of them has returned. Close does not wait for that, and may be called again. A model of a Store is given
// back: its sessions of this Model end, those of others go on.
func (m *Model) Close() error {
	if m.lease != nil {
		m.lease.close()
		return nil
	}
	m.e.Close()
	return nil
}

// Info is the shape of a model and what running it takes.
type Info struct {
	Name          string // empty where the file has none
	Architecture  string
	Layers        int
	Hidden        int // width of the hidden state
	FFN           int // width of the feed-forward network
	Heads         int // query heads
	KVHeads       int // key and value heads
	HeadDim       int
	Vocab         int    // rows of the logits
	TrainedLength int    // positions that the model was trained for
	ContextLength int    // positions of a session, from Options
	PreTokenizer  string // what splits text into words before BPE, from Options or the file; empty without BPE
	Threads       int

	FileBytes   int64
	TensorCount int
	TensorBytes int64
	// CacheBytesPerToken is the KV cache memory of a position; it is allocated 64 positions at a time.
	CacheBytesPerToken int64
	// TemplateError says why the model's own chat template is not used but ChatML in its place. It is nil where it is
	// used, and where the model has none.
	TemplateError error
}

// Info returns the shape of the model.
func (m *Model) Info() Info {
	c, f := &m.e.Model.Config, m.entry.File
	return Info{
		Name: c.Name, Architecture: c.Architecture, Layers: c.Layers, Hidden: c.Hidden, FFN: c.FFN, Heads: c.Heads,
		KVHeads: c.KVHeads, HeadDim: c.HeadDim, Vocab: c.Vocab, TrainedLength: c.ContextLength,
		ContextLength: m.e.ContextLength(), PreTokenizer: m.e.Tokenizer.Pre(), Threads: m.e.Threads(),
		FileBytes: f.Size(), TensorCount: len(f.Tensors()), TensorBytes: f.TensorBytes(),
		CacheBytesPerToken: m.e.CacheShape().Bytes(64) / 64,
		TemplateError:      m.e.TemplateErr,
	}
}

// Digest returns the SHA-256 of the model's file, in hexadecimal. It is computed once, which reads the file, and
// remembered in the cache folder by the file's identity. progress may be nil.
func (m *Model) Digest(ctx context.Context, progress func(done, total int64)) (string, error) {
	d, err := m.entry.Digest(ctx, progress)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// ID returns the model's ID in every Store and for every guest: the first four bytes of the digest, as a little-endian
// number. It takes as long as Digest. Different models with the same ID cannot be in one Store.
func (m *Model) ID(ctx context.Context) (uint32, error) {
	d, err := m.entry.Digest(ctx, nil)
	if err != nil {
		return 0, err
	}
	return d.ID(), nil
}

// Tensors lists the model's tensors, in the order of the file.
func (m *Model) Tensors() []Tensor {
	var tensors []Tensor
	for _, t := range m.entry.Describe(1).Tensors {
		tensors = append(tensors, Tensor(t))
	}
	return tensors
}

// Tensor dequantizes a tensor into dst, which has room for exactly its elements, in the order of the file. The weights are
// those that the model computes with, to the last bit. It is a CodeNotFound with the closest names where there is none of
// that name.
func (m *Model) Tensor(ctx context.Context, name string, dst []float32) error {
	return m.e.Tensor(ctx, name, dst)
}

// CacheUsed returns the bytes of KV cache that sessions hold.
func (m *Model) CacheUsed() int64 { return m.e.CacheUsed() }

// Tokenizer returns the model's tokenizer.
func (m *Model) Tokenizer() *Tokenizer { return &Tokenizer{m.e.Tokenizer} }

// ChatTemplate returns the file's chat template, a Jinja template, empty where it has none.
func (m *Model) ChatTemplate() string {
	source, _ := m.entry.File.String("tokenizer.chat_template")
	return source
}

// Prompt renders messages with the model's chat template, ready for the assistant's answer, and returns the text and its
// token IDs.
func (m *Model) Prompt(messages []Message, tools []Tool) (text string, tokens []int32, err error) {
	return m.e.ChatPrompt(toMessages(messages), engine.ChatOptions{AddGenerationPrompt: true, Tools: toTools(tools)})
}

// NewSession makes an empty session.
func (m *Model) NewSession() (*Session, error) { return m.newSession(nil) }

// CacheBudget limits the KV cache of some sessions together, which may be of several models.
type CacheBudget struct{ b *kvcache.Budget }

// NewCacheBudget makes a budget of limit bytes. A session that would need more fails with CodeCacheLimit.
func NewCacheBudget(limit int64) *CacheBudget { return &CacheBudget{kvcache.NewBudget(limit)} }

// Used returns the bytes of KV cache that the budget's sessions hold. What a fork shares counts once.
func (b *CacheBudget) Used() int64 { return b.b.Used() }

// NewSessionWithin makes an empty session whose KV cache, and that of its forks, counts for a budget.
func (m *Model) NewSessionWithin(b *CacheBudget) (*Session, error) { return m.newSession(b.b) }

func (m *Model) newSession(b *kvcache.Budget) (*Session, error) {
	s, err := m.e.NewSession(b)
	if err != nil {
		return nil, err
	}
	return m.lease.session(&Session{m, s})
}
