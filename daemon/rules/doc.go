// Package rules reads the rules by which a user says which servers may be chosen, and applies them.
//
// A rule is a text of a kind and a value, such as "country:DE" or "name:/premium/i". Rules are
// applied to what is known of a server at the moment and stored with none, so they hold for servers
// that a subscription brings tomorrow. They keep servers from being chosen without being asked for;
// they remove nothing.
//
// It is pure: no I/O, no state.
package rules
