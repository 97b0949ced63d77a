package main

import (
	"bufio"
	"encoding/base64"
	"io"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	// maxParseLine bounds one line, in bytes. Links are far shorter; names are cut.
	maxParseLine = 4 << 20
	// batchLines and batchBytes bound a batch: large enough that handing it over costs next to
	// nothing, small enough to keep few links in memory.
	batchLines = 256
	batchBytes = 256 << 10
)

// readBatches cuts what r has into batches and passes them to emit, until that returns false.
func readBatches(r io.Reader, emit func(*parseBatch) bool) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	if startsAsBase64(lines) {
		lines = bufio.NewReaderSize(base64.NewDecoder(base64.RawStdEncoding, plainBase64{lines}), 64<<10)
	}
	batch, size := newBatch(), 0
	flush := func() bool {
		if len(batch.lines) == 0 {
			return true
		}
		full := batch
		batch, size = newBatch(), 0
		return emit(full)
	}
	for number := 1; ; number++ {
		line, err := readLine(lines)
		line.number = number
		if number == 1 {
			line.text = strings.TrimPrefix(line.text, "\uFEFF")
		}
		line.text = strings.TrimSpace(line.text)
		if line.err != nil || line.text != "" && !strings.HasPrefix(line.text, "#") && !strings.HasPrefix(line.text, "//") {
			batch.lines = append(batch.lines, line)
			size += len(line.text)
		}
		// What is typed on a terminal or arrives slowly is answered at once.
		if len(batch.lines) >= batchLines || size >= batchBytes || err != nil || lines.Buffered() == 0 {
			if !flush() {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func newBatch() *parseBatch { return &parseBatch{done: make(chan struct{})} }

// readLine reads a line of any length. Of one that is too long it keeps nothing.
func readLine(r *bufio.Reader) (numberedLine, error) {
	var long []byte
	tooLong := false
	for {
		piece, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(long)+len(piece) > maxParseLine; tooLong {
			long = nil
		} else if err == bufio.ErrBufferFull || long != nil {
			long = append(long, piece...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case tooLong:
			return numberedLine{err: &link.Error{Code: link.CodeTooLong, Message: "the line is longer than 4 MiB; check that it is one link and not a file"}}, err
		case long != nil:
			return numberedLine{text: string(long)}, err
		default:
			return numberedLine{text: string(piece)}, err
		}
	}
}

// startsAsBase64 reports whether the input looks like a list in base64, as subscriptions are
// delivered, and not like links one a line.
func startsAsBase64(r *bufio.Reader) bool {
	const enough = 16
	if _, err := r.Peek(1); err != nil {
		return false
	}
	head, _ := r.Peek(r.Buffered())
	letters := 0
	for _, c := range head {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.IndexByte("+/-_=", c) >= 0:
			letters++
		case c != '\r' && c != '\n':
			return false
		}
	}
	return letters >= enough
}

// plainBase64 turns any base64 into standard base64 without padding.
type plainBase64 struct{ r io.Reader }

func (p plainBase64) Read(b []byte) (int, error) {
	for {
		n, err := p.r.Read(b)
		kept := b[:0]
		for _, c := range b[:n] {
			switch c {
			case '-':
				kept = append(kept, '+')
			case '_':
				kept = append(kept, '/')
			case '=', ' ', '\t', '\r', '\n':
			default:
				kept = append(kept, c)
			}
		}
		if len(kept) > 0 || err != nil {
			return len(kept), err
		}
	}
}
