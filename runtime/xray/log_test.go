//go:build linux

package xray

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestCapLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "core.log")
	if err := CapLog(path, 1000); err != nil {
		t.Errorf("a missing file: %v", err)
	}
	var content bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&content, "line %d\n", i)
	}
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := openLog(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := CapLog(path, int64(content.Len())); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Size() != int64(content.Len()) {
		t.Errorf("a file at its limit was cut to %d bytes", info.Size())
	}
	if err := CapLog(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.WriteString("after\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 506 || len(got) < 490 || !bytes.HasPrefix(got, []byte("line ")) || !bytes.HasSuffix(got, []byte("line 999\nafter\n")) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	symlink := filepath.Join(dir, "link")
	if err := os.Symlink(target, symlink); err != nil {
		t.Fatal(err)
	}
	if err := CapLog(symlink, 10); err == nil {
		t.Error("a symbolic link was followed")
	}
	if _, err := openLog(symlink, os.O_WRONLY|os.O_APPEND|os.O_CREATE); err == nil {
		t.Error("a symbolic link was opened")
	}
	if got, _ := os.ReadFile(target); !bytes.Equal(got, content.Bytes()) {
		t.Error("the link's target was changed")
	}
	if _, err := os.Stat(filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was created")
	}
}

func TestCoreLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.log")
	before, own := "an earlier core with s3cr3t\n", "one s3cr3t two s3cr3t\nlast s3cr3t\n\n"
	if err := os.WriteFile(path, []byte(before+own), 0o600); err != nil {
		t.Fatal(err)
	}
	l := coreLog{path: path, from: int64(len(before))}
	if got := l.lastLine([]string{"s3cr3t"}); got != "last [secret]" {
		t.Errorf("last line %q", got)
	}
	if err := l.mask([]string{"s3cr3t", ""}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != before+"one ****** two ******\nlast ******\n\n" {
		t.Errorf("masked: %q", got)
	}
	if got := (coreLog{path: path, from: int64(len(before) + len(own))}).lastLine(nil); got != "" {
		t.Errorf("nothing was written, the last line is %q", got)
	}
	if got := (coreLog{path: path + "x"}).lastLine(nil); got != "" {
		t.Errorf("no file: %q", got)
	}
}
