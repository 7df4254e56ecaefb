package repl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// A reign is the truth about who committed: all transactions of a primary from
// when it became one until it is one no more, or for ever, if nobody told it. It
// begins behind the transaction fork of the reign before.
type reign struct {
	before *reign
	fork   fs.TID
}

// A modelNode is a storage on some host, which any of its operators may treat as
// they like.
type modelNode struct {
	path   string
	reign  *reign // of the last transaction of its file
	last   fs.TID
	packed bool // somebody packed it, or what it was copied from
}

// A model is a database on several hosts.
type model struct {
	t      *testing.T
	rnd    *rand.Rand
	nodes  []*modelNode
	clock  fs.TID
	log    []string
	agreed int
	kept   int // apart
}

// identity returns what the sidecar of n says.
func (m *model) identity(n *modelNode) epoch.Sidecar {
	s, err := epoch.Load(n.path)
	if err != nil {
		m.t.Fatal(err)
	}
	return *s
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// name returns which node n is.
func (m *model) name(n *modelNode) int {
	for i := range m.nodes {
		if m.nodes[i] == n {
			return i
		}
	}
	return -1
}

// commit has a primary commit, whether it still should be one or not. The clocks
// of two primaries may show the same.
func (m *model) commit(n *modelNode) {
	switch s := m.identity(n); {
	case s.Role == epoch.Primary:
	case s.Role == "" && !s.Copied && !s.Known(): // it begins, as serve-primary has it
		k := openIdentity(m.t, n.path)
		if err := k.Update(func(s *epoch.Sidecar) { s.Lineage, s.Role = epoch.Begin(), epoch.Primary }); err != nil {
			m.t.Fatal(err)
		}
		n.reign = &reign{before: n.reign, fork: n.last}
	default:
		return
	}
	w, err := fs.OpenWriter(m.t.Context(), n.path, fs.WriterOptions{Create: true})
	if err != nil {
		m.t.Fatal(err)
	}
	for range 1 + m.rnd.IntN(3) {
		m.clock += fs.TID(m.rnd.IntN(2)) << 32
		tid := max(n.last+1<<32, m.clock)
		appendTxns(m.t, w, []txn{{tid: tid, status: fs.StatusComplete, recs: []rec{
			{oid: fs.OID(m.rnd.IntN(6)), data: fmt.Sprint("data ", m.rnd.IntN(1000))},
		}}})
		n.last = tid
	}
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.note("%d commits up to %d", m.name(n), n.last>>32)
}

// mayFollow is the truth about whether a storage may become a secondary of
// another: all it has was committed before their reigns parted. One that has lost
// its sidecar has forgotten a reign of which it has nothing.
func mayFollow(n, source *modelNode, forgot bool) bool {
	own := n.reign
	for forgot && own != nil && own.before != nil && n.last <= own.fork {
		own = own.before
	}
	limit := fs.MaxTID
	for r := source.reign; r != nil; r = r.before {
		if r == own {
			return n.last <= limit
		}
		limit = min(limit, r.fork)
	}
	return n.last == 0
}

// served returns whether zrs would serve n, as serve-primary or as a cascade.
func (m *model) served(n *modelNode) bool {
	s := m.identity(n)
	return s.Role != "" && s.Superseded == nil && n.last != 0
}

// follow has n catch up with a source.
func (m *model) follow(n, source *modelNode) {
	if n == source || !m.served(source) {
		return
	}
	before, after := m.identity(n), m.identity(source)
	p := newPrimary(m.t, source.path, "")
	p.Identity = openIdentity(m.t, source.path)
	src, stop := servePipes(m.t, p)
	src.Protocol = ProtocolZRS1
	s := newSecondary(m.t, n.path, "", src)
	s.Identity = openIdentity(m.t, n.path)
	err := s.Catchup(m.t.Context(), 0, false)
	last := s.Log.Tip().TID
	closeSecondary(m.t, s)
	stop()
	legal := mayFollow(n, source, !before.Known())
	m.note("%d follows %d: %v (it may: %t)", m.name(n), m.name(source), err, legal)
	if err != nil {
		m.kept++
		if last != n.last {
			m.fail("%d was refused, and ends with %s instead of %s", m.name(n), last, n.last)
		}
		sameDatabase := !before.Known() || before.Database == after.Database
		own := before.Role == epoch.Primary && before.Equal(after.Lineage) // it is a primary of that epoch itself
		known := !own && before.Superseded == nil && (before.Known() || n.last == 0)
		if legal && sameDatabase && known && !n.packed && !source.packed && n.last <= source.last {
			m.fail("%d may follow %d, but: %v", m.name(n), m.name(source), err)
		}
		return
	}
	m.agreed++
	if !legal {
		m.fail("%d follows %d, which it must not", m.name(n), m.name(source))
	}
	n.reign, n.last, n.packed = source.reign, last, n.packed || source.packed
	if got := m.identity(n); got.Role != epoch.Secondary || !got.Equal(after.Lineage) {
		m.fail("%d follows %d, and its sidecar says %+v", m.name(n), m.name(source), got)
	}
	ours, theirs := readTxns(m.t, n.path), readTxns(m.t, source.path)
	if !n.packed && !m.prefix(ours, theirs) {
		m.fail("%d is no prefix of %d", m.name(n), m.name(source))
	}
	checkAgrees(m.t, ours, theirs)
}

// prefix reports whether a history begins another one.
func (m *model) prefix(a, b []txn) bool {
	if len(a) > len(b) {
		return false
	}
	for i := range a {
		if fmt.Sprint(a[i]) != fmt.Sprint(b[i]) {
			return false
		}
	}
	return true
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	for _, line := range m.log {
		m.t.Log(line)
	}
	m.t.Fatalf(format, args...)
}

// promote makes n the primary, if zrs promote would.
func (m *model) promote(n *modelNode) {
	s := m.identity(n)
	if s.Role != epoch.Secondary && !s.Copied { // a copy needs --any-role
		return
	}
	if err := openIdentity(m.t, n.path).Promote(n.last); err != nil {
		m.t.Fatal(err)
	}
	n.reign = &reign{before: n.reign, fork: n.last}
	m.note("%d is promoted at %d", m.name(n), n.last>>32)
}

// copy copies the files of one node over those of another, as an operator does
// with cp, with the sidecar or without.
func (m *model) copy(to, from *modelNode) {
	if to == from || from.last == 0 {
		return
	}
	sidecar := m.rnd.IntN(2) == 0
	for _, suffix := range []string{"", ".index", ".zrs"} {
		if err := os.Remove(to.path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			m.t.Fatal(err)
		}
	}
	copyFile(m.t, to.path, from.path)
	if _, err := os.Stat(epoch.SidecarPath(from.path)); err == nil && sidecar {
		copyFile(m.t, epoch.SidecarPath(to.path), epoch.SidecarPath(from.path))
	}
	to.reign, to.last, to.packed = from.reign, from.last, from.packed
	m.note("%d is copied to %d, sidecar %t", m.name(from), m.name(to), sidecar)
}

// pack packs a file as a Python tool does, up to some transaction: old revisions
// go, and what is left is marked.
func (m *model) pack(n *modelNode) {
	txns := readTxns(m.t, n.path)
	if len(txns) < 2 {
		return
	}
	upTo := m.rnd.IntN(len(txns))
	current := map[fs.OID]int{}
	for i, x := range txns[:upTo] {
		for _, r := range x.recs {
			current[r.oid] = i
		}
	}
	var packed []txn
	for i, x := range txns {
		if i < upTo {
			var left []rec
			for _, r := range x.recs {
				if current[r.oid] == i {
					left = append(left, r)
				}
			}
			if len(left) == 0 {
				continue
			}
			x.recs, x.status = left, fs.StatusPacked
		}
		packed = append(packed, x)
	}
	writeTxns(m.t, n.path+".pack", packed)
	if err := os.Rename(n.path+".pack", n.path); err != nil {
		m.t.Fatal(err)
	}
	for _, left := range []string{".index", ".pack.index", ".pack.lock"} {
		_ = os.Remove(n.path + left)
	}
	n.packed = true
	m.note("%d is packed", m.name(n))
}

// TestModel has operators do what they do, to several hosts: commit, follow,
// promote, pack, copy files, come back. Whatever happens (G1, G7, G12):
//
//   - no storage follows a primary unless all it has is a part of that one's
//     history, and so no two primaries feed one secondary;
//   - one that is refused is left as it was;
//   - and one that may follow is not refused, where no pack has been.
func TestModel(t *testing.T) {
	agreed, kept := 0, 0
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) {
			m := newModel(t, seed)
			m.run()
			agreed, kept = agreed+m.agreed, kept+m.kept
		})
	}
	if agreed < 100 || kept < 100 {
		t.Errorf("%d agreed and %d were refused: that is no test", agreed, kept)
	}
}

// newModel returns four hosts, the first of which has a primary.
func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), clock: tidOf(1)}
	dir := memoryDir(t)
	for i := range 4 {
		m.nodes = append(m.nodes, &modelNode{path: filepath.Join(dir, fmt.Sprint(i, ".fs"))})
	}
	m.nodes[0].reign = &reign{}
	m.commit(m.nodes[0])
	return m
}

// run has things happen.
func (m *model) run() {
	packs := m.rnd.IntN(2) == 0
	for range 40 {
		n, other := m.nodes[m.rnd.IntN(4)], m.nodes[m.rnd.IntN(4)]
		switch what := m.rnd.IntN(20); {
		case what < 5 && n.last != 0:
			m.commit(n)
		case what < 14:
			m.follow(n, other)
		case what < 17:
			m.promote(n)
		case what < 18:
			m.copy(n, other)
		case packs && n.last != 0:
			m.pack(n)
		}
	}
}
