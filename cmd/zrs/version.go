package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is set by the linker (see the Makefile). Without it the version is
// that of the module, as go install records it.
var version string

// versionNumber returns the version alone.
func versionNumber() string {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return cmp.Or(version, "(devel)")
}

func versionText() string {
	v := versionNumber()
	return fmt.Sprintf("zrs %s (%s, %s/%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// A versionFlag prints the version as soon as it is met.
type versionFlag bool

// BeforeReset is kong's hook for a flag that stands on the command line.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	_, err := fmt.Fprintln(k.Stdout, versionText())
	k.Exit(exitOK)
	return err
}
