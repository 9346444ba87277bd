//go:build !wasip1

package guest_test

import (
	"path/filepath"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/synth"
)

func newHost(t testing.TB, m *realm.Model) *guesttest.Host {
	t.Helper()
	h, err := guesttest.New(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func tinyModel(t testing.TB, shape string, o realm.Options) *realm.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	return openModel(t, path, o)
}

func openModel(t testing.TB, path string, o realm.Options) *realm.Model {
	t.Helper()
	m, err := realm.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}
