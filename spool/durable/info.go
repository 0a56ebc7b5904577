package durable

import "io/fs"

// Info identifies a state of a file. Two equal ones mean that nobody has
// replaced, changed or renamed it in between, as far as its file system tells.
type Info struct {
	Dev, Ino uint64
	Size     int64
	Type     fs.FileMode // type bits alone; 0 is a regular file
	Modified int64       // ns since 1970; anyone who owns the file can set it
	Changed  int64       // ns since 1970, likewise of the inode, set by the kernel; 0 where there is none
}

// Regular tells whether it is a regular file.
func (i Info) Regular() bool { return i.Type == 0 }

// SameFile tells whether both are the same inode, whatever is in it.
func (i Info) SameFile(j Info) bool {
	return i.Dev == j.Dev && i.Ino == j.Ino && i.Type == j.Type
}

// SameContent is equality but for what a rename changes.
func (i Info) SameContent(j Info) bool {
	i.Changed, j.Changed = 0, 0
	return i == j
}
