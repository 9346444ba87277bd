package realm

import (
	"context"
	"sync"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/store"
)

// Store holds models by their content, each once, however often and from wherever it was stored. It is safe for concurrent
// use.
//
//	s := realm.NewStore(realm.StoreOptions{MaxBytes: 8 << 30})
//	id, err := s.StoreFile(ctx, "model.gguf")
//	m, err := s.Model(ctx, id)
//	defer m.Close()
//
// A model is known by its ID: see Model.ID. Each StoreFile or StoreBytes adds a reference to it, each Remove takes one away,
// and with the last one it goes, as soon as nobody holds it. Who has a Model holds it until the Close.
type Store struct {
	set *store.Set[*Model]
}

// StoreOptions say how a Store works. The zero value is a good default.
type StoreOptions struct {
	// Model says how models are run.
	Model Options
	// MaxBytes is the most that models may take together, by the sizes of their files. Where another one would not fit,
	// those that nobody holds are removed, whatever their references, the one that was not used for the longest time first;
	// where that is not enough, storing fails with CodeOutOfMemory. 0 means no limit.
	MaxBytes int64
}

// NewStore makes an empty store.
func NewStore(o StoreOptions) *Store {
	return &Store{store.NewSet(o.MaxBytes,
		func(entry *store.Entry) (*Model, error) { return newModel(entry, o.Model) },
		func(m *Model) { m.e.Close() },
	)}
}

// StoreFile stores the model in a GGUF file, or in the parts of a split one of which path is the first, and returns its ID.
// The file is mapped as by Open. It is read once for its digest, which the cache folder remembers.
func (s *Store) StoreFile(ctx context.Context, path string) (uint32, error) {
	entry, err := store.Open(path)
	if err != nil {
		return 0, err
	}
	d, err := entry.Digest(ctx, nil)
	if err != nil {
		_ = entry.Close()
		return 0, err
	}
	used := false
	m, err := s.set.Add(ctx, d, entry.File.Size(), func() (*store.Entry, error) {
		used = true
		return entry, nil
	})
	if !used {
		_ = entry.Close()
	}
	if err != nil {
		return 0, errs.Wrap(err, path)
	}
	return m.ID, nil
}

// StoreBytes stores the model that data is, the content of a GGUF file, and returns its ID. Nothing refers to data
// afterwards: a model that is new is copied, to memory outside the Go heap.
func (s *Store) StoreBytes(ctx context.Context, data []byte) (uint32, error) {
	d, err := store.DigestOf(ctx, data)
	if err != nil {
		return 0, err
	}
	m, err := s.set.Add(ctx, d, int64(len(data)), func() (*store.Entry, error) { return store.OpenBytes(data, d) })
	if err != nil {
		return 0, err
	}
	return m.ID, nil
}

// Model returns a stored model, and holds it until it is closed.
func (s *Store) Model(ctx context.Context, id uint32) (*Model, error) {
	m, release, err := s.set.Hold(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Model{e: m.Model.e, entry: m.Model.entry, lease: &lease{release: release, sessions: map[*Session]bool{}}}, nil
}

// Info returns the shape of a stored model.
func (s *Store) Info(ctx context.Context, id uint32) (Info, error) {
	m, release, err := s.set.Hold(ctx, id)
	if err != nil {
		return Info{}, err
	}
	defer release()
	return m.Model.Info(), nil
}

// Tensor dequantizes a tensor of a stored model into dst, as Model.Tensor does.
func (s *Store) Tensor(ctx context.Context, id uint32, name string, dst []float32) error {
	m, release, err := s.set.Hold(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	return m.Model.Tensor(ctx, name, dst)
}

// Remove takes one reference to a model away. After the last one the model is unknown, and its memory is free when nobody
// holds it. It is a CodeNotFound where the model is not stored.
func (s *Store) Remove(id uint32) error { return s.set.Remove(id) }

// StoredModel says how a model in a Store is used.
type StoredModel struct {
	ID         uint32
	Digest     string // SHA-256 of its file, in hexadecimal
	Bytes      int64  // of its file
	References int    // of StoreFile and StoreBytes, less those of Remove
	Holds      int    // Models that are not closed, and calls in progress
}

// Models lists the models in the store, those used last first.
func (s *Store) Models() []StoredModel {
	var models []StoredModel
	for _, m := range s.set.List() {
		models = append(models, StoredModel{m.ID, m.Digest.String(), m.Bytes, m.Refs, m.Holds})
	}
	return models
}

// Close ends all models: calls in progress fail with CodeClosed, later ones too.
func (s *Store) Close() error {
	s.set.Close()
	return nil
}

// lease is what a Model of a Store holds, and its sessions. A nil lease is that of a model of Open.
type lease struct {
	release func()

	mu       sync.Mutex // guards what follows
	sessions map[*Session]bool
	closed   bool
}

// session adds a session, or closes it if the model was.
func (l *lease) session(s *Session) (*Session, error) {
	if l == nil {
		return s, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		s.s.Close()
		return nil, errs.Errorf(errs.Closed, "realm: the model is closed")
	}
	l.sessions[s] = true
	return s, nil
}

// forget takes out a session that is closed.
func (l *lease) forget(s *Session) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s)
}

func (l *lease) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for s := range l.sessions {
		s.s.Close()
	}
	l.release()
}
