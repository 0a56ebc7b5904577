package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"cmp-batch/configs"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// cli is one call of the program.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	configFile string
	json       bool
	logFormat  string
	logLevel   string

	// started is set once arguments and flags were accepted: errors before it
	// are wrong use.
	started bool
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cmp-batch",
		Short: "A CMP certificate authority for places a network does not reach",
		Long: `cmp-batch answers Certificate Management Protocol messages (RFC 9810, RFC 9483)
that arrive as files. It loses none, issues nothing twice, and gives every
answer back, whatever crashes.`,
		Example: `  cmp-batch demo
  cmp-batch init my-ca && cmp-batch run -c my-ca/cmp-batch.yaml --once`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		PersistentPreRun: func(*cobra.Command, []string) {
			c.started = true
		},
	}
	root.SetVersionTemplate("cmp-batch {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		text, _, _ := strings.Cut(err.Error(), ": strconv.") // how Go reads numbers is no help
		return hint(usage("%s", text), "%s --help", cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&c.logFormat, "log-format", "auto", "`FORMAT` of the log on stderr: text, json or auto (as configured)")
	root.PersistentFlags().StringVar(&c.logLevel, "log-level", "", "log `LEVEL`: debug, info, warn or error (default as configured)")
	root.AddGroup(
		&cobra.Group{ID: "ca", Title: "The CA:"},
		&cobra.Group{ID: "look", Title: "Looking after it:"},
		&cobra.Group{ID: "ee", Title: "The end entity's side:"},
	)
	for _, g := range []struct {
		id   string
		cmds []*cobra.Command
	}{
		{"ca", []*cobra.Command{c.demoCommand(), c.initCommand(), c.caCommand(), c.runCommand(), c.processCommand(), c.secretCommand()}},
		{"look", []*cobra.Command{c.checkCommand(), c.queueCommand(), c.certCommand(), c.crlCommand(), c.auditCommand()}},
		{"ee", []*cobra.Command{c.requestCommand(), c.acceptCommand(), c.showCommand()}},
	} {
		for _, cmd := range g.cmds {
			cmd.GroupID = g.id
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(c.manCommand())
	return root
}

// withConfig adds the flag that every command about a CA has.
func (c *cli) withConfig(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVarP(&c.configFile, "config", "c", configs.FileName, "configuration `FILE`")
	return cmd
}

// withJSON adds the flag for output that programs read.
func (c *cli) withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object a line")
	return cmd
}

// printJSON writes one object as one line. What does not print is escaped, so
// that text of any origin leaves a terminal alone.
func (c *cli) printJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	out := make([]byte, 0, b.Len())
	for _, r := range b.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r): // Encode has one line feed, at the end
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	_, err := c.stdout.Write(out)
	return err
}

// table starts a table on stdout; Flush ends it.
func (c *cli) table(columns string) *tabwriter.Writer {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, columns)
	return w
}

// logger makes the program's log as flags and configuration say.
func (c *cli) logger(l configs.Log) (*slog.Logger, error) {
	asJSON := l.JSON
	switch c.logFormat {
	case "auto":
	case "json":
		asJSON = true
	case "text":
		asJSON = false
	default:
		return nil, usage("--log-format is text, json or auto, not %q", c.logFormat)
	}
	level := l.Level
	if c.logLevel != "" {
		if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
			return nil, usage("--log-level is debug, info, warn or error, not %q", c.logLevel)
		}
	}
	o := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(c.stderr, o)), nil
	}
	return slog.New(slog.NewTextHandler(c.stderr, o)), nil
}

// isTerminal tells whether w is a terminal that a person looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
