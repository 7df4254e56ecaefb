// Package control is how a running server is asked for its state and told what to
// do: HTTP with JSON on a Unix socket that only its owner may use.
//
//	GET  /v1/status      a [Status]
//	POST /v1/promote     a [PromoteRequest]; answers a [Promotion]
//	POST /v1/pause       stop applying what the source has
//	POST /v1/resume      go on
//	POST /v1/reload      try all sources again, now, the first one first
//	POST /v1/shutdown    as SIGTERM
//
// What must not be done is answered with a [Refusal], status 409; what went wrong,
// in the same form, with status 500. The documents are those that zrs prints with
// --json; docs/json.md describes them.
package control
