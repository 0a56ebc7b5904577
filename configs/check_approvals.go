package configs

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
)

// maxApprovals is the most people that a rule may ask for.
const maxApprovals = 8

func (r *reader) approvers(w []writtenApprover) []Approver {
	if len(w) == 0 && r.has("approvers") {
		r.fault("approvers", "the list is empty, and nobody could decide; remove the key, and everybody may whose account may use the database")
	}
	list := make([]Approver, len(w))
	for i := range w {
		at := index("approvers", i)
		switch path := child(at, "name"); {
		case w[i].Name == "":
			r.missing(path, "the name of a person")
		case !personName(w[i].Name):
			r.fault(path, "%q is no name of a person: one line of at most 64 characters, without commas and blanks around it", clip(w[i].Name))
		}
		for j := range i {
			if strings.EqualFold(w[i].Name, w[j].Name) && w[i].Name != "" { // Alice and alice are one person
				r.fault(child(at, "name"), "%q is the name of %s already", clip(w[i].Name), index("approvers", j))
			}
		}
		list[i] = Approver{Name: w[i].Name, Account: w[i].Account}
		if account := child(at, "account"); w[i].Account == "" && r.has(account) {
			r.fault(account, "the name is empty; remove the key where it is the same as name")
		} else if w[i].Account == "" {
			list[i].Account = w[i].Name
		}
	}
	return list
}

func personName(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= 64 && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(c rune) bool { return c == ',' || !unicode.IsPrint(c) })
}

// approvals checks how many people a rule asks for.
func (r *reader) approvals(at string, w *writtenRule, out *Rule, people int) {
	path := child(at, "approvals")
	out.Approvals = r.number(path, w.Approvals, 1, maxApprovals)
	switch sensitive := w.Approval == "sensitive"; {
	case out.Approvals < 2:
	case out.Unattended, sensitive && !out.may(cmp.TypeCCR, cmp.TypeKRR):
		r.fault(path, "nothing under this rule waits for a person; write approval: required, or remove the key")
	case people > 0 && people < out.Approvals:
		r.fault(path, "%d people must approve, and approvers has %d", out.Approvals, people)
	}
}
