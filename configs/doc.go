// Package configs reads the one configuration file of a CA, cmp-batch.yaml.
//
// [Load] reads it from disk and [Parse] from memory; both give a [Config] whose
// settings are ready for use: paths absolute, lengths of time and sizes as
// numbers, patterns compiled, names resolved. Reading is strict: a key that
// does not exist, a key written twice, a value of the wrong kind, a name that
// leads nowhere are faults. All faults are reported at once, as [Faults], each
// with line, column and the path of its key:
//
//	cmp-batch.yaml:14:10: rules[1].may[0]: "irr" is not a body type; did you mean ir? One of ir, cr, p10cr, kur, rr, genm, nested, ccr, krr
//
// What the file looks like is written once, in the structs of written.go: keys,
// meanings and defaults. docs/configuration.md is made from them. [Default]
// writes the file of a fresh CA; [ExampleNames] lists commented examples.
//
// The package reads nothing but that file: it does not look whether the files
// and folders named there exist, takes nothing from the environment, and knows
// no other place where a setting could come from. It does not know the Engine.
package configs
