package cli

import (
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	p := newProgress(&out, "hash", Bytes, func() time.Time { return now })
	for i := range int64(1000) { // one second
		now = now.Add(time.Millisecond)
		p.Update(i*1e6, 2e9)
	}
	drawn := strings.Split(out.String(), "\r")[1:]
	if len(drawn) > 10 || len(drawn) < 9 {
		t.Errorf("drawn %d times in a second, want at most ten: %q", len(drawn), drawn)
	}
	const want = "hash  [===========>            ]  50%  999 MB of 2.00 GB  999 MB/s  1s left"
	if got := drawn[len(drawn)-1]; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(want) >= helpWidth {
		t.Errorf("the line has %d columns", len(want))
	}

	out.Reset()
	p.Clear()
	if got := out.String(); got != "\r"+strings.Repeat(" ", len(want))+"\r" {
		t.Errorf("Clear wrote %q", got)
	}
	out.Reset()
	p.Clear()
	if out.String() != "" {
		t.Errorf("a second Clear wrote %q", out.String())
	}
}

// TestProgressShrinks shows that nothing of a longer line is left.
func TestProgressShrinks(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, "x", Bytes, time.Now)
	p.line("a long line")
	p.line("short")
	if got := out.String(); got != "\ra long line\rshort      " {
		t.Errorf("got %q", got)
	}
}

func TestProgressEdges(t *testing.T) {
	p := newProgress(new(strings.Builder), "x", Tokens, time.Now)
	for _, tc := range []struct {
		done, total int64
		want        string
	}{
		{0, 10, "x  [>                       ]   0%  0 tokens of 10 tokens"},
		{10, 10, "x  [========================] 100%  10 tokens of 10 tokens  10 tokens/s  0s left"},
		{20, 10, "x  [========================] 100%  20 tokens of 10 tokens  20 tokens/s  0s left"},
		{0, 0, "x  0 tokens"},
		{10, 0, "x  10 tokens  10 tokens/s"},
	} {
		if got := p.text(tc.done, tc.total, time.Second); got != tc.want {
			t.Errorf("%d of %d: got %q, want %q", tc.done, tc.total, got, tc.want)
		}
	}
	// Where nobody watches there is nothing to draw on.
	env := newEnv(strings.NewReader(""))
	none := env.NewProgress("x", Bytes)
	none.Update(1, 2)
	none.Clear()
	if env.stderr.Len() > 0 {
		t.Errorf("wrote %q to what is no terminal", env.stderr.String())
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 23040: "23.0 kB", 98362432: "98.4 MB", 999_400: "999 kB",
		999_600: "1.00 MB", 668_788_096: "669 MB", 1.5e12: "1.50 TB", 2e18: "2000 PB", 9.996e3: "10.0 kB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%v) is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[float64]string{12: "12 tokens", 8.2567: "8.26 tokens", 123.4: "123 tokens"} {
		if got := Tokens(n); got != want {
			t.Errorf("Tokens(%v) is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 35_136: "35.1K", 134_515_008: "135M", 1_100_048_384: "1.10B"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) is %q, want %q", n, got, want)
		}
	}
	if got := Rate(10, 0); got != 0 {
		t.Errorf("Rate over no time is %v", got)
	}
	if mean, stddev := MeanStddev([]float64{1, 2, 3, 4}); mean != 2.5 || stddev < 1.2909 || stddev > 1.2910 {
		t.Errorf("mean %v, standard deviation %v", mean, stddev)
	}
	for _, tc := range []struct {
		samples []float64
		want    float64
	}{{[]float64{7}, 7}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 100, 1, 2}, 3}} {
		if got := Median(tc.samples); got != tc.want {
			t.Errorf("median of %v: %v, want %v", tc.samples, got, tc.want)
		}
	}
	if mean, stddev := MeanStddev([]float64{7}); mean != 7 || stddev != 0 {
		t.Errorf("one sample: mean %v, standard deviation %v", mean, stddev)
	}
}
