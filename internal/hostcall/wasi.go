package hostcall

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/realm-ai/realm"
)

// Guests of Go, TinyGo and C import functions of WASI for their runtimes. They get a clock that shows fuel, random bytes
// that follow from the seed, an output that is the embedder's log, no arguments, no environment, and no file.
// https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md

// wasiFunc is a function of WASI: its parameters, i for an i32 and I for an i64, and what it does, which returns an
// errno. Without an implementation it finds no file of the number that it is given.
type wasiFunc struct {
	params string
	run    func(t *Task, p []uint64) uint32
}

// The error numbers.
const (
	wasiOK    = 0
	wasiBadF  = 8
	wasiFault = 21
	wasiInval = 28
)

var wasiFunctions = map[string]wasiFunc{
	"args_get":                {"ii", nothing},
	"args_sizes_get":          {"ii", noStrings},
	"clock_res_get":           {"ii", clockResolution},
	"clock_time_get":          {"iIi", clockTime},
	"environ_get":             {"ii", nothing},
	"environ_sizes_get":       {"ii", noStrings},
	"fd_advise":               {"iIIi", nil},
	"fd_allocate":             {"iII", nil},
	"fd_close":                {"i", nil},
	"fd_datasync":             {"i", nil},
	"fd_fdstat_get":           {"ii", fdStat},
	"fd_fdstat_set_flags":     {"ii", nil},
	"fd_fdstat_set_rights":    {"iII", nil},
	"fd_filestat_get":         {"ii", nil},
	"fd_filestat_set_size":    {"iI", nil},
	"fd_filestat_set_times":   {"iIIi", nil},
	"fd_pread":                {"iiiIi", nil},
	"fd_prestat_dir_name":     {"iii", nil},
	"fd_prestat_get":          {"ii", nil},
	"fd_pwrite":               {"iiiIi", nil},
	"fd_read":                 {"iiii", nil},
	"fd_readdir":              {"iiiIi", nil},
	"fd_renumber":             {"ii", nil},
	"fd_seek":                 {"iIii", nil},
	"fd_sync":                 {"i", nil},
	"fd_tell":                 {"ii", nil},
	"fd_write":                {"iiii", fdWrite},
	"path_create_directory":   {"iii", nil},
	"path_filestat_get":       {"iiiii", nil},
	"path_filestat_set_times": {"iiiiIIi", nil},
	"path_link":               {"iiiiiii", nil},
	"path_open":               {"iiiiiIIii", nil},
	"path_readlink":           {"iiiiii", nil},
	"path_remove_directory":   {"iii", nil},
	"path_rename":             {"iiiiii", nil},
	"path_symlink":            {"iiiii", nil},
	"path_unlink_file":        {"iii", nil},
	"poll_oneoff":             {"iiii", poll},
	wasiExit:                  {"i", exit},
	"random_get":              {"ii", random},
	"sched_yield":             {"", nothing},
}

// wasiExit is the one function of WASI that returns nothing.
const wasiExit = "proc_exit"

// wasiFunction does what all functions of WASI do around their own work.
func wasiFunction(f wasiFunc) func(t *Task, params []uint64) uint64 {
	return func(t *Task, params []uint64) uint64 {
		if err := t.ctx.Err(); err != nil {
			t.end(contextError(err))
		}
		if f.run == nil {
			return wasiBadF
		}
		return uint64(f.run(t, params))
	}
}

func nothing(*Task, []uint64) uint32 { return wasiOK }

func (t *Task) put32(at uint64, v uint32) bool {
	b, err := t.span(uint32(at), 4, 1)
	if err == nil {
		binary.LittleEndian.PutUint32(b, v)
	}
	return err == nil
}

func (t *Task) put64(at uint64, v int64) uint32 {
	b, err := t.span(uint32(at), 8, 1)
	if err != nil {
		return wasiFault
	}
	binary.LittleEndian.PutUint64(b, uint64(v))
	return wasiOK
}

// noStrings says that there are 0 arguments, or variables, of 0 bytes.
func noStrings(t *Task, p []uint64) uint32 {
	if !t.put32(p[0], 0) || !t.put32(p[1], 0) {
		return wasiFault
	}
	return wasiOK
}

// The clocks.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// clock is what a clock shows.
func (t *Task) clock(id uint32) (ns int64, ok bool) {
	switch id {
	case clockRealtime:
		return t.now(), true
	case clockMonotonic:
		return t.Clock(), true
	}
	return 0, false
}

func clockResolution(t *Task, p []uint64) uint32 { return t.put64(p[1], 1) }

func clockTime(t *Task, p []uint64) uint32 {
	ns, ok := t.clock(uint32(p[0]))
	if !ok {
		return wasiInval
	}
	return t.put64(p[2], ns)
}

// fdStat describes standard input, output and error as character devices that can be written to.
func fdStat(t *Task, p []uint64) uint32 {
	if uint32(p[0]) > 2 {
		return wasiBadF
	}
	b, err := t.span(uint32(p[1]), 24, 1)
	if err != nil {
		return wasiFault
	}
	clear(b)
	b[0] = 2      // character device
	b[8] = 1 << 6 // the right fd_write
	return wasiOK
}

// maxLine is where lines of output without an end are broken.
const maxLine = 4096

// maxVectors bounds the pieces of a write, as Linux does.
const maxVectors = 1024

// fdWrite writes to the log, a line at a time. An iovec is a pointer and a length.
func fdWrite(t *Task, p []uint64) uint32 {
	if fd := uint32(p[0]); fd != 1 && fd != 2 {
		return wasiBadF
	}
	vectors, err := t.span(uint32(p[1]), p[2]&math.MaxUint32, 8)
	if err != nil {
		return wasiFault
	}
	out, err := t.span(uint32(p[3]), 4, 1)
	if err != nil {
		return wasiFault
	}
	var chunks [][]byte
	total := uint64(0)
	if len(vectors)/8 > maxVectors {
		return wasiInval
	}
	for ; len(vectors) > 0; vectors = vectors[8:] {
		chunk, err := t.span(binary.LittleEndian.Uint32(vectors), uint64(binary.LittleEndian.Uint32(vectors[4:])), 1)
		if err != nil {
			return wasiFault
		}
		if total += uint64(len(chunk)); total > math.MaxInt32 {
			return wasiInval
		}
		chunks = append(chunks, chunk)
	}
	for _, chunk := range chunks {
		for len(chunk) > 0 {
			n := min(len(chunk), maxLine-len(t.line))
			end := bytes.IndexByte(chunk[:n], '\n')
			if end >= 0 {
				n = end
			}
			t.line = append(t.line, chunk[:n]...)
			chunk = chunk[n:]
			if end >= 0 {
				chunk = chunk[1:]
			}
			if end >= 0 || len(t.line) == maxLine {
				t.flush()
			}
		}
	}
	binary.LittleEndian.PutUint32(out, uint32(total))
	return wasiOK
}

// flush hands over the line that fd_write has begun.
func (t *Task) flush() {
	line := t.line
	t.line = t.line[:0]
	t.log(line)
}

// The layout of a subscription and an event of poll_oneoff, in bytes.
const (
	subscriptionSize = 48
	eventSize        = 32
	longest          = math.MaxInt64 / 4 // of a sleep, in nanoseconds
)

// poll waits for the first of some timeouts, which takes no time but moves the clock on. Of files there are none to wait
// for.
func poll(t *Task, p []uint64) uint32 {
	n := p[2] & math.MaxUint32
	in, err := t.span(uint32(p[0]), n, subscriptionSize)
	if err != nil {
		return wasiFault
	}
	out, err := t.span(uint32(p[1]), n, eventSize)
	if err != nil {
		return wasiFault
	}
	if n == 0 {
		return wasiInval
	}
	const tagClock = 0
	// left is how long a subscription has to wait.
	left := func(s []byte) int64 {
		if s[8] != tagClock {
			return 0
		}
		now, ok := t.clock(binary.LittleEndian.Uint32(s[16:]))
		if !ok {
			return 0
		}
		timeout := int64(min(binary.LittleEndian.Uint64(s[24:]), longest))
		if binary.LittleEndian.Uint16(s[40:])&1 != 0 { // an absolute time
			timeout -= now
		}
		return max(0, timeout)
	}
	wait := int64(longest)
	for i := range n {
		wait = min(wait, left(in[i*subscriptionSize:]))
	}
	count, err := t.span(uint32(p[3]), 4, 1)
	if err != nil {
		return wasiFault
	}
	events := uint32(0)
	for i := range n {
		s := in[i*subscriptionSize:][:subscriptionSize]
		if left(s) > wait {
			continue
		}
		event := out[events*eventSize:][:eventSize]
		user, tag := binary.LittleEndian.Uint64(s), s[8]
		clear(event)
		binary.LittleEndian.PutUint64(event, user)
		if tag != tagClock {
			event[8] = wasiBadF
		}
		event[10] = tag
		events++
	}
	t.slept = min(t.slept+wait, longest)
	binary.LittleEndian.PutUint32(count, events)
	return wasiOK
}

func exit(t *Task, p []uint64) uint32 {
	t.end(errorf(realm.CodeGuestFailed, "the guest exited with status %d", uint32(p[0])))
	return wasiOK
}

// random fills a span with bytes that follow from the request's seed. It burns fuel as memory.fill does.
func random(t *Task, p []uint64) uint32 {
	b, err := t.span(uint32(p[0]), p[1]&math.MaxUint32, 1)
	if err != nil {
		return wasiFault
	}
	t.machine.SetFuel(t.machine.Fuel() - int64(len(b)/8))
	_, _ = t.random.Read(b) // which never fails
	return wasiOK
}
