package cli

// Memory is what the process uses, in bytes. A figure that the system does not give is 0.
type Memory struct {
	// Peak is the most that was resident at a time. It counts the pages of the model file that were touched, which the
	// system shares among processes and may take back.
	Peak int64 `json:"peak_bytes"`
	// Resident is what is resident now, counted likewise.
	Resident int64 `json:"resident_bytes"`
	// Anonymous is the part of Resident that is no file's: the process's own.
	Anonymous int64 `json:"anonymous_bytes"`
}
