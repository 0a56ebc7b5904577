package configs_test

import (
	"maps"
	"slices"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
)

func TestTolerancesAreTheEngines(t *testing.T) {
	want := slices.Sorted(maps.Keys(cmpcore.Tolerances))
	if got := slices.Sorted(slices.Values(configs.Tolerances)); !slices.Equal(got, want) {
		t.Errorf("Tolerances are %q, the Engine's are %q", got, want)
	}
}
