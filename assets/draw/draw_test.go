package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The files in the repository are what the program draws.
func TestFilesAreUpToDate(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir, ""); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir("../icons", func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		relative, err := filepath.Rel("../icons", name)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(filepath.Join(dir, relative))
		if err != nil {
			return err
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what is drawn: run `go generate ./assets`", relative)
		}
		return nil
	})
	if want := len(drawings()) * (len(pngSizes) + 2); err != nil || files != want {
		t.Errorf("%d files, want %d; %v", files, want, err)
	}
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

func contrast(a, b color.NRGBA) float64 {
	la, lb := luminance(a)+.05, luminance(b)+.05
	return max(la, lb) / min(la, lb)
}

// WCAG 2.2 asks for 3:1 in graphics (success criterion 1.4.11).
func TestContrast(t *testing.T) {
	for name, d := range drawings() {
		for panel, under := range panels {
			if c := contrast(d[0].color, under); c < 3 {
				t.Errorf("%s on panel %d: %.2f:1", name, panel, c)
			}
		}
		for _, l := range d[1:] {
			if c := contrast(l.color, d[0].color); l.color != d[0].color && c < 3 {
				t.Errorf("the symbol on %s: %.2f:1", name, c)
			}
		}
	}
}

// Without colour and at the smallest size, no two icons are alike.
func TestShapesDiffer(t *testing.T) {
	drawn := map[string]*image.NRGBA{}
	for name, d := range drawings() {
		for i := range d { // one colour for everything but the white symbols
			if d[i].color != white {
				d[i].color = color.NRGBA{0x77, 0x77, 0x77, 0xff}
			}
		}
		drawn[name] = d.render(16)
	}
	for a, pa := range drawn {
		for b, pb := range drawn {
			if a >= b {
				continue
			}
			different := 0
			for i := range 16 * 16 {
				ca, cb := pa.NRGBAAt(i%16, i/16), pb.NRGBAAt(i%16, i/16)
				if math.Abs(float64(ca.A)-float64(cb.A)) > 100 || math.Abs(float64(ca.R)*float64(ca.A)-float64(cb.R)*float64(cb.A)) > 100*255 {
					different++
				}
			}
			if different < 40 { // of 256
				t.Errorf("%s and %s differ in %d pixels", a, b, different)
			}
		}
	}
}

// What systray makes of a picture has straight channels, and others see it unchanged.
func TestForSystray(t *testing.T) {
	for name, d := range drawings() {
		straight := d.render(traySize)
		var file bytes.Buffer
		if err := png.Encode(&file, forSystray(straight)); err != nil {
			t.Fatal(err)
		}
		decoded, err := png.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range traySize * traySize {
			x, y := i%traySize, i/traySize
			want := straight.NRGBAAt(x, y)
			r, g, b, a := decoded.At(x, y).RGBA()
			if got := (color.NRGBA{uint8(r), uint8(g), uint8(b), uint8(a)}); got != want {
				t.Fatalf("%s at %d, %d: systray sends %v, want %v", name, x, y, got, want)
			}
			// Everybody else sees the same picture.
			wr, wg, wb, _ := want.RGBA()
			for _, c := range [][2]uint32{{r, wr}, {g, wg}, {b, wb}} {
				if math.Abs(float64(c[0])-float64(c[1])) > 2*0x101 {
					t.Fatalf("%s at %d, %d: looks like %v, want %v", name, x, y, decoded.At(x, y), want)
				}
			}
		}
	}
}

func TestICO(t *testing.T) {
	file := icon(drawings()["connected"])
	if kind, n := binary.LittleEndian.Uint16(file[2:]), int(binary.LittleEndian.Uint16(file[4:])); kind != 1 || n != len(icoSizes) {
		t.Fatalf("kind %d, %d pictures", kind, n)
	}
	end := 6 + 16*len(icoSizes)
	for i, size := range icoSizes {
		entry := file[6+16*i:]
		length, offset := int(binary.LittleEndian.Uint32(entry[8:])), int(binary.LittleEndian.Uint32(entry[12:]))
		if int(entry[0]) != size || offset != end {
			t.Errorf("picture %d: size %d at %d, want %d at %d", i, entry[0], offset, size, end)
		}
		end = offset + length
		header := file[offset:]
		middle := header[40+4*(size/2*size+size/2-size/8):]
		if w, h, bits := binary.LittleEndian.Uint32(header[4:]), binary.LittleEndian.Uint32(header[8:]), binary.LittleEndian.Uint16(header[14:]); int(w) != size || int(h) != 2*size || bits != 32 || middle[3] != 0xff {
			t.Errorf("picture %d: %dx%d with %d bits, middle %v", i, w, h, bits, middle[:4])
		}
	}
	if end != len(file) {
		t.Errorf("the file has %d bytes, its pictures end at %d", len(file), end)
	}
}
