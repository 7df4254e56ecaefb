package interop

import "testing"

// TestPackedWhileAway packs the primary, past the end of a secondary that is
// away. What the pack left proves that nothing else differs, and replication
// goes on.
func TestPackedWhileAway(t *testing.T) {
	forPairs(t, zrsSecondary, func(t *testing.T, p pair) {
		writer, address := startPrimary(t, p.primary, seeded(t))
		replica := newDatabase(t, true)
		follower := startSecondary(t, p.secondary, replica, address, false)
		churn(writer)
		follower.waitFor(writer.last().TID)
		follower.stop()

		churn(writer)
		writer.undo(writer.put("a", 1))
		writer.pack("", true)
		follower = startSecondary(t, p.secondary, replica, address, false)
		churn(writer)
		follower.waitFor(writer.last().TID)
		follower.stop()
		writer.close()
		historyKept(t, writer.database, replica)
	})
}
