package main

import (
	"slices"
	"testing"
)

func TestParseList(t *testing.T) {
	got := parseList([]byte("?   \texample.com/m\t[no test files]\n" +
		"FuzzParse\nFuzzWrite\nok  \texample.com/m/gguf\t0.003s\n" +
		"ok  \texample.com/m/plain\t0.002s\n" +
		"FuzzEncode\nok  \texample.com/m/tok\t0.003s\n"))
	want := []target{
		{"example.com/m/gguf", "FuzzParse"},
		{"example.com/m/gguf", "FuzzWrite"},
		{"example.com/m/tok", "FuzzEncode"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
