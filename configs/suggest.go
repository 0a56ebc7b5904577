package configs

import "strings"

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
