package main

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"slices"
	"strings"

	"zrs/internal/fs"
)

// An infoCmd is zrs info.
type infoCmd struct {
	BlobDir  string  `placeholder:"DIR" help:"Directory of the blobs that belong to FS; without it no blobs are counted."`
	Quick    bool    `help:"Leave out what needs all of the file to be read."`
	DigestAt *when   `placeholder:"WHEN" help:"Print the digests that zrs verify --digest prints, after the last transaction that is not later than this transaction id or time."`
	FS       string  `arg:"" name:"FS" help:"Data file to look at."`
	Key      infoKey `arg:"" optional:"" name:"KEY" help:"Print this value alone."`
}

// Help is the DESCRIPTION of zrs-info(1).
func (*infoCmd) Help() string {
	return `Tells the facts of the data file FS, as it is at this moment. FS may be in use: nothing
is changed, and no lock is taken.

With a KEY that value alone is printed, for scripts: an empty line if there is none, times as
in RFC 3339, sizes in bytes. With --json it is a document of all values, or of the one; its
keys have underscores for hyphens, and null is a value that there is not. The keys are

	path                        the file
	magic                       FS30, FS21, or none for a file of no bytes
	size                        bytes of the file
	end                         offset after the last whole transaction
	first-tid, first-time       the first transaction
	last-tid, last-time         the last one; its id is all zeros if there is none
	packed-tid, packed-time     the last transaction that a pack has rewritten
	tail                        what is behind the end: torn-tail, or the kind of damage
	tail-offset, tail-bytes     where that begins, and its size
	index                       the index file: current, stale, missing or wrong
	index-end, index-behind     offset up to which it goes, and the bytes from there to the end
	index-error                 why it is wrong
	locked                      whether a writer has FS open: true or false
	lock-pid                    the process id that it has noted
	lock-error                  why that can't be told, as where the writer may be in
	                            another container or on another host
	blobs, blob-bytes           files in --blob-dir that have the name of a blob
	transactions, records       counts
	objects                     number of objects with a current record
	damage                      the first damage, if there is some; the counts end there

The counts of what is in the file, and damage, need all of it to be read. The others are
there at once, however large it is; an incomplete transaction at the end, or a pack, takes
a walk through what the index file does not cover.

With --digest-at the answer is that of zrs verify --digest --at, and nothing else.

A torn tail is normal for a moment while a transaction is written, and after a crash; ZODB
and zrs cut it off when they next open FS for writing. If FS is damaged, what can be told
is told, and the exit code is 3. Whether all of it is sound is for zrs verify to say.`
}

// Examples are the EXAMPLES of the manual page.
func (*infoCmd) Examples() string {
	return `What is in this file, and who has it open?

	zrs info /srv/zodb/Data.fs --blob-dir /srv/zodb/blobs

When was the last commit?

	zrs info /srv/zodb/Data.fs last-time

Note where a copy ends, and see later what has come since:

	zrs info /backup/Data.fs last-tid
	zrs log /srv/zodb/Data.fs 03f49078aeeeeeee..`
}

// An infoKey is the name of a value, or "" for all of them.
type infoKey string

// UnmarshalText takes the keys of infoParts.
func (k *infoKey) UnmarshalText(text []byte) error {
	all := infoKeys()
	if !slices.Contains(all, string(text)) {
		return fmt.Errorf("%q is no key: want one of %s", text, strings.Join(all, ", "))
	}
	*k = infoKey(text)
	return nil
}

// infoKeys returns all keys.
func infoKeys() []string {
	var all []string
	for _, part := range infoParts() {
		all = append(all, part.keys...)
	}
	return all
}

// An infoPart is some values that are found out together.
type infoPart struct {
	keys []string
	slow bool // reads all of the file
	find func(*infoFinder, context.Context) error
}

func infoParts() []infoPart {
	return []infoPart{
		{[]string{"path", "magic", "size"}, false, (*infoFinder).file},
		{[]string{"end", "last-tid", "last-time", "tail", "tail-offset", "tail-bytes"}, false, (*infoFinder).last},
		{[]string{"first-tid", "first-time"}, false, (*infoFinder).first},
		{[]string{"packed-tid", "packed-time"}, false, (*infoFinder).packed},
		{[]string{"index", "index-end", "index-behind", "index-error"}, false, (*infoFinder).index},
		{[]string{"locked", "lock-pid", "lock-error"}, false, (*infoFinder).lock},
		{[]string{"blobs", "blob-bytes"}, false, (*infoFinder).blobs},
		{[]string{"transactions", "records", "objects", "damage"}, true, (*infoFinder).census},
	}
}

// Validate is kong's hook after parsing.
func (c *infoCmd) Validate() error {
	switch {
	case strings.HasPrefix(string(c.Key), "blob") && c.BlobDir == "":
		return fmt.Errorf("%s needs --blob-dir", c.Key)
	case c.DigestAt != nil && c.Key != "":
		return fmt.Errorf("--digest-at and %s exclude each other", c.Key)
	}
	return nil
}

// Run is what the command does.
func (c *infoCmd) Run(ctx context.Context, e *env) error {
	if c.DigestAt != nil {
		v := verifyCmd{A: c.FS, digestFlags: digestFlags{Digest: true, At: c.DigestAt}}
		v.BlobDir = c.BlobDir
		return unanswered(v.digest(ctx, e))
	}
	f, err := fs.OpenFile(c.FS)
	if err != nil {
		return err
	}
	defer f.Close()
	find := &infoFinder{f: f, blobDir: c.BlobDir, answer: infoAnswer{Schema: summarySchema}}
	damage, err := c.find(ctx, e, find)
	if err != nil {
		return unanswered(err)
	}
	damage = adviseDamage(damage, c.FS)
	a := &find.answer
	if c.Key == "" {
		return errors.Join(damage, e.answer(a, a.writeText))
	}
	value, err := a.value(string(c.Key))
	return errors.Join(damage, err, e.answer(value, value.writeText))
}

// find fills in the answer, as far as it is wanted. What can be told in spite of
// damage is told.
func (c *infoCmd) find(ctx context.Context, e *env, find *infoFinder) (damage, err error) {
	err = e.withProgress("reading", func(p *progress) error {
		defer p.follow(func() (bytes, txns int64) { return find.count.Read.Load(), 0 })()
		p.setTotal(find.f.Size())
		for _, part := range infoParts() {
			if c.Key != "" && !slices.Contains(part.keys, string(c.Key)) || c.Key == "" && c.Quick && part.slow {
				continue
			}
			switch err := part.find(find, ctx); {
			case errors.Is(err, fs.ErrDamaged):
				damage = err
				find.answer.Damage = new(err.Error())
			case err != nil:
				return err
			}
		}
		return nil
	})
	return damage, err
}

// An infoFinder finds out the facts of a file.
type infoFinder struct {
	f       *fs.File
	blobDir string
	answer  infoAnswer
	count   fs.Census

	ended bool // what follows is known
	end   fs.Place
	tail  error
}

// atEnd returns where the file ends.
func (i *infoFinder) atEnd(ctx context.Context) (_ fs.Place, err error) {
	if !i.ended {
		i.end, i.tail, err = i.f.End(ctx)
		i.ended = err == nil
	}
	return i.end, err
}

func (i *infoFinder) file(context.Context) error {
	i.answer.Path, i.answer.Size = i.f.Path(), i.f.Size()
	if magic := i.f.Magic(); magic != (fs.Magic{}) {
		i.answer.Magic = new(string(magic[:]))
	}
	return nil
}

// last returns the damage at the end of the file, if there is some.
func (i *infoFinder) last(ctx context.Context) error {
	end, err := i.atEnd(ctx)
	if err != nil {
		return err
	}
	a := &i.answer
	a.End, a.LastTID, a.LastTime = end.Offset, end.TID, timeOf(end.TID)
	tail, ok := errors.AsType[*fs.RecordError](i.tail)
	if !ok {
		return nil
	}
	a.Tail, a.TailOffset, a.TailBytes = &tail.Kind, &a.End, new(i.f.Size()-end.Offset)
	if tail.Kind == fs.KindTornTail {
		return nil
	}
	return i.tail
}

func (i *infoFinder) first(ctx context.Context) error {
	end, err := i.atEnd(ctx)
	if err != nil {
		return err
	}
	i.answer.FirstTID, err = i.f.First(end)
	i.answer.FirstTime = timeOf(i.answer.FirstTID)
	return err
}

func (i *infoFinder) packed(ctx context.Context) error {
	end, err := i.atEnd(ctx)
	if err != nil {
		return err
	}
	at, err := i.f.Packed(ctx, end)
	if err == nil && at.TID != 0 {
		i.answer.PackedTID, i.answer.PackedTime = &at.TID, timeOf(at.TID)
	}
	return err
}

func (i *infoFinder) index(ctx context.Context) error {
	end, err := i.atEnd(ctx)
	if err != nil {
		return err
	}
	a := &i.answer
	state, indexed, why := i.f.Index(end)
	a.Index = state
	switch state {
	case fs.IndexCurrent, fs.IndexStale:
		a.IndexEnd, a.IndexBehind = &indexed, new(end.Offset-indexed)
	case fs.IndexWrong:
		a.IndexError = new(why.Error())
	}
	return nil
}

func (i *infoFinder) lock(context.Context) error {
	pid, held, err := fs.LockHolder(i.f.Path() + ".lock")
	switch {
	case err != nil:
		i.answer.LockError = new(err.Error())
		return nil
	case pid != 0:
		i.answer.LockPID = &pid
	}
	i.answer.Locked = &held
	return nil
}

func (i *infoFinder) blobs(ctx context.Context) error {
	if i.blobDir == "" {
		return nil
	}
	dir, err := fs.OpenBlobDir(i.blobDir)
	if err != nil {
		return err
	}
	n, bytes := int64(0), int64(0)
	for blob, err := range dir.All() {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		size, err := blob.Size()
		if errors.Is(err, iofs.ErrNotExist) {
			continue // a pack took it
		}
		if err != nil {
			return err
		}
		n, bytes = n+1, bytes+size
	}
	i.answer.Blobs, i.answer.BlobBytes = &n, &bytes
	return nil
}

func (i *infoFinder) census(ctx context.Context) error {
	err := i.count.Count(ctx, i.f)
	if err == nil || errors.Is(err, fs.ErrDamaged) {
		a, c := &i.answer, &i.count
		a.Transactions, a.Records, a.Objects = &c.Transactions, &c.Records, &c.Objects
	}
	return err
}
