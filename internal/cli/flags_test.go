package cli

import (
	"slices"
	"strings"
	"testing"
)

// values are the variables of newFlags.
type values struct {
	text   string
	list   []string
	n      int
	seed   uint64
	temp   float32
	on     bool
	choice string
}

func newFlags() (*Flags, *values) {
	f, v := new(Flags), &values{n: 5, choice: "f16", text: "none"}
	f.String(&v.text, "m, model", "FILE", "the model")
	f.Strings(&v.list, "stop", "TEXT", "a stop text")
	f.Group("Numbers")
	f.Int(&v.n, "n, max-tokens", "tokens")
	f.Uint64(&v.seed, "seed", "seed")
	f.Float32(&v.temp, "temp", "temperature")
	f.Bool(&v.on, "on", "a switch")
	f.Choice(&v.choice, "cache-type", []string{"f16", "f32"}, "format")
	return f, v
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		args string // separated by spaces
		rest string
		want values
	}{
		{"", "", values{}},
		{"-m a -n 7 --temp 0.5 --seed 18446744073709551615", "", values{text: "a", n: 7, temp: 0.5, seed: 1<<64 - 1}},
		{"--model=a -max-tokens=-1 -on", "", values{text: "a", n: -1, on: true}},
		{"x --on y -n 3 z", "x y z", values{on: true, n: 3}},
		{"--on=false", "", values{}},
		{"- -m - --stop a --stop b=c", "-", values{text: "-", list: []string{"a", "b=c"}}},
		{"-m -- -n 3", "", values{text: "--", n: 3}},
		{"a -- -n 3", "a -n 3", values{}},
		{"--cache-type f32", "", values{choice: "f32"}},
		{"-m=", "", values{text: ""}},
	} {
		f, v := newFlags()
		rest, err := f.parse(strings.Fields(tc.args))
		if err != nil {
			t.Errorf("%s: %v", tc.args, err)
			continue
		}
		want := tc.want
		if want.n == 0 {
			want.n = 5
		}
		if want.choice == "" {
			want.choice = "f16"
		}
		if want.text == "" && tc.args != "-m=" {
			want.text = "none"
		}
		if got := strings.Join(rest, " "); got != tc.rest {
			t.Errorf("%s: rest %q, want %q", tc.args, got, tc.rest)
		}
		if v.text != want.text || v.n != want.n || v.seed != want.seed || v.temp != want.temp || v.on != want.on ||
			v.choice != want.choice || !slices.Equal(v.list, want.list) {
			t.Errorf("%s: got %+v, want %+v", tc.args, *v, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--tmp 1", "unknown flag --tmp; did you mean --temp?"},
		{"-x", "unknown flag -x"},
		{"--quite-different", "unknown flag --quite-different"},
		{"---n 1", "unknown flag ---n"},
		{"-m", "-m needs a value"},
		{"-n 1.5", `-n "1.5": want a whole number`},
		{"--seed -1", `--seed "-1": want a whole number from 0 to 2^64-1`},
		{"--temp warm", `--temp "warm": want a number`},
		{"--temp 1e50", `--temp "1e50": want a number`},
		{"--on=maybe", `--on "maybe": want no value, true or false`},
		{"--cache-type q8", `--cache-type "q8": want f16 or f32`},
		{"a --help", "help"},
		{"-h", "help"},
	} {
		f, _ := newFlags()
		_, err := f.parse(strings.Fields(tc.args))
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.args, err, tc.want)
		}
	}
}

func TestGiven(t *testing.T) {
	f, _ := newFlags()
	if _, err := f.parse([]string{"--model", "", "--seed", "0"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"m": true, "model": true, "seed": true, "n": false, "max-tokens": false, "nothing": false,
	} {
		if f.Given(name) != want {
			t.Errorf("Given(%q) is %v", name, !want)
		}
	}
}
