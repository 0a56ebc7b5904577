package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"

	"github.com/spf13/cobra"
)

// nestFlags are of request nest.
type nestFlags struct {
	identity
	out, session, recipient string
}

func (c *cli) nestCommand() *cobra.Command {
	var f nestFlags
	cmd := &cobra.Command{
		Use:   "nest --out BATCH.pki --cert RA.crt --sign-key RA.key REQUEST.pki...",
		Short: "As an RA, put messages of others into one file",
		Long: `Put messages that others have made into one nested message, signed by a
registration authority whose rule at the CA has nested in may. The messages stay
as they are; so do the sessions of those who made them.

BATCH.pki goes to the CA. accept with BATCH.session.json takes its answer apart
into one file for each message, which goes back to whoever made that. One message
alone gets the signature as added protection, and its answer back.`,
		Example: `  cmp-batch request nest --out lot.pki --cert line.crt --sign-key line.key lot/*.pki
  cmp-batch accept out/lot.pki --session lot.session.json --cert line.crt --sign-key line.key --trust ca.crt`,
		Args: needs(1, "the messages are missing"),
		RunE: func(_ *cobra.Command, args []string) error { return c.nest(&f, args) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.out, "out", "o", "", "`FILE` for the nested message; .pki is usual")
	fl.StringVar(&f.session, "session", "", "`FILE` for the memory of the transaction (default: beside --out)")
	fl.StringVar(&f.signCert, "cert", "", "certificate `FILE` of the RA, chain after it")
	fl.StringVar(&f.signKey, "sign-key", "", "private key `FILE` of --cert")
	fl.StringVar(&f.passphraseFile, "passphrase-file", "", "`FILE` whose first line encrypts the private key")
	fl.StringVar(&f.recipient, "recipient", "", "`NAME` of the CA (default: that of the first message, or the issuer of --cert)")
	return c.withJSON(cmd)
}

func (c *cli) nest(f *nestFlags, paths []string) error {
	if f.out == "" {
		return usage("--out says where the nested message goes")
	}
	if f.signCert == "" || f.signKey == "" {
		return usage("--cert and --sign-key say who signs")
	}
	if f.session == "" {
		f.session = besides(f.out, ".session.json")
	}
	var recipient pkix.Name
	if f.recipient != "" {
		var err error
		if recipient, err = pkix.ParseDN(f.recipient); err != nil {
			return usageError{fmt.Errorf("--recipient: %w", err)}
		}
	}
	cred, err := f.credentials()
	if err != nil {
		return usageError{err}
	}
	messages, names, err := readMessages(paths)
	if err != nil {
		return usageError{err}
	}
	if err := refuseExisting(f.out, f.session); err != nil {
		return err
	}
	s, der, err := client.Nest(messages, cred, recipient)
	if err != nil {
		return usageError{err}
	}
	for i := range s.Nested {
		s.Nested[i].Name = names[i]
	}
	if err := writeSession(f.session, s); err != nil {
		return err
	}
	if err := writeNew(f.out, der, 0o644); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"request": f.out, "session": f.session, "kind": s.Kind, "messages": len(messages), "transaction": s.TransactionID})
	}
	w := c.table("request\t" + f.out)
	fmt.Fprintf(w, "session\t%s\n", f.session)
	fmt.Fprintf(w, "inside\t%d\n", len(messages))
	w.Flush()
	fmt.Fprintf(c.stdout, "\nCarry %s to the CA. With its answer:\n  cmp-batch accept ANSWER.pki --session %s%s\n", f.out, f.session, f.identity.again())
	return nil
}

// readMessages gives the contents of files and their names, under which their
// answers will be written into one folder.
func readMessages(paths []string) (messages [][]byte, names []string, err error) {
	seen := map[string]string{}
	total := 0
	for _, p := range paths {
		name := filepath.Base(p)
		if other, twice := seen[name]; twice {
			return nil, nil, fmt.Errorf("%s and %s have the same name, and so would their answers", other, p)
		}
		seen[name] = p
		data, err := readBounded(p, maxShow)
		if err != nil {
			return nil, nil, err
		}
		if _, err := cmp.Parse(data, cmp.Limits{}); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", p, err)
		}
		if total += len(data); total > maxNested {
			return nil, nil, fmt.Errorf("the messages have more than %d octets together: make several batches", maxNested)
		}
		messages, names = append(messages, data), append(names, name)
	}
	return messages, names, nil
}

// maxNested is the most that is put into one file, and taken out of one.
const maxNested = 64 << 20

// nestedReport is an answer inside a nested one, for --json.
type nestedReport struct {
	Request string `json:"request"` // name of the file of the message
	Kind    string `json:"kind,omitempty"`
	File    string `json:"file,omitempty"` // none where it needs no answer
}

// nested writes the answers inside, each under the name of its message.
func (t *taken) nested(s *client.Session, r *client.Result, rep *acceptReport, say func(string, ...any)) error {
	if err := os.MkdirAll(t.answersOut, 0o755); err != nil {
		return err
	}
	rep.Status = "nested"
	for _, item := range s.Nested {
		rep.Nested = append(rep.Nested, nestedReport{Request: item.Name})
	}
	for _, a := range r.Nested {
		name := filepath.Base(s.Nested[a.Index].Name)
		if name == "." || name == string(filepath.Separator) || name == ".." {
			return errors.New("the session has no names of files; it was not made by request nest")
		}
		path := filepath.Join(t.answersOut, name)
		if err := replaceFile(path, a.DER, 0o644); err != nil {
			return err
		}
		rep.Nested[a.Index].Kind, rep.Nested[a.Index].File = a.Kind.String(), path
	}
	say("answers: %d of %d in %s", len(r.Nested), len(s.Nested), t.answersOut)
	return nil
}
