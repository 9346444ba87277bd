package hostpipe

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/realm-ai/realm"
)

// A frame is a header of 20 bytes, a head in JSON and a body of raw bytes, which are the buffers that the head mentions, one
// after the other:
//
//	 0  u32  kind
//	 4  u32  number of the operation, given by who calls
//	 8  u32  bytes of the head
//	12  u64  bytes of the body
//
// Numbers are little-endian. docs/rationale.md says why it is no protocol that others know.
type frame struct {
	kind, id uint32
	head     []byte
	body     []byte
}

const headerBytes = 20

// Kinds of frames.
const (
	kindHello       = 0 // from the host, the first: hello
	kindCall        = 1 // to the host: request
	kindAcknowledge = 2 // to the host: how many chunks of an operation were taken
	kindCancel      = 3 // to the host; no head
	kindResult      = 4 // from the host, the last of an operation; the body has the buffers that the call wanted back
	kindError       = 5 // from the host, the last of an operation: bridge.Failure
	kindChunk       = 6 // from the host, while an operation goes on: a list of chunks
)

// version is that of the frames and of the functions behind them. Both sides refuse another one.
const version = 2

// hello is how a host begins.
type hello struct {
	Version int `json:"version"`
}

// maxHead is the most bytes of a head: a request with all its messages.
const maxHead = 256 << 20

// readFrame reads a frame. It returns io.EOF where there is none.
func readFrame(r io.Reader) (frame, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: binary.LittleEndian.Uint32(header[0:]), id: binary.LittleEndian.Uint32(header[4:])}
	head, body := binary.LittleEndian.Uint32(header[8:]), binary.LittleEndian.Uint64(header[12:])
	if head > maxHead {
		return frame{}, fmt.Errorf("a head of %d bytes", head)
	}
	var err error
	if f.head, err = readBytes(r, uint64(head)); err == nil {
		f.body, err = readBytes(r, body)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

// readBytes reads n bytes. It makes room as they come, so that a wrong length costs no memory.
func readBytes(r io.Reader, n uint64) ([]byte, error) {
	const step = 16 << 20
	b := make([]byte, min(n, step))
	for have := 0; ; {
		m, err := io.ReadFull(r, b[have:])
		if have += m; err != nil || uint64(have) == n {
			return b, err
		}
		b = slices.Grow(b, int(min(n-uint64(have), uint64(have))))
		b = b[:min(uint64(cap(b)), n)]
	}
}

// writeFrame writes a frame, whose body is given in pieces, in few writes.
func writeFrame(w io.Writer, kind, id uint32, head any, body ...[]byte) error {
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	total := 0
	for _, b := range body {
		total += len(b)
	}
	out := make([]byte, headerBytes, headerBytes+len(text))
	binary.LittleEndian.PutUint32(out[0:], kind)
	binary.LittleEndian.PutUint32(out[4:], id)
	binary.LittleEndian.PutUint32(out[8:], uint32(len(text)))
	binary.LittleEndian.PutUint64(out[12:], uint64(total))
	if _, err := w.Write(append(out, text...)); err != nil {
		return err
	}
	for _, b := range body {
		if len(b) == 0 {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// invalidf is the error of a frame that makes no sense.
func invalidf(format string, args ...any) error {
	return &realm.Error{Code: realm.CodeInvalidArgument, Msg: "hostpipe: " + fmt.Sprintf(format, args...)}
}
