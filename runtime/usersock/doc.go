// Package usersock owns what is special about our Unix sockets: only processes of the user who made
// them may talk over them, to whom they belong is looked at before anything is believed, and what a
// dead process left at their path is replaced, but nothing else. What is said over them is not its
// business.
package usersock
