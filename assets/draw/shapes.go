package main

import "math"

// point is a place in a drawing, which extends from (0, 0) at the top left to (1, 1).
type point struct{ x, y float64 }

// shape reports whether a point belongs to it.
type shape func(p point) bool

func circle(center point, radius float64) shape {
	return func(p point) bool { return math.Hypot(p.x-center.x, p.y-center.y) <= radius }
}

// ring is the line of a circle.
func ring(center point, radius, width float64) shape {
	outer, inner := circle(center, radius+width/2), circle(center, radius-width/2)
	return func(p point) bool { return outer(p) && !inner(p) }
}

// arc is the part of a ring between two angles in degrees, clockwise from the right.
func arc(center point, radius, width, from, to float64) shape {
	whole := ring(center, radius, width)
	return func(p point) bool {
		angle := math.Atan2(p.y-center.y, p.x-center.x) * 180 / math.Pi
		for angle < from {
			angle += 360
		}
		return whole(p) && angle <= to
	}
}

// polygon is convex, with its corners given clockwise, and rounded.
func polygon(rounding float64, corners ...point) shape {
	return func(p point) bool {
		inside := true
		for i, a := range corners {
			b := corners[(i+1)%len(corners)]
			if (b.x-a.x)*(p.y-a.y)-(b.y-a.y)*(p.x-a.x) < 0 {
				inside = false
			}
			if segmentDistance(p, a, b) <= rounding {
				return true
			}
		}
		return inside
	}
}

// stroke is a line with round ends and corners.
func stroke(width float64, points ...point) shape {
	return func(p point) bool {
		for i := range len(points) - 1 {
			if segmentDistance(p, points[i], points[i+1]) <= width/2 {
				return true
			}
		}
		return false
	}
}

// segmentDistance is the distance of p from the line between a and b.
func segmentDistance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if length := dx*dx + dy*dy; length > 0 {
		t = min(1, max(0, ((p.x-a.x)*dx+(p.y-a.y)*dy)/length))
	}
	return math.Hypot(p.x-a.x-t*dx, p.y-a.y-t*dy)
}

// union is what belongs to any of the shapes.
func union(shapes ...shape) shape {
	return func(p point) bool {
		for _, s := range shapes {
			if s(p) {
				return true
			}
		}
		return false
	}
}

// without is what belongs to s and not to hole.
func without(s, hole shape) shape {
	return func(p point) bool { return s(p) && !hole(p) }
}

// polar is a point at an angle in degrees, clockwise from the right.
func polar(center point, radius, angle float64) point {
	sin, cos := math.Sincos(angle * math.Pi / 180)
	return point{center.x + radius*cos, center.y + radius*sin}
}
