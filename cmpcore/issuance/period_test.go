package issuance

import (
	"testing"
	"time"
)

func TestParsePeriod(t *testing.T) {
	from := time.Date(2028, 1, 31, 10, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		in, end string
	}{
		{"1y", "2029-01-31T10:00:00Z"},
		{"397d", "2029-03-03T10:00:00Z"},
		{"1y30d", "2029-03-02T10:00:00Z"},
		{"36h", "2028-02-01T22:00:00Z"},
		{"1h30m", "2028-01-31T11:30:00Z"},
		{"1y2d3h", "2029-02-02T13:00:00Z"},
		{"9999-12-31", "9999-12-31T23:59:59Z"},
		{"8000y", "9999-12-31T23:59:59Z"},
	} {
		p, err := ParsePeriod(x.in)
		if err != nil {
			t.Errorf("%s: %v", x.in, err)
			continue
		}
		if got := p.From(from).Format(time.RFC3339); got != x.end {
			t.Errorf("%s: ends %s, want %s", x.in, got, x.end)
		}
		if q, err := ParsePeriod(p.String()); err != nil || q != p {
			t.Errorf("%s is written as %s: %v", x.in, p, err)
		}
	}
	for _, x := range []struct{ in, want string }{
		{"", `"" is not a length of time: it is empty; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"5", `"5" is not a length of time: it has no unit; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"-1d", `"-1d" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"-1h", `"-1h" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"1y-1h", `"1y-1h" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"1d1y", `"1d1y" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"1w", `"1w" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"500ms", `"500ms" is not a length of time: certificates count whole seconds; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"8001y", `"8001y" is not a length of time: it is too long; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"99999999999999999999d", `"99999999999999999999d" is not a length of time: it is too long; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
	} {
		if p, err := ParsePeriod(x.in); err == nil || err.Error() != x.want {
			t.Errorf("%s: %v, %v", x.in, p, err)
		}
	}
}
