// Package lab is a small internet on loopback: real Xray servers, each behind a gate, and an origin
// that they all can reach. Everything can be broken and mended: a server killed, frozen and started
// again, the way to it refused, swallowed or slowed, its way out closed, the origin's answers
// falsified. The demo, the end-to-end tests and the benches run in it.
//
// It plays the servers and the sites only; cores, front and daemon are the products of other
// packages. Nothing leaves the machine.
//
// Linux is where it is complete: each server goes out from an address of its own (127.0.0.10 and
// up), by which the origin tells them apart, and dies with the program that made the lab, also when
// that is killed. Elsewhere servers share an address where the system has only one, refusing and
// swallowing are imitated by accepting, and a killed program leaves its servers behind.
package lab
