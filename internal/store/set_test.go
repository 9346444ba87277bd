package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

// fakeModel is what the sets of these tests hold.
type fakeModel struct {
	digest Digest
	shut   bool
}

// fakeSet is a set of fakeModels, and what became of them.
type fakeSet struct {
	*Set[*fakeModel]
	mu     sync.Mutex
	opened int
	live   []Digest
	fail   error
}

func newFakeSet(t *testing.T, ceiling int64) *fakeSet {
	t.Helper()
	f := &fakeSet{}
	f.Set = NewSet(ceiling, func(e *Entry) (*fakeModel, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.opened++
		d, _ := e.recallDigest()
		if f.fail == nil {
			f.live = append(f.live, d)
		}
		return &fakeModel{digest: d}, f.fail
	}, func(m *fakeModel) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if m.shut {
			t.Error("a model was shut twice")
		}
		m.shut = true
		f.live = slices.DeleteFunc(f.live, func(d Digest) bool { return d == m.digest })
	})
	return f
}

// add adds a model of 10 bytes whose digest begins with a letter, which is also its ID.
func (f *fakeSet) add(t *testing.T, letter byte) error {
	t.Helper()
	return f.addDigest(t, Digest{letter})
}

func (f *fakeSet) addDigest(t *testing.T, d Digest) error {
	t.Helper()
	data := writeModel(t, filepath.Join(t.TempDir(), "m"), "model")
	m, err := f.Add(t.Context(), d, 10, func() (*Entry, error) { return OpenBytes(data, d) })
	if err == nil && m.ID != d.ID() {
		t.Errorf("ID %d, want %d", m.ID, d.ID())
	}
	return err
}

// lives returns the letters of the models that are open.
func (f *fakeSet) lives() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var letters []byte
	for _, d := range f.live {
		letters = append(letters, d[0])
	}
	slices.Sort(letters)
	return string(letters)
}

func (f *fakeSet) hold(t *testing.T, letter byte) (release func()) {
	t.Helper()
	m, release, err := f.Hold(t.Context(), uint32(letter))
	if err != nil {
		t.Fatalf("hold %c: %v", letter, err)
	}
	if m.Model.shut || m.Model.digest != (Digest{letter}) {
		t.Errorf("held %c, got %+v", letter, m.Model)
	}
	return release
}

func (f *fakeSet) want(t *testing.T, what, lives string) {
	t.Helper()
	if got := f.lives(); got != lives {
		t.Errorf("%s: %q are open, want %q", what, got, lives)
	}
}

func TestSetReferences(t *testing.T) {
	f := newFakeSet(t, 0)
	for range 2 {
		if err := f.add(t, 'a'); err != nil {
			t.Fatal(err)
		}
	}
	if f.opened != 1 {
		t.Errorf("opened %d times", f.opened)
	}
	remove := func(want error) {
		t.Helper()
		if err := f.Remove('a'); !errors.Is(err, want) {
			t.Errorf("remove: %v, want %v", err, want)
		}
	}
	remove(nil)
	f.want(t, "one reference of two removed", "a")
	release := f.hold(t, 'a')
	remove(nil)
	f.want(t, "removed while held", "a")
	remove(errs.NotFound)
	if _, _, err := f.Hold(t.Context(), 'a'); !errors.Is(err, errs.NotFound) {
		t.Errorf("held after it was removed: %v", err)
	}
	// Stored again while somebody still holds it, it is the same one.
	if err := f.add(t, 'a'); err != nil || f.opened != 1 {
		t.Errorf("stored again: %v, opened %d times", err, f.opened)
	}
	release()
	f.want(t, "released", "a")
	remove(nil)
	f.want(t, "removed", "")
	if err := f.add(t, 'a'); err != nil || f.opened != 2 {
		t.Errorf("stored anew: %v, opened %d times", err, f.opened)
	}
}

// TestSetSameID stores two contents whose digests begin alike.
func TestSetSameID(t *testing.T) {
	f := newFakeSet(t, 0)
	if err := f.add(t, 'a'); err != nil {
		t.Fatal(err)
	}
	if err := f.addDigest(t, Digest{'a', 0, 0, 0, 1}); !errors.Is(err, errs.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if err := f.addDigest(t, Digest{'a', 0, 0, 1}); err != nil {
		t.Errorf("another ID: %v", err)
	}
	if d := (Digest{1, 2, 3, 4}); d.ID() != 0x04030201 {
		t.Errorf("ID %#x", d.ID())
	}
}

func TestSetEvicts(t *testing.T) {
	f := newFakeSet(t, 30)
	for _, letter := range []byte("abc") {
		if err := f.add(t, letter); err != nil {
			t.Fatal(err)
		}
	}
	f.hold(t, 'a')() // used last now
	releaseB := f.hold(t, 'b')
	if err := f.add(t, 'd'); err != nil {
		t.Fatal(err)
	}
	f.want(t, "no room for d", "abd")
	releaseA, releaseD := f.hold(t, 'a'), f.hold(t, 'd')
	if err := f.add(t, 'e'); !errors.Is(err, errs.OutOfMemory) {
		t.Errorf("all are held: %v", err)
	}
	f.want(t, "no room for e", "abd")
	releaseB()
	releaseA()
	releaseD()
	if err := f.add(t, 'b'); err != nil { // a second reference, and used last
		t.Fatal(err)
	}
	if err := f.add(t, 'e'); err != nil {
		t.Fatal(err)
	}
	f.want(t, "a was used the longest ago", "bde")
	if err := f.Remove('a'); !errors.Is(err, errs.NotFound) {
		t.Errorf("removed what was evicted: %v", err)
	}
	if list := f.List(); len(list) != 3 || list[0].ID != 'e' || list[1].ID != 'b' || list[1].Refs != 2 || list[1].Holds != 0 {
		t.Errorf("%+v", list)
	}
}

func TestSetFailures(t *testing.T) {
	f := newFakeSet(t, 0)
	f.fail = errs.Errorf(errs.Unsupported, "no")
	if err := f.add(t, 'a'); !errors.Is(err, errs.Unsupported) {
		t.Errorf("got %v", err)
	}
	if list := f.List(); len(list) != 0 || f.bytes != 0 {
		t.Errorf("%+v and %d bytes after a failure", list, f.bytes)
	}
	f.fail = nil

	// Others wait for the one that loads, and stop waiting with their contexts.
	loading, load := make(chan bool), make(chan bool)
	data := writeModel(t, filepath.Join(t.TempDir(), "m"), "model")
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := f.Add(t.Context(), Digest{'b'}, 10, func() (*Entry, error) {
			close(loading)
			<-load
			return OpenBytes(data, Digest{'b'})
		}); err != nil {
			t.Error(err)
		}
	})
	<-loading
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Add(canceled, Digest{'b'}, 10, nil); !errors.Is(err, errs.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	if _, _, err := f.Hold(canceled, 'b'); !errors.Is(err, errs.Canceled) {
		t.Errorf("waiting to hold: %v", err)
	}
	if err := f.Remove('b'); err != nil {
		t.Errorf("remove: %v", err)
	}
	close(load)
	wg.Wait()
	f.want(t, "removed while it was loaded", "")

	if err := f.add(t, 'c'); err != nil {
		t.Fatal(err)
	}
	release := f.hold(t, 'c')
	f.Close()
	f.want(t, "closed", "")
	release()
	if err := f.add(t, 'c'); !errors.Is(err, errs.Closed) {
		t.Errorf("stored after Close: %v", err)
	}
	if _, _, err := f.Hold(t.Context(), 'c'); !errors.Is(err, errs.Closed) {
		t.Errorf("held after Close: %v", err)
	}
}
