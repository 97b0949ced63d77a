package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"
)

// maxFileSize is far more than any settings file needs. It also bounds the time that a wrong file
// takes: the library looks through all keys of a table for each new one, which makes a minute for 1
// MiB of keys.
const maxFileSize = 64 << 10

// Load reads the settings file at path. A file that does not exist gives the defaults. The error
// joins a [*Problem] for each thing that is wrong.
func Load(path string) (Settings, error) {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Settings{}, err
	}
	return parse(path, data)
}

// readFile returns the text in the file. The error is fs.ErrNotExist only when nothing has that
// name.
func readFile(path string) ([]byte, error) {
	problem := func(format string, arguments ...any) error {
		return &Problem{File: path, Message: fmt.Sprintf(format, arguments...)}
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, linkErr := os.Lstat(path); linkErr == nil {
			return nil, problem("is a symbolic link to a file that does not exist; remove it to use the defaults, or make the file")
		}
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	if info.IsDir() {
		return nil, problem("is a directory; the settings are a file of that name")
	}
	// Opening a pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return nil, problem("is not a regular file; the settings are a text file of that name")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	if len(data) > maxFileSize {
		return nil, problem("is larger than 64 KiB, which no settings file is; is it another file under this name?")
	}
	return data, checkText(path, data)
}

// checkText accepts only UTF-8 without a byte order mark, as TOML demands.
func checkText(path string, data []byte) error {
	at := func(offset int, message string) error {
		line, column := newLines(data).position(offset)
		return &Problem{File: path, Line: line, Column: column, Message: message}
	}
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return at(0, "starts with a byte order mark; save the file as UTF-8 without one")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return at(0, "is UTF-16 text; save the file as UTF-8")
	}
	for offset := 0; offset < len(data); {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size == 1 {
			return at(offset, "is not UTF-8 text from here on; save the file as UTF-8")
		}
		offset += size
	}
	return nil
}
