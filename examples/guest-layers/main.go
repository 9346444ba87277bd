// Command guest-layers is an example guest that works layer by layer: a logit lens. For each token of the answer it looks at
// what the model would have said after every layer, and tells the embedder's log where the token that came in the end
// was first in the lead for good:
//
//	" Paris" leads from layer 24 of 30
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o guest-layers.wasm ./examples/guest-layers
//
// The answer itself is that of the guest that ships, to the last bit: the pieces of a forward pass give what the whole does.
package main

import (
	"fmt"

	"github.com/realm-ai/realm/guest"
)

func init() { guest.Serve(answer) }

func main() {}

func answer(request []byte) error {
	r, err := guest.ParseRequest(request)
	if err != nil {
		return err
	}
	m, err := guest.Open(r.Model)
	if err != nil {
		return err
	}
	return guest.Generate(r, guest.Hooks{Computer: newLens(m)})
}

// chunk is how many tokens of a prompt go through the layers together, which bounds the memory for their hidden states.
const chunk = 32

// lens is a guest.Computer that looks at the hidden state after every layer.
type lens struct {
	m      *guest.Model
	hidden []float32 // (chunk, hidden_size)
	logits []float32 // (vocab_size) of the last token after the last layer
	middle []float32 // (vocab_size) after a layer before that
	leader []int32   // (layers) the token with the largest logit after each
}

func newLens(m *guest.Model) *lens {
	i := &m.Info
	return &lens{
		m: m, hidden: make([]float32, chunk*int(i.HiddenSize)), logits: make([]float32, i.VocabSize),
		middle: make([]float32, i.VocabSize), leader: make([]int32, i.LayerCount),
	}
}

// Resume implements guest.Computer. Whatever the sequence held is computed anew.
func (l *lens) Resume(tokens []int32, _ int) (guest.Logits, int, error) {
	for at := 0; at < len(tokens); at += chunk {
		part := tokens[at:min(at+chunk, len(tokens))]
		if err := l.forward(part, at, at+len(part) == len(tokens)); err != nil {
			return guest.Logits{}, 0, err
		}
	}
	return guest.Logits{All: l.logits}, 0, l.report()
}

// Append implements guest.Computer.
func (l *lens) Append(token int32, position, _ int) (guest.Logits, error) {
	if err := l.forward([]int32{token}, position, true); err != nil {
		return guest.Logits{}, err
	}
	return guest.Logits{All: l.logits}, l.report()
}

// forward runs the layers one by one. With look set it takes the logits of the last token after each.
func (l *lens) forward(tokens []int32, position int, look bool) error {
	width := int(l.m.Info.HiddenSize)
	hidden := l.hidden[:len(tokens)*width]
	if err := l.m.EmbedTokens(tokens, hidden); err != nil {
		return err
	}
	for layer := range l.leader {
		if err := l.m.ForwardLayer(layer, hidden, position, hidden); err != nil {
			return err
		}
		if !look {
			continue
		}
		logits := l.middle
		if layer == len(l.leader)-1 {
			logits = l.logits
		}
		if err := l.m.ComputeLogits(hidden[len(hidden)-width:], logits); err != nil {
			return err
		}
		l.leader[layer] = largest(logits[:l.m.Info.TokenCount])
	}
	return nil
}

// report logs from which layer on the last layer's choice was in the lead.
func (l *lens) report() error {
	t, err := l.m.Tokenizer()
	if err != nil {
		return err
	}
	last := len(l.leader) - 1
	from := last
	for from > 0 && l.leader[from-1] == l.leader[last] {
		from--
	}
	piece := t.AppendPiece(nil, l.leader[last], true)
	return guest.Log(fmt.Sprintf("%q leads from layer %d of %d", piece, from+1, last+1))
}

// largest is the token with the largest logit, the lower of equals.
func largest(logits []float32) int32 {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return int32(best)
}
