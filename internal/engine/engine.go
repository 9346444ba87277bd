// Package engine owns running a model: the threads and the KV cache that its sessions share, prefill in chunks, decode
// steps, the generation loop with its stop rules, and cancellation.
//
// It joins what the packages below do not know of one another: tokens of package tokenizer, prompts of package chat,
// logits of package model and choices of package sample. It must not know of commands, servers or guests. Start at New
// and Session.Generate.
package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/realm-ai/realm/internal/chat"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
	"github.com/realm-ai/realm/internal/model"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// Options say how a model is run. The zero value is a good default.
type Options struct {
	Threads       int    // of arithmetic; 0 for as many as there are processors
	ContextLength int    // positions of a session; 0 for what the model was trained for, which is also the most
	CacheBytes    int64  // of KV cache for all sessions together; 0 for no limit
	CacheF32      bool   // keep keys and values in float32 rather than F16
	ChunkSize     int    // tokens of a prompt that are computed at a time; 0 for what takes less than 100 ms
	PreTokenizer  string // replaces the file's `tokenizer.ggml.pre`

	Images model.Images // where packed weights are kept between runs; nil for nowhere
}

// Engine runs one model for any number of sessions. It is safe for concurrent use: what sessions want computed at one
// time is computed as one batch (schedule.go).
type Engine struct {
	Model     *model.Model
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template // the model's own, or the fallback
	// TemplateErr says why the model's own template is not used, where it has one.
	TemplateErr error

	options Options
	pool    *kernel.Pool
	cache   *kvcache.Cache

	schedule schedule
	step     sync.Mutex // held for a turn of the scheduler or a layer
	state    *model.State

	prepared  atomic.Bool   // the weights are packed; nothing uses them before
	preparing chan struct{} // of capacity 1, full while somebody packs the weights or reads them unpacked

	life lifetime
}

// New makes an engine for the model in f, which stays open until released is called: after Close, when the last call
// has returned.
func New(f *gguf.File, o Options, released func()) (*Engine, error) {
	m, err := model.Load(f)
	if err != nil {
		return nil, err
	}
	t, err := NewTokenizer(f, o.PreTokenizer)
	if err != nil {
		return nil, err
	}
	if t.VocabSize() > m.Config.Vocab {
		return nil, errs.Errorf(errs.InvalidFormat, "engine: the tokenizer has %d tokens, the model %d", t.VocabSize(), m.Config.Vocab)
	}
	switch {
	case o.Threads < 0 || o.Threads > maxThreads:
		return nil, errs.Errorf(errs.InvalidArgument, "engine: %d threads: want 1 to %d, or 0 for one each processor", o.Threads, maxThreads)
	case o.ContextLength < 0 || o.ContextLength > m.Config.ContextLength:
		return nil, errs.Errorf(errs.InvalidArgument, "engine: context length %d: want 1 to %d, which the model was trained for, or 0 for that",
			o.ContextLength, m.Config.ContextLength)
	case o.ChunkSize < 0 || o.CacheBytes < 0:
		return nil, errs.Errorf(errs.InvalidArgument, "engine: a chunk size or cache size below 0")
	}
	if o.ContextLength == 0 {
		o.ContextLength = m.Config.ContextLength
	}
	m.Images = o.Images
	e := &Engine{Model: m, preparing: make(chan struct{}, 1), Tokenizer: t, options: o, Template: chat.Fallback()}
	if source, ok := f.String("tokenizer.chat_template"); ok {
		if own, err := chat.Parse(source); err != nil {
			e.TemplateErr = err
		} else {
			e.Template = own
		}
	}
	e.pool = kernel.NewPool(o.Threads)
	e.cache = kvcache.New(m.Config.CacheShape(o.CacheF32), o.CacheBytes)
	e.state = m.NewState(e.pool)
	e.schedule.init(e.state, m.NewState(e.pool))
	e.schedule.long.state.Between = e.between
	e.life.released = func() {
		e.pool.Close()
		m.Free()
		released()
	}
	return e, nil
}

// maxThreads is far above any machine's processors, and keeps a slip of the keyboard from starting a million goroutines.
const maxThreads = 1024

// NewTokenizer makes the tokenizer of a file, which may hold only a vocabulary. If pre is not empty, it replaces the
// file's `tokenizer.ggml.pre`.
func NewTokenizer(f *gguf.File, pre string) (*tokenizer.Tokenizer, error) {
	v, err := tokenizer.VocabFromMetadata(f, pre)
	if err != nil {
		return nil, err
	}
	return tokenizer.New(v)
}

// Prepare brings the weights into the form in which they are fastest, which the first call that computes does otherwise.
// progress, if not nil, is told the bytes done. Where ctx ends it early, the next call goes on from there.
func (e *Engine) Prepare(ctx context.Context, progress func(done, total int64)) error {
	if err := e.life.begin(); err != nil {
		return err
	}
	defer e.life.end()
	return e.prepare(ctx, progress)
}

func (e *Engine) prepare(ctx context.Context, progress func(done, total int64)) error {
	if e.prepared.Load() {
		return nil
	}
	if err := e.lockWeights(ctx); err != nil {
		return err
	}
	defer e.unlockWeights()
	if e.prepared.Load() {
		return nil
	}
	if err := e.Model.Pack(ctx, e.pool, progress); err != nil {
		return err
	}
	e.prepared.Store(true)
	return nil
}

// lockWeights keeps others from packing the weights, and waits for who does.
func (e *Engine) lockWeights(ctx context.Context) error {
	select {
	case e.preparing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errs.Wrap(model.ContextError(ctx.Err()), "engine: prepare")
	}
}

func (e *Engine) unlockWeights() { <-e.preparing }

// Tensor dequantizes a tensor of the model into dst, which has room for all its elements.
func (e *Engine) Tensor(ctx context.Context, name string, dst []float32) error {
	if err := e.life.begin(); err != nil {
		return err
	}
	defer e.life.end()
	if !e.prepared.Load() {
		if err := e.lockWeights(ctx); err != nil {
			return err
		}
		defer e.unlockWeights()
	}
	return e.Model.Tensor(ctx, e.pool, name, dst)
}

// Close stops what is running, at the latest after a layer, with the code errs.Closed. It returns at once and may be
// called again, also while a generation is in progress or from within its loop.
func (e *Engine) Close() { e.life.close() }

// Threads returns the number of threads of arithmetic.
func (e *Engine) Threads() int { return e.pool.Threads() }

// ContextLength returns the number of positions that a session may have.
func (e *Engine) ContextLength() int { return e.options.ContextLength }

// CacheShape returns the shape of the KV cache.
func (e *Engine) CacheShape() kvcache.Shape { return e.cache.Shape() }

// CacheUsed returns the bytes of KV cache that sessions hold.
func (e *Engine) CacheUsed() int64 { return e.cache.Used() }

// lifetime counts the calls in progress, so that what they use is released after the last one.
type lifetime struct {
	released func()
	closed   atomic.Bool
	mu       sync.Mutex // guards calls, and closed against begin
	calls    int
}

// begin enters a call. Every successful begin is followed by end.
func (l *lifetime) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return errClosed
	}
	l.calls++
	return nil
}

func (l *lifetime) end() {
	l.mu.Lock()
	l.calls--
	last := l.calls == 0 && l.closed.Load()
	l.mu.Unlock()
	if last {
		l.released()
	}
}

func (l *lifetime) close() {
	l.mu.Lock()
	first := !l.closed.Swap(true)
	idle := l.calls == 0
	l.mu.Unlock()
	if first && idle {
		l.released()
	}
}

var errClosed = errs.Errorf(errs.Closed, "engine: the model is closed")

// stopping is a context that also ends when the engine or the session is closed.
type stopping struct {
	context.Context
	s *Session
}

func (c stopping) Err() error {
	switch {
	case c.s.e.life.closed.Load():
		return errClosed
	case c.s.closed.Load():
		return errSessionClosed
	}
	return c.Context.Err()
}
