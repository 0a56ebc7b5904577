package spool

import (
	"crypto/sha256"
	"time"
	"unicode/utf8"

	"cmp-batch/cmpcore"
)

// AppendAudit appends entries to b as [AuditRecord.Entries] has them: one JSON
// object a line, with the member names of [cmpcore.AuditEntry], empty members
// left out. All Stores write the same bytes for the same entries.
func AppendAudit(b []byte, entries []cmpcore.AuditEntry) []byte {
	for i := range entries {
		e := &entries[i]
		b = append(b, `{"time":"`...)
		b = e.Time.UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","event":`...)
		b = appendJSON(b, e.Event)
		b = appendMember(b, `,"requester":`, e.Requester)
		b = appendMember(b, `,"transaction":`, e.Transaction)
		b = appendMember(b, `,"serial":`, e.Serial)
		b = appendMember(b, `,"rule":`, e.Rule)
		b = appendMember(b, `,"profile":`, e.Profile)
		b = appendMember(b, `,"detail":`, e.Detail)
		b = appendMember(b, `,"channel":`, e.Channel)
		b = append(b, '}', '\n')
	}
	return b
}

// AuditHead chains entries to the record before: [AuditRecord.Head].
func AuditHead(previous [32]byte, entries []byte) [32]byte {
	h := sha256.New()
	h.Write(previous[:])
	h.Write(entries)
	return [32]byte(h.Sum(nil))
}

func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendJSON(append(b, name...), value)
}

// appendJSON writes a string of RFC 8259 section 7. Control characters and the
// two line separators of Unicode are escaped, so that an entry is one line for
// every reader; what is not UTF-8 becomes U+FFFD.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			if c == '"' || c == '\\' {
				b = append(b, '\\', c)
			} else {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), "\ufffd"...)
			start = i + size
		case r == '\u2028' || r == '\u2029' || r >= 0x80 && r < 0xa0:
			b = append(b, s[start:i]...)
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}
