package generate

import (
	"strings"

	"github.com/realm-ai/realm/internal/tokenizer"
)

// stopper turns tokens into text up to the first of several stop texts. It holds back what may be the start of one.
type stopper struct {
	decoder *tokenizer.Decoder
	stops   []string
	held    string
	stopped bool
}

func newStopper(d *tokenizer.Decoder, stops []string) *stopper {
	s := &stopper{decoder: d}
	for _, stop := range stops {
		if stop != "" {
			s.stops = append(s.stops, stop)
		}
	}
	return s
}

// push adds a token and returns the text that is certain with it.
func (s *stopper) push(token int32) string { return s.add(s.decoder.Push(token)) }

func (s *stopper) add(text []byte) string {
	if s.stopped {
		return ""
	}
	s.held += string(text)
	end, hold := len(s.held), 0
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && i < end {
			end, s.stopped = i, true
		}
		for n := min(len(stop)-1, len(s.held)); n > hold; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				hold = n
			}
		}
	}
	if s.stopped {
		out := s.held[:end]
		s.held = ""
		return out
	}
	out := s.held[:len(s.held)-hold]
	s.held = s.held[len(out):]
	return out
}

// rest returns what was held back, when no more tokens come.
func (s *stopper) rest() string {
	out := s.add(s.decoder.Flush())
	if !s.stopped {
		out += s.held
	}
	s.held = ""
	return out
}
