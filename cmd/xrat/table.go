package main

import (
	"bufio"
	"io"
	"strings"
)

// column is one column of a table.
type column struct {
	title string
	right bool // aligned to the right
	// least is the width to which it may shrink to fit the terminal; 0: it keeps its width.
	least int
}

// table prints rows below their titles, in columns as wide as they have to be. If that is more than
// width (0: no limit), columns with a least width become narrower, the widest first. Empty columns
// are left out. Characters that could control a terminal are replaced.
func table(w io.Writer, width int, head []column, rows [][]string) error {
	const gap = 2
	widths := make([]int, len(head))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = fit(cell, 300)
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	total := -gap
	for i, c := range head {
		if widths[i] > 0 {
			widths[i] = max(widths[i], columns(c.title))
			total += widths[i] + gap
		}
	}
	for ; width > 0 && total > width; total-- {
		widest := -1
		for i, c := range head {
			if c.least > 0 && widths[i] > max(c.least, columns(c.title)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	out := bufio.NewWriter(w)
	var pending int // spaces that are written only if something follows them
	cell := func(i int, text string) {
		if widths[i] == 0 {
			return
		}
		if columns(text) > widths[i] {
			text = fit(text, widths[i])
		}
		space := widths[i] - columns(text)
		if head[i].right {
			pending, space = pending+space, 0
		}
		if text != "" {
			out.WriteString(strings.Repeat(" ", pending))
			out.WriteString(text)
			pending = 0
		}
		pending += space + gap
	}
	line := func(text func(i int) string) {
		pending = 0
		for i := range head {
			cell(i, text(i))
		}
		out.WriteByte('\n')
	}
	line(func(i int) string { return head[i].title })
	for _, row := range rows {
		line(func(i int) string { return row[i] })
	}
	return out.Flush()
}
