package issuance

import (
	"time"

	"cmp-batch/cmpcore/pkix"
)

// grantValidity gives the dates of the certificate.
func (p *Profile) grantValidity(requested *pkix.Validity, is *Issuer, now time.Time) (nb, na time.Time, mods []string, ref *Refusal) {
	v := &p.validity
	now = now.UTC().Truncate(time.Second)
	if now.After(is.notAfter) || now.Before(is.notBefore) {
		return nb, na, nil, p.refuse(IssuerUnable, "the CA cannot issue at this time", "validity: it is %s, the CA certificate is valid from %s to %s",
			now.Format(time.RFC3339), is.notBefore.Format(time.RFC3339), is.notAfter.Format(time.RFC3339))
	}
	bad := func(detail string, args ...any) (time.Time, time.Time, []string, *Refusal) {
		return nb, na, nil, p.refuse(BadValidity, "the requested validity is not accepted", detail, args...)
	}
	var wantNB, wantNA time.Time
	if requested != nil {
		wantNB, wantNA = requested.NotBefore.UTC().Truncate(time.Second), requested.NotAfter.UTC().Truncate(time.Second)
	}

	nb = v.backdate.before(now)
	if nb.Before(is.notBefore) {
		nb = is.notBefore
	}
	if !wantNB.IsZero() && v.request != "ignore" {
		latest := v.advance.From(now)
		switch {
		case wantNB.Before(nb):
			if v.request == "strict" {
				return bad("validity.backdate: notBefore %s was asked for, the earliest is %s", wantNB.Format(time.RFC3339), nb.Format(time.RFC3339))
			}
		case wantNB.After(latest):
			if v.request == "strict" {
				return bad("validity.advance: notBefore %s was asked for, the latest is %s", wantNB.Format(time.RFC3339), latest.Format(time.RFC3339))
			}
			nb = latest
		default:
			nb = wantNB
		}
	}

	// Lengths count from now, or from a later beginning: backdating is for
	// slow clocks and takes nothing away.
	from := now
	if nb.After(now) {
		from = nb
	}
	limit := v.max.From(from)
	if na = v.def.From(from); na.After(limit) {
		na = limit
	}
	if !wantNA.IsZero() && v.request != "ignore" {
		switch {
		case !wantNA.After(now) || !wantNA.After(nb):
			return bad("validity: notAfter %s was asked for, which is past or before notBefore", wantNA.Format(time.RFC3339))
		case wantNA.After(limit):
			if v.request == "strict" {
				return bad("validity.max: notAfter %s was asked for, the latest is %s", wantNA.Format(time.RFC3339), limit.Format(time.RFC3339))
			}
			na = limit
		default:
			na = wantNA
		}
	}
	if na.After(is.notAfter) {
		if v.refuseBeyondCA {
			return bad("validity.beyond_ca: the certificate would end %s, the CA ends %s", na.Format(time.RFC3339), is.notAfter.Format(time.RFC3339))
		}
		na = is.notAfter
	}
	if !na.After(nb) {
		return bad("validity: the certificate would begin %s and end %s", nb.Format(time.RFC3339), na.Format(time.RFC3339))
	}
	if !wantNB.IsZero() && !wantNB.Equal(nb) {
		mods = append(mods, "validity: notBefore changed to "+nb.Format(time.RFC3339))
	}
	if !wantNA.IsZero() && !wantNA.Equal(na) {
		mods = append(mods, "validity: notAfter changed to "+na.Format(time.RFC3339))
	}
	return nb, na, mods, nil
}

// before gives the moment that lies one period before t.
func (p Period) before(t time.Time) time.Time { return t.AddDate(-p.years, 0, -p.days).Add(-p.rest) }
