package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// Without its data file in its place a secondary is not well, and can't become the
// primary: the next writer would not find it.
func TestNode_fileGone(t *testing.T) {
	source := newPrimary(t, filepath.Join(t.TempDir(), "a.fs"), 3)
	n, _ := newSecondary(t, filepath.Join(t.TempDir(), "b.fs"), source.source)
	stop := run(t, n)
	waitFor(t, n, 3)
	eventually(t, "caught up", func() bool { return n.Status().Health == control.Optimal })

	if err := os.Rename(n.Path, n.Path+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that it is gone is told", func() bool {
		s := n.Status()
		return s.Health == control.Failed && s.Reason == control.ReasonDataFile && len(s.Next) > 0
	})
	refused := func() {
		t.Helper()
		for _, dry := range []bool{true, false} {
			p, err := n.Promote(t.Context(), control.PromoteRequest{DryRun: dry, SourceLives: true})
			wantRefusal(t, "Promote()", err, "other-file")
			if p.Promoted || n.Identity.Sidecar().Role != epoch.Secondary {
				t.Errorf("Promote() = %+v", p)
			}
		}
	}
	refused()
	if err := os.WriteFile(n.Path, []byte(readFile(t, n.Path+".away")), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that it is another one is told", func() bool {
		return strings.Contains(n.Status().Message, fs.ErrReplaced.Error())
	})
	refused()

	if err := os.Rename(n.Path+".away", n.Path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func() bool { return n.Status().Health == control.Optimal })
	if p, err := n.Promote(t.Context(), control.PromoteRequest{SourceLives: true}); err != nil || !p.Promoted {
		t.Errorf("Promote() = %+v, %v", p, err)
	}
	stopped(t, stop)
}

// A request that was on its way when the file went is refused at the end.
func TestNode_become_fileGone(t *testing.T) {
	n, _ := newSecondary(t, filepath.Join(t.TempDir(), "b.fs"), newPrimary(t, filepath.Join(t.TempDir(), "a.fs"), 1).source)
	defer n.Close()
	if err := commit(n.Secondary.Writer, 1, 3); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(n.Path); err != nil {
		t.Fatal(err)
	}
	p := &promotion{done: make(chan error, 1)}
	if promoted, err := n.become(p); promoted || err != nil {
		t.Errorf("become() = %v, %v", promoted, err)
	}
	wantRefusal(t, "become()", <-p.done, "other-file")
	if lineage := n.Identity.Lineage(); lineage.Known() {
		t.Errorf("an epoch has begun: %+v", lineage)
	}
}
