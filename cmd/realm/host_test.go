package main

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestHost has a host end with its standard input. What it says is tested in internal/hostpipe.
func TestHost(t *testing.T) {
	t.Setenv("REALM_CACHE", "off")
	out := succeed(t, "", "host")
	if len(out) < 20 || binary.LittleEndian.Uint32([]byte(out)) != 0 || !strings.HasSuffix(out, `{"version":2}`) {
		t.Errorf("%q is no frame that says hello", out)
	}
	if help := succeed(t, "", "help"); strings.Contains(help, "host ") {
		t.Error("the command is for programs, and in the list of commands all the same")
	}
	if help := succeed(t, "", "help", "host"); !strings.Contains(help, "process") {
		t.Errorf("its own help: %s", help)
	}
}
