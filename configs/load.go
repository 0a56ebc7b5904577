package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// FileName is what a configuration is called by default, and in the faults of
// [Parse].
const FileName = "cmp-batch.yaml"

// Load reads the configuration file at path, and nothing else. Where there is
// something wrong with what it says, the error is [Faults], all of them.
func Load(path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration: %w; cmp-batch init DIR makes one, -c says where it is", err)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("configuration: %s is a folder; the file in it may be %s", path, filepath.Join(path, FileName))
	}
	// One octet more than allowed shows that there are too many.
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return read(data, path, filepath.Dir(abs))
}

// Parse reads a configuration whose relative paths are relative to dir, an
// absolute path. Its error is [Faults].
func Parse(data []byte, dir string) (*Config, error) {
	return read(data, FileName, dir)
}

func read(data []byte, file, dir string) (*Config, error) {
	r := &reader{file: file, at: map[string]places{}}
	var w written
	v := reflect.ValueOf(&w).Elem()
	applyDefaults(v)
	var c *Config
	if m := r.parse(data); m != nil {
		r.bindStruct("", m, v)
		r.broken = map[string]bool{}
		for _, f := range r.faults {
			r.broken[f.Path] = true
		}
		c = r.settings(&w, dir)
	} else if len(r.faults) == 0 {
		r.faultAt(place{}, "", "the file is empty; cmp-batch init DIR writes one to start from")
	}
	if len(r.faults) > 0 {
		r.faults.sort()
		return nil, r.faults
	}
	return c, nil
}
