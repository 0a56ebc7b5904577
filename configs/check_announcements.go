package configs

import (
	"slices"
	"strings"

	"cmp-batch/cmpcore/cmp"
)

// announcementKinds are the bodies that nobody asks for.
var announcementKinds = []struct {
	name string
	body cmp.BodyType
}{{"crlann", cmp.TypeCRLAnn}, {"cann", cmp.TypeCAnn}, {"rann", cmp.TypeRAnn}, {"ckuann", cmp.TypeCKUAnn}}

func (r *reader) announcements(w []writtenAnnouncement, channels []Channel) []Announcement {
	var names, kinds []string
	for _, ch := range channels {
		names = append(names, ch.Name)
	}
	for _, k := range announcementKinds {
		kinds = append(kinds, k.name)
	}
	var out []Announcement
	for i, a := range w {
		at := index("announcements", i)
		switch {
		case a.To == "":
			r.missing(child(at, "to"), "to: and the name of a channel")
		case !slices.Contains(names, a.To):
			r.fault(child(at, "to"), "%q is not a channel; %s", clip(a.To), oneOf(a.To, names))
		}
		if strings.ContainsAny(a.Prefix, "/\\\x00") || strings.HasPrefix(a.Prefix, ".") || len(a.Prefix) > 100 {
			r.fault(child(at, "prefix"), "%q cannot begin the name of a file; use letters, digits, - and _", clip(a.Prefix))
		}
		if len(a.What) == 0 {
			r.missing(child(at, "what"), "what: [crlann]")
		}
		an := Announcement{To: a.To, Prefix: a.Prefix}
		for _, word := range r.words(child(at, "what"), a.What, "an announcement", kinds) {
			if i := slices.Index(kinds, word); i >= 0 {
				an.What = append(an.What, announcementKinds[i].body)
			}
		}
		out = append(out, an)
	}
	return out
}
