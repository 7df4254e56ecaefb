package main

import (
	"context"
	"errors"
)

// This is a stand-in for what verifies one storage, to be merged by hand: of this
// file count the flags under compareFlags and the texts about two storages.

// A verifyCmd is zrs verify.
type verifyCmd struct {
	BlobDir      string `placeholder:"DIR" help:"Directory of the blobs that belong to A; without it no blobs are looked for."`
	Blobs        string `enum:"auto,none,exist,size,content" default:"auto" placeholder:"HOW" help:"What is looked at of blobs: none, exist, size, content, or auto (content where both storages' blobs are known, else exist)."`
	MaxFindings  int    `default:"100" placeholder:"N" help:"Tell at most this many findings; the rest are counted."`
	compareFlags `embed:""`
	A            string `arg:"" name:"A" help:"Data file to verify, or address of a primary to compare."`
	B            string `arg:"" optional:"" name:"B" help:"Data file, or address of a primary, to compare it with."`
}

// Help is the DESCRIPTION of zrs-verify(1).
func (*verifyCmd) Help() string { return verifyTwoHelp }

// Examples are the EXAMPLES of the manual page.
func (*verifyCmd) Examples() string { return verifyTwoExamples }

// Validate is kong's hook after parsing.
func (c *verifyCmd) Validate() error { return c.checkComparing(c.B != "") }

// Run is what the command does.
func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	if c.B != "" {
		return c.compare(ctx, e)
	}
	return errors.New("verifying one storage is not built yet")
}
