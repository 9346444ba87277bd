package main

import "testing"

func TestEmpty(t *testing.T) {
	const source = `package p

func (T) a(x int) int { if x > 0 { return 1 }; return 2 }

func b() {
	f := func() { a() }
	f()
}

func c() {}
`
	const want = `package p

func (T) a(x int) int {panic("")}

func b() {}

func c() {}
`
	got, n, err := empty([]byte(source), map[string]string{"a": `panic("")`, "b": "", "d": ""})
	if err != nil || n != 2 || string(got) != want {
		t.Errorf("%d functions, %v:\n%s", n, err, got)
	}
	if _, _, err := empty([]byte("package"), nil); err == nil {
		t.Error("read what is not Go")
	}
}
