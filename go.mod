module cmp-batch

go 1.26
