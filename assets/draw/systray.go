package main

import (
	"image"
	"image/color"
)

// forSystray makes a picture that package systray hands on to panels as it is
// meant. Panels want straight 8-bit channels (StatusNotifierItem, IconPixmap);
// systray 1.12.2 sends the low byte of each premultiplied 16-bit channel, which
// for half transparent pixels is noise. So the channels have 16 bits here, of
// which the high byte is the premultiplied value, as anybody else reads them, and
// the low byte the straight one.
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
				// The smallest value that becomes want when it is premultiplied.
				return uint16(min(0xffff, (want*0xffff+alpha-1)/alpha))
			}
			out.SetNRGBA64(x, y, color.NRGBA64{R: channel(c.R), G: channel(c.G), B: channel(c.B), A: uint16(alpha)})
		}
	}
	return out
}
