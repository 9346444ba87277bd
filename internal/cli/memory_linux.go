package cli

import (
	"os"
	"strconv"
	"strings"
)

// ReadMemory reads what the process uses from /proc/self/status (proc_pid_status(5)).
func ReadMemory() Memory {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Memory{}
	}
	return parseStatus(string(data))
}

// parseStatus reads lines such as "VmHWM:	  123456 kB".
func parseStatus(status string) Memory {
	var m Memory
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "VmHWM":
			m.Peak = kilobytes * 1024
		case "VmRSS":
			m.Resident = kilobytes * 1024
		case "RssAnon":
			m.Anonymous = kilobytes * 1024
		}
	}
	return m
}
