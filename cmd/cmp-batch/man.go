package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand is for packagers, so the help does not list it.
func (c *cli) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages into DIR",
		Hidden: true,
		Long: `Write a manual page of section 1 for every command into DIR, which is made where
it is missing. The date in them is that of SOURCE_DATE_EPOCH, else today.`,
		Example: `  cmp-batch man man1`,
		Args:    only(1, "the folder is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "cmp-batch", Manual: "cmp-batch"}, args[0])
		},
	}
}
