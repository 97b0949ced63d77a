// Package plane runs the front in a process of its own, the data plane, so that no application
// notices when the daemon dies, restarts or is upgraded. It owns both ends of the socket between
// the two: [Run], the life of the data plane's process, and [Client], by which the daemon has a
// front that may be in several processes at once. The way of connections is the front's business,
// and what the target and the standby are is the daemon's.
//
// A data plane serves one daemon at a time, the one that greeted it last. Commands of an earlier
// one do nothing, since its connection is closed before the next is greeted. Without a daemon it
// goes on as it is, starts the daemon again if that did not take its leave, and ends when the core
// has been gone for a while, too.
//
// On the socket each line is a JSON value. Listening sockets travel with the line that names them
// (SCM_RIGHTS, unix(7)): both processes hold them, so that nobody is refused while there is only
// one.
//
//   - message.go has the lines, channel.go sends and receives them.
//   - run.go and serve.go are the data plane's end, orphan.go is its life without a daemon.
//   - client.go is the daemon's end, peer.go its connection to one data plane, and find.go finds
//     those that an earlier daemon has left.
package plane
