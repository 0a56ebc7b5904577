package configs

import (
	"regexp"
	"strings"
)

// oneOf ends a message about a word that is not in a list: with the word that
// was probably meant, and the list.
func oneOf(got string, known []string) string {
	const most = 50
	list := "one of " + strings.Join(known[:min(len(known), most)], ", ")
	switch {
	case len(known) == 0:
		list = "there are none"
	case len(known) > most:
		list += ", ..."
	}
	if s := nearest(got, known); s != "" {
		return "did you mean " + s + "? " + strings.ToUpper(list[:1]) + list[1:]
	}
	return list
}

// listed is a message of a package below that ends in the list of known words.
var listed = regexp.MustCompile(`^("[^"]*") is (no key type; there are|none of) (.*)$`)

// suggested adds to such a message the word that was probably meant, in place of
// a list that is long.
func suggested(text string) string {
	m := listed.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	known := strings.Split(strings.ReplaceAll(m[3], " and ", ", "), ", ")
	s := nearest(strings.Trim(m[1], `"`), known)
	switch {
	case s == "":
		return text
	case len(known) > 12:
		what, _, _ := strings.Cut(m[2], ";")
		return m[1] + " is " + what + "; did you mean " + s + "?"
	default:
		return text + "; did you mean " + s + "?"
	}
}

// nearest finds the known word that is a slip of the fingers away, or "".
func nearest(got string, known []string) string {
	got = strings.ToLower(strings.ReplaceAll(got, "-", "_"))
	if len(got) > 40 {
		return ""
	}
	best, word := 3, ""
	for _, k := range known {
		d := distance(got, strings.ToLower(strings.ReplaceAll(k, "-", "_")))
		// Of a short word, two letters changed leave nothing to recognise.
		if d < best && d*3 <= max(len(k), 3) {
			best, word = d, k
		}
	}
	return word
}

// distance is the number of letters to add, drop, change or swap with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
