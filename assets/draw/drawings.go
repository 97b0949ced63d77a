package main

import (
	"image/color"
	"math"
)

// drawing is a list of layers, from back to front.
type drawing []layer

// layer is a shape in one colour.
type layer struct {
	shape shape
	color color.NRGBA
}

// The colours are neither bright nor dark: they have a contrast of at least 3:1 against a light
// panel and against a dark one.
var (
	gray  = color.NRGBA{0x76, 0x7f, 0x8a, 0xff}
	blue  = color.NRGBA{0x2b, 0x82, 0xd4, 0xff}
	green = color.NRGBA{0x1f, 0x98, 0x52, 0xff}
	amber = color.NRGBA{0xc4, 0x74, 0x00, 0xff}
	red   = color.NRGBA{0xdb, 0x3d, 0x3d, 0xff}
	white = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// drawings returns the icons by the names of their files. Each has an outline of its own, so that
// they can be told apart without colour.
func drawings() map[string]drawing {
	middle := point{.5, .5}
	return map[string]drawing{
		// An empty ring, struck through.
		"disconnected": {
			{without(ring(middle, .38, .13), stroke(.24, point{.16, .84}, point{.84, .16})), gray},
			{stroke(.12, point{.14, .86}, point{.86, .14}), gray},
		},
		// Two arrows that chase each other.
		"connecting": {{union(chaser(middle, 200), chaser(middle, 20)), blue}},
		// A disc with a tick.
		"connected": {
			{circle(middle, .46), green},
			{stroke(.13, point{.28, .52}, point{.44, .68}, point{.73, .35}), white},
		},
		// A triangle with an exclamation mark.
		"degraded": {
			{polygon(.08, point{.5, .12}, point{.91, .86}, point{.09, .86}), amber},
			{union(stroke(.13, point{.5, .36}, point{.5, .58}), circle(point{.5, .77}, .075)), white},
		},
		// A square on its corner, with a cross.
		"failed": {
			{polygon(.05, point{.5, .06}, point{.94, .5}, point{.5, .94}, point{.06, .5}), red},
			{union(stroke(.12, point{.36, .36}, point{.64, .64}), stroke(.12, point{.36, .64}, point{.64, .36})), white},
		},
	}
}

// chaser is an arrow along a third of a circle that begins at the angle from, in degrees.
func chaser(center point, from float64) shape {
	const radius, width, sweep = .35, .13, 118
	end := from + sweep
	tip := polar(center, radius, end+36)
	head := polygon(.02, tip, polar(center, radius-.17, end), polar(center, radius+.17, end))
	if !clockwise(tip, polar(center, radius-.17, end), polar(center, radius+.17, end)) {
		head = polygon(.02, tip, polar(center, radius+.17, end), polar(center, radius-.17, end))
	}
	return union(arc(center, radius, width, math.Mod(from, 360), math.Mod(from, 360)+sweep), head)
}

func clockwise(a, b, c point) bool { return (b.x-a.x)*(c.y-a.y)-(b.y-a.y)*(c.x-a.x) > 0 }
