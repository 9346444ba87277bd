package store

import "syscall"

// adviseHuge asks for huge pages in a mapping of a file: read from the disk it then comes in pieces of 2 MiB, where readahead
// would choose smaller ones. What is in the page cache already stays as it is.
func adviseHuge(data []byte) { _ = syscall.Madvise(data, syscall.MADV_HUGEPAGE) }
