// Package monitor tells whether servers and data files are well, for zrs check.
//
// A [Target] is asked by the protocol that it speaks: a ZEO server by its probe
// ruok, a data file by looking at its end. What it says of itself is a [Report];
// [Look] and [Compare] judge one target, or a primary and its secondary, and
// come to a [Verdict].
//
// A verdict is never better than what is known. What can't be reached, does not
// answer, is disconnected or says nothing about the figure that a limit is set
// for has a finding of its own, whatever the last transactions are.
package monitor
