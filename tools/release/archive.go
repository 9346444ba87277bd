package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// modified is the time of every file in an archive, the earliest that a zip can say.
var modified = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// member is a file in an archive.
type member struct {
	name string
	mode fs.FileMode
	data []byte
}

// archive packs the command line for a platform, for those who want it without npm: realm-VERSION-OS-ARCH, as Go names them.
func (r *release) archive(p platform, command string, notices []byte) error {
	folder := fmt.Sprintf("realm-%s-%s-%s", r.version, p.goos(), p.goarch())
	members := []member{{name: p.command(), mode: 0o755}, {name: "LICENSE", mode: 0o644}, {name: "README.md", mode: 0o644}}
	for i, from := range []string{command, filepath.Join(r.root, "LICENSE"), filepath.Join(r.root, "README.md")} {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		members[i].data = data
	}
	members = append(members, member{noticesName, 0o644, notices})
	for i := range members {
		members[i].name = path.Join(folder, members[i].name)
	}
	write, ending := writeTar, ".tar.gz"
	if p.goos() == "windows" {
		write, ending = writeZip, ".zip"
	}
	out, err := os.Create(filepath.Join(r.out, folder+ending))
	if err != nil {
		return err
	}
	return errors.Join(write(out, members), out.Close())
}

func writeTar(w io.Writer, members []member) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, m := range members {
		head := &tar.Header{Name: m.name, Mode: int64(m.mode), Size: int64(len(m.data)), ModTime: modified, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(head); err != nil {
			return err
		}
		if _, err := t.Write(m.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func writeZip(w io.Writer, members []member) error {
	z := zip.NewWriter(w)
	for _, m := range members {
		head := &zip.FileHeader{Name: m.name, Method: zip.Deflate, Modified: modified}
		head.SetMode(m.mode)
		f, err := z.CreateHeader(head)
		if err != nil {
			return err
		}
		if _, err := f.Write(m.data); err != nil {
			return err
		}
	}
	return z.Close()
}

const sumsName = "SHA256SUMS"

// writeSums writes the SHA-256 of each file in a folder in the form that sha256sum -c reads.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, entry := range entries {
		if entry.Name() == sumsName {
			continue
		}
		sum, err := fileSum(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, entry.Name())
	}
	return writeFile(filepath.Join(dir, sumsName), []byte(text.String()))
}

func fileSum(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(data)), nil
}
