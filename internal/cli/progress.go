package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Progress is a line on a terminal that shows how far something has come. It is drawn over and over, at most ten times a
// second, and is gone at the end. A nil Progress shows nothing.
type Progress struct {
	w     io.Writer
	label string
	unit  func(n float64) string
	now   func() time.Time

	start, drawn time.Time
	base         int64 // what was done before start
	width        int   // columns of the line that stands there
}

const (
	redraw   = 100 * time.Millisecond
	barWidth = 24
)

// NewProgress begins a Progress on standard error, if that is a terminal. Amounts are shown as unit shows them.
func (e *Env) NewProgress(label string, unit func(n float64) string) *Progress {
	if !e.StderrTerminal {
		return nil
	}
	return newProgress(e.Stderr, label, unit, time.Now)
}

func newProgress(w io.Writer, label string, unit func(n float64) string, now func() time.Time) *Progress {
	return &Progress{w: w, label: label, unit: unit, now: now, start: now()}
}

// From says that this much was done before, so that it does not count for the speed, which counts from now on.
func (p *Progress) From(done int64) {
	if p != nil {
		p.base, p.start = done, p.now()
	}
}

// Update says how much of the total is done. A total of 0 is not known.
func (p *Progress) Update(done, total int64) {
	if p == nil {
		return
	}
	now := p.now()
	if now.Sub(p.drawn) < redraw || now.Sub(p.start) < redraw {
		return
	}
	p.drawn = now
	p.line(p.text(done, total, now.Sub(p.start)))
}

// text is a line such as "hash  [======>     ]  42%  281 MB of 669 MB  402 MB/s  1 s left".
func (p *Progress) text(done, total int64, elapsed time.Duration) string {
	share := 0.0
	if total > 0 {
		share = min(1, max(0, float64(done)/float64(total)))
	}
	bar := strings.Repeat("=", int(share*barWidth))
	if len(bar) < barWidth {
		bar += ">"
	}
	text := fmt.Sprintf("%s  [%-*s] %3.0f%%  %s of %s", p.label, barWidth, bar, 100*share, p.unit(float64(done)), p.unit(float64(total)))
	if total == 0 {
		text = fmt.Sprintf("%s  %s", p.label, p.unit(float64(done)))
	}
	if done > p.base {
		speed := float64(done-p.base) / elapsed.Seconds()
		if total == 0 {
			return fmt.Sprintf("%s  %s/s", text, p.unit(speed))
		}
		left := time.Duration(float64(total-done) / speed * float64(time.Second))
		text += fmt.Sprintf("  %s/s  %s left", p.unit(speed), max(0, left).Round(time.Second))
	}
	return text
}

// line replaces the line that stands there. Spaces rather than an escape sequence wipe out what is longer, so that any
// terminal does it.
func (p *Progress) line(text string) {
	n := utf8.RuneCountInString(text)
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-n)))
	p.width = n
}

// Clear takes the line away.
func (p *Progress) Clear() {
	if p == nil || p.width == 0 {
		return
	}
	p.line("")
	fmt.Fprint(p.w, "\r")
}
