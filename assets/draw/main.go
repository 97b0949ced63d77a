// Command draw draws the icons of the tray; "go generate ./assets" runs it. It owns how they look,
// while package assets embeds and returns them. Begin with drawings.go.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
)

// The sizes for panels and desktops, and those for Windows, in pixels.
var (
	pngSizes = []int{16, 22, 24, 32, 48, 64, 128, 256}
	icoSizes = []int{16, 20, 24, 32, 48}
)

// traySize is the one size that the tray gives to panels, in pixels. They scale it to 16 to 24
// pixels, on dense screens to twice as many.
const traySize = 48

// The colours of a light and of a dark panel.
var panels = []color.NRGBA{{0xf6, 0xf5, 0xf4, 0xff}, {0x2d, 0x2d, 0x30, 0xff}}

func main() {
	out := flag.String("out", ".", "the directory to write the icons to")
	preview := flag.String("preview", "", "the file to write a picture of all icons to; empty: none")
	flag.Parse()
	if err := generate(*out, *preview); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

func generate(out, preview string) error {
	for name, d := range drawings() {
		for _, size := range pngSizes {
			// The layout of an icon theme, which can be installed as it is.
			dir := filepath.Join(out, "hicolor", fmt.Sprintf("%dx%d", size, size), "apps")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := writePNG(filepath.Join(dir, "xrat-"+name+".png"), d.render(size)); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(out, name+".ico"), icon(d), 0o644); err != nil {
			return err
		}
		if err := writePNG(filepath.Join(out, name+".png"), forSystray(d.render(traySize))); err != nil {
			return err
		}
	}
	if preview == "" {
		return nil
	}
	return writePNG(preview, sheet())
}

func writePNG(name string, img image.Image) error {
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&file, img); err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	return os.WriteFile(name, file.Bytes(), 0o644)
}

// render draws a square of size pixels, each the mean of many samples.
func (d drawing) render(size int) *image.NRGBA {
	grid := min(16, max(4, 384/size)) // samples along a pixel's side
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			var r, g, b, hits int
			for i := range grid * grid {
				p := point{
					(float64(x) + (float64(i%grid)+.5)/float64(grid)) / float64(size),
					(float64(y) + (float64(i/grid)+.5)/float64(grid)) / float64(size),
				}
				for _, l := range slices.Backward(d) {
					if l.shape(p) {
						r, g, b, hits = r+int(l.color.R), g+int(l.color.G), b+int(l.color.B), hits+1
						break
					}
				}
			}
			if alpha := hits * 255 / (grid * grid); alpha > 0 {
				img.SetNRGBA(x, y, color.NRGBA{uint8(r / hits), uint8(g / hits), uint8(b / hits), uint8(alpha)})
			}
		}
	}
	return img
}

// sheet shows every state at several sizes on a light and on a dark panel.
func sheet() image.Image {
	sizes := []int{16, 22, 32, 64}
	all := drawings()
	names := []string{"disconnected", "connecting", "connected", "degraded", "failed"}
	const cell = 84
	img := image.NewNRGBA(image.Rect(0, 0, cell*len(names), 2*4*cell/2+2*40))
	half := img.Rect.Dy() / 2
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			img.SetNRGBA(x, y, panels[y/half])
		}
	}
	for i, name := range names {
		for panel := range panels {
			y := panel*half + 10
			for _, size := range sizes {
				over(img, all[name].render(size), i*cell+(cell-size)/2, y)
				y += size + 14
			}
		}
	}
	return img
}

// over draws src over dst, with its corner at left and top.
func over(dst, src *image.NRGBA, left, top int) {
	for y := range src.Rect.Dy() {
		for x := range src.Rect.Dx() {
			s, d := src.NRGBAAt(x, y), dst.NRGBAAt(left+x, top+y)
			mix := func(s, d uint8, a uint8) uint8 { return uint8((int(s)*int(a) + int(d)*(255-int(a))) / 255) }
			dst.SetNRGBA(left+x, top+y, color.NRGBA{mix(s.R, d.R, s.A), mix(s.G, d.G, s.A), mix(s.B, d.B, s.A), 0xff})
		}
	}
}
