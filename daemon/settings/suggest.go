package settings

import (
	"strings"
)

// suggest returns the end of a message with the key that name in section ("" for the top of the
// file) probably means; "" when nothing comes near.
func suggest(section, name string) string {
	meant := func(s string) string { return " (did you mean \"" + s + "\"?)" }
	name = strings.ToLower(name)

	best, distance := "", max(1, len(name)/3)+1
	consider := func(candidate, path string) {
		if d := editDistance(name, candidate); d < distance {
			best, distance = path, d
		}
	}
	for _, k := range keys {
		if section == "" {
			consider(k.section, k.section)
		} else if k.section == section {
			consider(k.name, k.path())
		}
	}
	if best != "" {
		return meant(best)
	}
	// A key under the wrong heading, or above all headings.
	for _, k := range keys {
		if k.name == name {
			return meant(k.path())
		}
	}
	return ""
}

// editDistance is the number of letters to insert, delete, replace or swap with a neighbour to turn
// a into b (the optimal string alignment distance). Long texts are not misspelled keys: they count
// as different in every letter.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	var before []int // the row of a[:i-1]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			replace := row[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			next[j] = min(replace, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
