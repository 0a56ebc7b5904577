package main

import (
	"fmt"
	"time"

	"cmp-batch/cmpcore/issuance"
)

// age writes a length of time in the unit that people would use.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + age(-d)
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 730*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}

// until writes when something ends, seen from now.
func until(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	day := t.UTC().Format(time.DateOnly)
	if t.Before(now) {
		return fmt.Sprintf("%s (%s ago)", day, age(now.Sub(t)))
	}
	if t.Year() == 9999 {
		return day
	}
	left := t.Sub(now)
	if left > 48*time.Hour {
		left = left.Round(24 * time.Hour) // 30d are still 30d a second later
	}
	return fmt.Sprintf("%s (in %s)", day, age(left))
}

// stamp writes a time as JSON has it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// optionalStamp is stamp for a time that need not be there.
func optionalStamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

const timeForms = "2026-01-31 (its begin, UTC) or 2026-01-31T12:00:00Z"

// parseTime reads a day or a moment.
func parseTime(flag, text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usage("%s: %.60q is not a time; write %s", flag, text, timeForms)
}

// parseDeadline reads a day, a moment, or a length of time from now on.
func parseDeadline(flag, text string, now time.Time) (time.Time, error) {
	if t, err := parseTime(flag, text); err == nil {
		return t, nil
	}
	p, err := issuance.ParsePeriod(text)
	if err != nil {
		return time.Time{}, usage("%s: %.60q is not a time; write 30d, 12h, %s", flag, text, timeForms)
	}
	return p.From(now), nil
}
