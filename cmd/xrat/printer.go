package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// printer prints the results of commands.
type printer struct {
	out    io.Writer
	asJSON bool
}

// print writes data as JSON when that was asked for, and otherwise as text.
func (p *printer) print(data any, text func(w io.Writer)) error {
	var page bytes.Buffer
	if p.asJSON {
		encoder := json.NewEncoder(&page)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(data); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
	} else {
		text(&page)
	}
	if _, err := p.out.Write(page.Bytes()); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// printMessage prints data as JSON when that was asked for, and otherwise the daemon's message.
func (p *printer) printMessage(data any, message string) error {
	return p.print(data, func(w io.Writer) { fmt.Fprintln(w, sentence(message)) })
}

// width is that of the terminal that is written to; 0 if it is none.
func (p *printer) width() int {
	file, ok := p.out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}
