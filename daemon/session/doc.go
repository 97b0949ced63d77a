// Package session carries out what the life of a session needs.
package session
