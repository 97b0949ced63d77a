// Package e2e holds the tests of the whole product: the built programs, real cores, real servers on
// loopback, Badger on disk. It has no code of its own.
package e2e
