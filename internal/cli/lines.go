package cli

import (
	"bufio"
	"io"
	"strings"
)

// lineReader reads lines in a goroutine of its own, so that who waits for one can also wait for a signal. It reads only
// when asked: what is typed during an answer stays with the terminal until then.
type lineReader struct {
	lines chan line
	ask   chan struct{}
	asked bool
}

// line is a line without its end, or what ended the input.
type line struct {
	text string
	err  error
}

// newLineReader starts to read r. stop ends the goroutine, but for a read that is in progress.
func newLineReader(r io.Reader) (l *lineReader, stop func()) {
	l = &lineReader{lines: make(chan line, 1), ask: make(chan struct{})}
	go func() {
		lines := bufio.NewReader(r)
		for range l.ask {
			text, err := lines.ReadString('\n')
			if err == io.EOF && text != "" {
				err = nil // the next read finds the end again
			}
			text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
			l.lines <- line{text, err}
		}
	}()
	return l, func() { close(l.ask) }
}

// next returns the channel that the next line comes from.
func (l *lineReader) next() <-chan line {
	if !l.asked {
		l.ask <- struct{}{}
		l.asked = true
	}
	return l.lines
}

// took says that a line was taken from the channel.
func (l *lineReader) took() { l.asked = false }
