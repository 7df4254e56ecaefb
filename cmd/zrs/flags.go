package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"
)

// exactText takes a text from the command line as it is. kong's own way goes
// through JSON, which puts other bytes in the place of those that are not UTF-8: a
// path that has some would be another file's.
func exactText(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	target.SetString(fmt.Sprint(token.Value))
	return nil
}

// Flags that several commands share.

// blobFlags say where the blobs of FS are.
type blobFlags struct {
	BlobDir string `placeholder:"DIR" help:"Directory of the blobs that belong to FS; without it no blobs are replicated."`
}

// serveFlags say how secondaries are served.
type serveFlags struct {
	Allow          []network `placeholder:"CIDR" help:"Serve only secondaries at these IP addresses or networks; without it everybody who can connect is served."`
	MaxConnections int       `default:"100" placeholder:"N" help:"Serve at most this many secondaries at a time."`
	MissingBlob    string    `enum:"warn,fail" default:"warn" placeholder:"WHAT" help:"When a blob is missing on disk: warn (send its record alone, as zc.zrs does) or fail (close the connection before it)."`
	UnknownStart   string    `enum:"refuse,serve" default:"refuse" placeholder:"WHAT" help:"When a secondary's last transaction never was in FS: refuse it, since its history has diverged, or serve it what is later, as zc.zrs does."`
	WriteTimeout   duration  `default:"60s" placeholder:"TIME" help:"Close a connection whose secondary has read nothing for this long."`
	Control        string    `placeholder:"SOCKET" help:"Make the control socket here, not at FS.control, or make none (none)."`
	StopTimeout    duration  `default:"60s" placeholder:"TIME" help:"When told to stop, give secondaries at most this long to receive what there is."`
}

// connectFlags say how a source is judged.
type connectFlags struct {
	Protocol     string `enum:"auto,zrs,zc.zrs" default:"auto" placeholder:"WHOSE" help:"Speak the protocol of zrs (zrs+1), that of zc.zrs (zrs2.0 or zrs2.1), or auto: that of zrs where the source knows it."`
	CheckHistory string `enum:"tail,full,none" default:"tail" placeholder:"HOW" help:"Before appending, compare with the source's history: tail (the last transactions), full (all of them) or none (believe it, as zc.zrs does)."`
}

// checkServing refuses values that make no sense.
func (f *serveFlags) checkServing() error {
	if f.MaxConnections < 1 {
		return fmt.Errorf("--max-connections: %d would serve nobody", f.MaxConnections)
	}
	return errors.Join(positive("write-timeout", f.WriteTimeout), notNegative("stop-timeout", f.StopTimeout))
}

func positive(flag string, d duration) error {
	if d <= 0 {
		return fmt.Errorf("--%s: %v is not more than 0", flag, d)
	}
	return nil
}

func notNegative(flag string, d duration) error {
	if d < 0 {
		return fmt.Errorf("--%s: %v is less than 0", flag, d)
	}
	return nil
}
