package rotation

// Selection says which configs to consider, and in which order. The zero value is all that may be
// used, the next in turn first.
type Selection struct {
	// Only is the one config that was asked for: no other will do. Nil: any.
	Only *int64
	// Wanted is the config that should serve, whatever speaks against it: it comes first, the
	// others after it. If it is gone, or retired, the others take its place. 0: none is preferred
	// so.
	Wanted int64
	// Ruled has Wanted give way if a rule of the user keeps it away.
	Ruled bool
	// Alone leaves the others out as long as Wanted exists.
	Alone bool
	// Spent puts Wanted behind the others: it has had its chance.
	Spent bool
	// First comes before the others if it is among them. 0: none.
	First int64
	// Preference orders those that are neither.
	Preference Preference
	// Exclude is left out.
	Exclude []int64
}
