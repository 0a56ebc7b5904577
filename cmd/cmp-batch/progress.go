package main

import (
	"fmt"
	"io"

	"cmp-batch/spool"
)

// progressLine is one line of a terminal that is written over and over.
type progressLine struct {
	w   io.Writer
	on  bool
	any bool
}

func (l *progressLine) show(p spool.Progress) {
	if !l.on {
		return
	}
	l.any = true
	fmt.Fprintf(l.w, "\r\x1b[K%d done, %.0f a second", p.Done, p.Rate)
	if p.Undelivered > 0 {
		fmt.Fprintf(l.w, ", %d answers wait for delivery", p.Undelivered)
	}
}

// clear takes the line away, so that results stand alone.
func (l *progressLine) clear() {
	if l.any {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}
