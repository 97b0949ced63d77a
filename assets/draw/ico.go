package main

import (
	"bytes"
	"encoding/binary"
)

// icon returns an ICO file. Its pictures are uncompressed bitmaps, which every Windows can read
// (https://learn.microsoft.com/windows/win32/menurc/about-icons).
func icon(d drawing) []byte {
	var directory, pictures bytes.Buffer
	put := func(b *bytes.Buffer, values ...any) {
		for _, v := range values {
			binary.Write(b, binary.LittleEndian, v) // writing to a buffer never fails
		}
	}
	put(&directory, uint16(0), uint16(1), uint16(len(icoSizes)))
	const directorySize, entrySize, headerSize = 6, 16, 40
	for _, size := range icoSizes {
		img := d.render(size)
		maskRow := (size + 31) / 32 * 4
		length := headerSize + size*size*4 + size*maskRow
		offset := directorySize + entrySize*len(icoSizes) + pictures.Len()
		put(&directory, uint8(size), uint8(size), uint8(0), uint8(0), uint16(1), uint16(32), uint32(length), uint32(offset))
		// The height counts the picture and its mask.
		put(&pictures, uint32(headerSize), int32(size), int32(2*size), uint16(1), uint16(32), [6]uint32{})
		for y := size - 1; y >= 0; y-- {
			for x := range size {
				c := img.NRGBAAt(x, y)
				put(&pictures, c.B, c.G, c.R, c.A)
			}
		}
		pictures.Write(make([]byte, size*maskRow)) // unused: the alpha channel counts
	}
	return append(directory.Bytes(), pictures.Bytes()...)
}
