package main

import (
	"fmt"
	"net/netip"
)

// A network is an entry of an allow list: one IP address, or all those of a
// CIDR prefix.
type network struct{ netip.Prefix }

// parseNetwork reads an IP address or a CIDR prefix. A prefix with bits beyond
// its length is refused, for its author meant something narrower or wider.
func parseNetwork(s string) (network, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return network{netip.PrefixFrom(ip, ip.BitLen())}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return network{}, fmt.Errorf("network %q: want an IP address or a CIDR prefix, as in 10.1.2.3 or 10.0.0.0/8", s)
	}
	if p != p.Masked() {
		return network{}, fmt.Errorf("network %q: has bits beyond its prefix: write %s for the network or %s for the one address",
			s, p.Masked(), p.Addr())
	}
	return network{p}, nil
}

// UnmarshalText reads what [parseNetwork] reads.
func (n *network) UnmarshalText(text []byte) (err error) {
	*n, err = parseNetwork(string(text))
	return err
}

// prefixes returns the networks as netip has them.
func prefixes(networks []network) []netip.Prefix {
	ps := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		ps[i] = n.Prefix
	}
	return ps
}
