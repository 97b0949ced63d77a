// Package desktop holds the tests of the tray on a real desktop: a virtual screen with a panel and
// a notification server, the built programs, real cores. It has no code of its own.
package desktop
