package configs

import "slices"

func (r *reader) trust(w []writtenTrust, rules []Rule, dir string) []Trust {
	seen := map[string]int{}
	taken := map[string]string{} // path of the key by anchor
	var out []Trust
	for i, t := range w {
		at := index("trust", i)
		r.uniqueName(at, t.Name, seen, i)
		tr := Trust{Name: t.Name, Revocation: t.Revocation}
		r.word(child(at, "revocation"), t.Revocation, "require", "prefer", "off")
		anchors, crls := child(at, "anchors"), child(at, "crls")
		if len(t.Anchors) == 0 {
			r.missing(anchors, "anchors: and a file that a rule names in issued_by")
		}
		for j, f := range t.Anchors {
			path := r.element(anchors, j)
			f := r.path(dir, path, f, "a file that a rule names in issued_by")
			switch before, twice := taken[f]; {
			case f == "":
			case twice:
				r.fault(path, "%s has it already: each anchor is in one element", before)
			case !slices.ContainsFunc(rules, func(r Rule) bool { return r.Certificate != nil && slices.Contains(r.Certificate.Files, f) }):
				r.fault(path, "no rule trusts this file; write it as in rules[].who.certificate.issued_by")
			default:
				taken[f] = path
			}
			tr.Anchors = append(tr.Anchors, f)
		}
		if len(t.CRLs) == 0 {
			r.missing(crls, "crls: and a file or a folder, such as crls/partner")
		}
		for j, f := range t.CRLs {
			tr.CRLs = append(tr.CRLs, r.path(dir, r.element(crls, j), f, "a file or a folder, such as crls/partner"))
		}
		out = append(out, tr)
	}
	return out
}
