// Package socks5 owns the bytes of SOCKS5 (RFC 1928) and of its login (RFC 1929), for both sides:
// what a client appends to what it sends, and what either side cuts off the start of what it has
// received. It does no I/O but for [ReadReplies], and holds no connection.
//
// A Cut function returns how many bytes the message at the start of b has. What it returns besides
// lies within b and is valid as long as that is. It fails with [ErrShort] when b is the right
// beginning of a message that is not complete.
package socks5
