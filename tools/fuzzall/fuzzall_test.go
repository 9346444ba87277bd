package main

import "testing"

func TestOutOfTime(t *testing.T) {
	const head = "fuzz: elapsed: 5s, execs: 51351 (18528/sec), new interesting: 2 (total: 1149)\n--- FAIL: FuzzRender (5.30s)\n"
	const tail = "FAIL\nexit status 1\nFAIL\texample/chat\t5.299s\n"
	for _, tc := range []struct {
		name, printed string
		want          bool
	}{
		{"the coordinator's deadline", head + "    context deadline exceeded\n" + tail, true},
		{"a failing input", head + "    --- FAIL: FuzzRender (0.00s)\n        fuzz_test.go:9: wrong\n    \n    Failing input written to testdata/fuzz/FuzzRender/0a\n" + tail, false},
		{"a target's own deadline", head + "    --- FAIL: FuzzRender (0.00s)\n        fuzz_test.go:9: context deadline exceeded\n" + tail, false},
		{"a deadline and more", head + "    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzRender/0a\n" + tail, false},
		{"a hang", head + "    fuzzing process hung or terminated unexpectedly: exit status 2\n" + tail, false},
		{"no build", "# example/chat\nchat.go:1:1: expected 'package'\n" + tail, false},
		{"nothing", "", false},
	} {
		if got := outOfTime([]byte(tc.printed)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
