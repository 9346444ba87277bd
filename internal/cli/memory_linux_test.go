package cli

import "testing"

func TestParseStatus(t *testing.T) {
	const status = "Name:\trealm\nVmPeak:\t  999999 kB\nVmHWM:\t  123456 kB\nVmRSS:\t   65536 kB\nRssAnon:\t    1024 kB\nThreads:\t3\n"
	if got, want := parseStatus(status), (Memory{123456 << 10, 65536 << 10, 1024 << 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseStatus("VmHWM: lots\nVmRSS"); got != (Memory{}) {
		t.Errorf("of nonsense: %+v", got)
	}
	m := ReadMemory()
	if m.Peak < m.Resident || m.Resident < m.Anonymous || m.Anonymous < 100<<10 {
		t.Errorf("of this process: %+v", m)
	}
}
