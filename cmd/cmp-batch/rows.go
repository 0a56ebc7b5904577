package main

import (
	"strings"
	"text/tabwriter"

	"cmp-batch/cmpcore/cmptext"
)

// rows is a table that is written in pieces, so that a long one neither waits
// nor fills memory. Without any row nothing is written, not even the head.
type rows struct {
	c    *cli
	head string
	w    *tabwriter.Writer
	n    int
}

func (c *cli) rows(columns string) *rows { return &rows{c: c, head: columns} }

const rowsTogether = 1000 // aligned with each other

func (t *rows) row(cells ...string) {
	switch {
	case t.w == nil:
		t.w = t.c.table(t.head)
	case t.n%rowsTogether == 0:
		t.w.Flush()
	}
	t.n++
	t.w.Write([]byte(strings.Join(cells, "\t") + "\n"))
}

func (t *rows) end() error {
	if t == nil || t.w == nil {
		return nil
	}
	return t.w.Flush()
}

// cut bounds a text in a table; it is cut between characters.
func cut(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "..."
		}
		n++
	}
	return s
}

// escapeCut is cut for text of any origin.
func escapeCut(s string, most int) string { return cut(cmptext.Escape(s), most) }
