package main

import (
	"bufio"
	"bytes"
	"fmt"
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

// parseBatch is a piece of the input on its way through the workers, and its result.
type parseBatch struct {
	lines  []numberedLine // to be read, or
	items  []parsedItem   // what was read already
	page   bytes.Buffer
	counts parseCounts
	done   chan struct{} // closed when page and counts are there
}

type numberedLine struct {
	number int
	text   string
	err    *link.Error // instead of text: the line cannot be read
}

func newBatch() *parseBatch { return &parseBatch{done: make(chan struct{})} }

// readBatches cuts what r has into batches and passes them to emit, until that returns false. A
// list of links is read as it arrives, whatever its size. Everything else is read as a whole, as an
// import does. file is the name of the file, if it is one.
func readBatches(r io.Reader, file string, emit func(*parseBatch) bool) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	var head []numberedLine
	for number := 1; ; number++ {
		line, err := readLine(lines, maxImport)
		if line.err != nil {
			return tooLarge()
		}
		line.number = number
		text := strings.TrimSpace(strings.TrimPrefix(line.text, "\uFEFF"))
		if beginsWithScheme(text) {
			if len(line.text) > maxParseLine {
				line = numberedLine{number: number, err: errLongLine}
			}
			return readList(lines, append(head, line), err, emit)
		}
		head = append(head, line)
		if isContent := text != "" && !isComment(text); isContent || err != nil || number == batchLines {
			if err == io.EOF {
				err = nil
			}
			return readWhole(lines, head, err, file, emit)
		}
	}
}

func isComment(text string) bool {
	return strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//")
}

// beginsWithScheme reports whether a line is one of a list beyond doubt.
func beginsWithScheme(text string) bool {
	scheme, _, found := strings.Cut(text, "://")
	return found && scheme != "" && strings.Trim(scheme, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// readList reads a list of links, of which the first lines are there already; err is how reading
// the last of them ended.
func readList(lines *bufio.Reader, head []numberedLine, err error, emit func(*parseBatch) bool) error {
	batch, size := newBatch(), 0
	batch.lines = head
	for number := len(head); ; {
		// What is typed on a terminal or arrives slowly is answered at once.
		if len(batch.lines) >= batchLines || size >= batchBytes || err != nil || lines.Buffered() == 0 {
			if !emit(batch) || err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			batch, size = newBatch(), 0
		}
		var line numberedLine
		line, err = readLine(lines, maxParseLine)
		number++
		line.number = number
		batch.lines = append(batch.lines, line)
		size += len(line.text)
	}
}

// readWhole reads everything, of which the first lines are there already.
func readWhole(lines *bufio.Reader, head []numberedLine, err error, file string, emit func(*parseBatch) bool) error {
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, line := range head {
		text.WriteString(line.text)
	}
	if _, err := io.Copy(&text, io.LimitReader(lines, maxImport+1)); err != nil {
		return err
	}
	if text.Len() > maxImport {
		return tooLarge()
	}
	body, unread := readBody(source{name: file, text: text.String(), file: file != ""})
	items := itemsOf(body)
	if len(items) == 0 && text.Len() > 0 {
		return unread
	}
	for len(items) > 0 {
		batch := newBatch()
		n := min(len(items), batchLines)
		batch.items, items = items[:n], items[n:]
		if !emit(batch) {
			return nil
		}
	}
	return nil
}

func tooLarge() error { return fmt.Errorf("it is larger than %s: split it", size(maxImport)) }

var errLongLine = &link.Error{Code: link.CodeTooLong, Message: "the line is longer than 4 MiB; check that it is one link and not a file"}

// readLine reads a line of any length, with its end. Of one that is longer than limit it keeps
// nothing.
func readLine(r *bufio.Reader, limit int) (numberedLine, error) {
	var long []byte
	tooLong := false
	for {
		piece, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(long)+len(piece) > limit; tooLong {
			long = nil
		} else if err == bufio.ErrBufferFull || long != nil {
			long = append(long, piece...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case tooLong:
			return numberedLine{err: errLongLine}, err
		case long != nil:
			return numberedLine{text: string(long)}, err
		default:
			return numberedLine{text: string(piece)}, err
		}
	}
}
