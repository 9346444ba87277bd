package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// busyLimit is how many CPUs others may keep busy: a tenth of one, or ten times what an idle system does.
	busyLimit = 0.1
	// busySlack is CPU time that the kernel may account to the wrong side: it counts in ticks, most often of 10 ms.
	busySlack = 50 * time.Millisecond
	// quietWait is for how long a run that has begun waits for others to end.
	quietWait = 10 * time.Minute
)

var errBusy = errors.New("another process is busy")

// cpuTimes is the time that all CPUs have spent since the system started, in ticks.
type cpuTimes struct {
	busy, total uint64
	cpus        int
}

// parseStat reads /proc/stat (proc_stat(5)): the line "cpu" holds user, nice, system, idle, iowait, irq, softirq,
// steal, and the times of guests, which user and nice contain already. Stolen time counts as busy: it went to another
// virtual machine.
func parseStat(text string) (cpuTimes, error) {
	var t cpuTimes
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		if fields[0] != "cpu" {
			t.cpus++
			continue
		}
		for i, field := range fields[1:min(len(fields), 9)] {
			ticks, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				return cpuTimes{}, fmt.Errorf("/proc/stat: %w", err)
			}
			t.total += ticks
			if i != 3 && i != 4 { // idle, iowait
				t.busy += ticks
			}
		}
	}
	if t.total == 0 || t.cpus == 0 {
		return cpuTimes{}, errors.New("/proc/stat has no CPUs")
	}
	return t, nil
}

func readStat() (cpuTimes, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTimes{}, err
	}
	return parseStat(string(data))
}

// others is how many CPUs were busy on average from a to b with anything but a process that used own of CPU time in
// that time of wall.
func others(a, b cpuTimes, wall, own time.Duration) float64 {
	if b.total <= a.total || b.busy < a.busy || wall <= 0 {
		return 0 // no tick between them; iowait, and with it the total, may run backwards
	}
	busy := float64(b.cpus) * float64(b.busy-a.busy) / float64(b.total-a.total)
	return max(0, busy-own.Seconds()/wall.Seconds())
}

// tooBusy judges what others gave.
func tooBusy(cpus float64, wall time.Duration) bool {
	return cpus*wall.Seconds() > busyLimit*wall.Seconds()+busySlack.Seconds()
}

// checkQuiet watches the machine for a second. Its error wraps errBusy where other processes compute.
func checkQuiet(ctx context.Context) error {
	before, err := readStat()
	if err != nil {
		return err
	}
	start := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	after, err := readStat()
	if err != nil {
		return err
	}
	wall := time.Since(start)
	if cpus := others(before, after, wall, 0); tooBusy(cpus, wall) {
		return fmt.Errorf("%w: %.2f CPUs in the last second; -force measures all the same", errBusy, cpus)
	}
	return nil
}

// waitQuiet waits until the machine is quiet, but not for ever.
func waitQuiet(ctx context.Context) error {
	for deadline := time.Now().Add(quietWait); ; {
		err := checkQuiet(ctx)
		if !errors.Is(err, errBusy) || time.Now().After(deadline) {
			return err
		}
	}
}
