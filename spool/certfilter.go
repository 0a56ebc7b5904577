package spool

import (
	"bytes"
	"strings"

	"cmp-batch/cmpcore"
)

// Match tells whether c is selected, Limit aside. Stores may narrow the search
// with an index first; this is what the fields mean.
func (f *CertFilter) Match(c *cmpcore.Certificate) bool {
	return (f.Status == 0 || f.Status == c.Status) &&
		(len(f.Serial) == 0 || bytes.Equal(f.Serial, c.Serial)) &&
		(f.Profile == "" || f.Profile == c.Profile) &&
		(len(f.TransactionID) == 0 || bytes.Equal(f.TransactionID, c.TransactionID)) &&
		(f.ExpiresBefore.IsZero() || c.NotAfter.Before(f.ExpiresBefore)) &&
		(f.SubjectPart == "" || strings.Contains(strings.ToLower(c.Subject.String()), strings.ToLower(f.SubjectPart)))
}
