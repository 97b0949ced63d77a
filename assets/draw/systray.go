package main

import (
	"image"
	"image/color"
)

// forSystray returns img in a form that reaches panels unharmed through package systray. Panels
// want straight (not premultiplied) 8-bit channels (StatusNotifierItem, IconPixmap), but systray
// 1.12.2 sends the low byte of each premultiplied 16-bit channel, which is noise in half
// transparent pixels. So the channels here have 16 bits, with the premultiplied value in the high
// byte, where everybody else reads it, and the straight one in the low byte.
func forSystray(img *image.NRGBA) *image.NRGBA64 {
	out := image.NewNRGBA64(img.Rect)
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			c := img.NRGBAAt(x, y)
			if c.A == 0 {
				continue
			}
			alpha := uint32(c.A) * 0x101
			channel := func(straight uint8) uint16 {
				high := uint32(straight) * uint32(c.A) / 0xff
				want := high<<8 | uint32(straight)
				if want > alpha { // brighter than there is: one step down
					want -= 1 << 8
				}
				// The smallest value that premultiplying turns into want.
				return uint16(min(0xffff, (want*0xffff+alpha-1)/alpha))
			}
			out.SetNRGBA64(x, y, color.NRGBA64{R: channel(c.R), G: channel(c.G), B: channel(c.B), A: uint16(alpha)})
		}
	}
	return out
}
