package configs

import (
	"reflect"
	"testing"
)

func TestApprovers(t *testing.T) {
	c, err := Parse([]byte(edit(proLine, proLine+`
    approval: required
    approvals: 2
approvers:
  - name: Alice Ångström
    account: alice
  - name: bob
  - {name: carol, account: "uid:1003"}`)), "/x")
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Rules[0].Approvals; n != 2 {
		t.Errorf("%d approvals", n)
	}
	if want := []Approver{{"Alice Ångström", "alice"}, {"bob", "bob"}, {"carol", "uid:1003"}}; !reflect.DeepEqual(c.Approvers, want) {
		t.Errorf("%+v", c.Approvers)
	}
	if c, err = Parse([]byte(valid), "/x"); err != nil || c.Rules[0].Approvals != 1 || len(c.Approvers) != 0 {
		t.Errorf("by default: %+v %v", c.Rules[0], err)
	}
}
