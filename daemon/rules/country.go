package rules

import (
	"strings"
	"unicode"
)

// flagA is the first of the 26 letters that flags are written with.
const flagA = '\U0001F1E6'

// countryCode reads a country as a rule names it: by its code or its flag.
func countryCode(text string) (code string, ok bool) {
	if codes := flags(text); len(codes) == 1 && len([]rune(text)) == 2 {
		return codes[0], true
	}
	if len(text) != 2 || !isLetter(text[0]) || !isLetter(text[1]) {
		return "", false
	}
	return sameCountry(strings.ToUpper(text)), true
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// countriesOf returns the countries that a name tells of: those of its flags or, if it has none,
// the words of two capital letters, such as DE in "DE-01". Those are not looked for beside a flag:
// "🇩🇪 no logs, IT team" is not in Italy.
func countriesOf(name string) []string {
	if codes := flags(name); len(codes) > 0 {
		return codes
	}
	var codes []string
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if len(word) == 2 && word == strings.ToUpper(word) && isLetter(word[0]) && isLetter(word[1]) {
			codes = append(codes, sameCountry(word))
		}
	}
	return codes
}

// flags returns the codes of the flags in a text.
func flags(text string) (codes []string) {
	var first rune // of a pair, 0: none
	for _, r := range text {
		switch letter := r - flagA; {
		case letter < 0 || letter >= 26:
			first = 0
		case first == 0:
			first = 'A' + letter
		default:
			codes = append(codes, sameCountry(string([]rune{first, 'A' + letter})))
			first = 0
		}
	}
	return codes
}

// sameCountry returns the code of ISO 3166 for one that people use in its place.
func sameCountry(code string) string {
	if code == "UK" {
		return "GB"
	}
	return code
}
