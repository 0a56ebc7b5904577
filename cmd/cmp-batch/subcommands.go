package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// family makes a command that only has others below it: alone it prints its
// help, and what is not below it is wrong use.
func family(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.DisableFlagsInUseLine = true
	cmd.Args = cobra.ArbitraryArgs
	// The flags that most of those below have may stand before their names too.
	cmd.PersistentFlags().StringP("config", "c", "", "")
	cmd.PersistentFlags().Bool("json", false, "")
	cmd.PersistentFlags().MarkHidden("config")
	cmd.PersistentFlags().MarkHidden("json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
		// What SuggestionsFor wants set where Find is not its caller.
		cmd.SuggestionsMinimumDistance = 2
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			text += "; did you mean " + strings.Join(s, " or ") + "?"
		}
		return hint(usage("%s", text), "%s --help", cmd.CommandPath())
	}
	return cmd
}

// needs wants at least n arguments and says what is missing in its own words.
func needs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return hint(usage("%s: %s", cmd.CommandPath(), what), "%s --help", cmd.CommandPath())
		}
		return nil
	}
}

// atMost wants no more than n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return hint(usage("%s: %q is one argument too many", cmd.CommandPath(), args[n]), "%s --help", cmd.CommandPath())
		}
		return nil
	}
}

// only wants exactly n arguments.
func only(n int, what string) cobra.PositionalArgs {
	return cobra.MatchAll(atMost(n), needs(n, what))
}
