package interop

import "testing"

// TestCascade replicates over a node in the middle, with either program at
// every place.
func TestCascade(t *testing.T) {
	kinds := []string{zczrsKind, zrsKind}
	for _, first := range kinds {
		for _, middle := range kinds {
			for _, last := range kinds {
				t.Run(first+"-"+middle+"-"+last, func(t *testing.T) {
					t.Parallel()
					testCascade(t, first, middle, last)
				})
			}
		}
	}
}

func testCascade(t *testing.T, first, middle, last string) {
	between, end := newDatabase(t, true), newDatabase(t, true)
	writer, address := startPrimary(t, first, seeded(t))
	relay := startSecondary(t, middle, between, address, true)
	follower := startSecondary(t, last, end, relay.address, false)
	follower.waitFor(writer.last().TID)

	writer.commit(5, 3, 1000)
	writer.putBlobs(3, blobSizes)
	writer.undo(writer.commit(1, 4, 1000)...)
	follower.waitFor(writer.last().TID)
	follower.stop()
	converge(t, writer, relay)
	identical(t, writer.database, end)
}
