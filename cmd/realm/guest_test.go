package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/realm-ai/realm"
)

func TestEmbeddedGuest(t *testing.T) {
	switch module, err := embeddedGuest(); {
	case len(guestModule) == 0:
		if !errors.Is(err, realm.CodeUnsupported) {
			t.Errorf("without a guest: %v", err)
		}
	case err != nil || !bytes.HasPrefix(module, []byte("\x00asm")):
		t.Errorf("%d bytes, %v", len(module), err)
	}
}
