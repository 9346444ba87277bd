package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/realm-ai/realm/internal/kernel"
)

// An image is a file in the cache folder with the packed matrices of one model, one after the other, as kernel.PackStrips
// writes them. It is written once under another name, renamed when it is complete, and never changed, so that any number
// of processes can map it and share its memory.
//
//	offset  bytes
//	0       8      "RealmPak"
//	8       4      version, 1; every number is little-endian
//	12      4      CRC-32C of the head, with these four bytes zero
//	16      32     digest of the model
//	48      32     digest of the plan
//	80      8      size of the image
//	88      4      length of the name
//	92      256    name of the model, for people
//	348     4 n    CRC-32C of each 2 MiB of the image, the first without the head
//	               zeros to a multiple of 4096, the end of the head
//	               the matrices
const (
	imageMagic   = "RealmPak"
	imageVersion = 1
	headFixed    = 348
	maxImageName = 256
	// piece is what is checked with one checksum and written at a time. File systems that can put it into one huge page
	// do, if it is written whole.
	piece = 2 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// plan says where in an image each matrix is.
type plan struct {
	matrices []*kernel.Matrix
	offsets  []int64 // of each matrix, and the end
	head     int64   // bytes before the first
	key      [sha256.Size]byte
}

// newPlan lays matrices out in an image. It is the same for the same model, kernels' wishes and layout.
func newPlan(names []string, matrices []*kernel.Matrix) *plan {
	p := &plan{matrices: matrices}
	h := sha256.New()
	total := int64(0)
	fmt.Fprintf(h, "%s\n", kernel.PackedLayout)
	for i, m := range matrices {
		fmt.Fprintf(h, "%q %d %d %d\n", names[i], m.DType, m.Rows, m.Cols)
		total += m.PackedBytes()
	}
	h.Sum(p.key[:0])
	const page = 4096
	pieces := total/piece + 2 // the head may begin one more
	p.head = (headFixed + 4*pieces + page - 1) &^ (page - 1)
	at := p.head
	for _, m := range matrices {
		p.offsets = append(p.offsets, at)
		at += m.PackedBytes()
	}
	p.offsets = append(p.offsets, at)
	return p
}

func (p *plan) size() int64 { return p.offsets[len(p.matrices)] }

// pieces is the number of checksums.
func (p *plan) pieces() int { return int((p.size() + piece - 1) / piece) }

// piece returns the part of an image, or of its bytes from base on, that checksum i is of.
func (p *plan) piece(data []byte, base int64, i int) []byte {
	from := max(int64(i)*piece, p.head)
	to := min(int64(i+1)*piece, p.size())
	if from >= to {
		return nil
	}
	return data[from-base : to-base]
}

// split returns each matrix's part of an image.
func (p *plan) split(data []byte) [][]byte {
	parts := make([][]byte, len(p.matrices))
	for i := range parts {
		parts[i] = data[p.offsets[i]:p.offsets[i+1]:p.offsets[i+1]]
	}
	return parts
}

// header makes the head of an image.
func (p *plan) header(d Digest, name string, sums []uint32) []byte {
	name = name[:min(len(name), maxImageName)]
	b := make([]byte, p.head)
	copy(b, imageMagic)
	binary.LittleEndian.PutUint32(b[8:], imageVersion)
	copy(b[16:], d[:])
	copy(b[48:], p.key[:])
	binary.LittleEndian.PutUint64(b[80:], uint64(p.size()))
	binary.LittleEndian.PutUint32(b[88:], uint32(len(name)))
	copy(b[92:], name)
	for i, sum := range sums {
		binary.LittleEndian.PutUint32(b[headFixed+4*i:], sum)
	}
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b, castagnoli))
	return b
}

var (
	errNoImage  = errors.New("no image")
	errBadImage = errors.New("not the image that its name says")
)

// mapImage maps the image of a model, after every byte of it was checked. The error is errNoImage where there is none to be
// used, errBadImage where it is broken, else ctx's.
func mapImage(ctx context.Context, path string, d Digest, p *plan, pool *kernel.Pool,
	progress func(done, total int64),
) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errNoImage
	}
	defer f.Close() // a mapping outlives its descriptor
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || !trusted(info) {
		return nil, errNoImage
	}
	if info.Size() != p.size() || p.size() > math.MaxInt {
		return nil, errBadImage
	}
	head := make([]byte, p.head)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, errBadImage
	}
	sums := make([]uint32, p.pieces())
	for i := range sums {
		sums[i] = binary.LittleEndian.Uint32(head[headFixed+4*i:])
	}
	name := head[92:][:min(binary.LittleEndian.Uint32(head[88:]), maxImageName)]
	if !bytes.Equal(head, p.header(d, string(name), sums)) {
		return nil, errBadImage
	}
	data, err := mapShared(f, int(p.size()))
	if err != nil {
		return nil, errNoImage
	}
	// Reading it all takes little more than the page faults, which every page is in for anyway.
	bad := atomic.Bool{}
	const pieces = 64 // between looks at ctx
	for first := 0; first < len(sums); first += pieces {
		n := min(pieces, len(sums)-first)
		pool.Run(n, func(i int) {
			if !bad.Load() && !intact(p.piece(data, 0, first+i), sums[first+i]) {
				bad.Store(true)
			}
		})
		err := ctx.Err()
		if bad.Load() {
			err = errBadImage
		}
		if err != nil {
			_ = unmap(data)
			return nil, err
		}
		if done := min(int64(first+n)*piece, p.size()) - p.head; progress != nil && done > 0 {
			progress(done, p.size()-p.head)
		}
	}
	return data, nil
}

// intact compares bytes of a mapping with their checksum. Bytes that cannot be read, since the file is shorter by now or
// the disk fails, are not intact.
func intact(b []byte, sum uint32) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return crc32.Checksum(b, castagnoli) == sum
}

// readImageName reads of a file in the cache folder which model it is the image of.
func readImageName(path string) (d Digest, name string, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return d, "", false
	}
	defer f.Close()
	var b [headFixed]byte
	if _, err := io.ReadFull(f, b[:]); err != nil || string(b[:8]) != imageMagic {
		return d, "", false
	}
	n := min(binary.LittleEndian.Uint32(b[88:]), maxImageName)
	return Digest(b[16:48]), string(b[92 : 92+n]), true
}
