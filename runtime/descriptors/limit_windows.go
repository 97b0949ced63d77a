package descriptors

// Limit returns how many descriptors this process may have at a time. On Windows it is memory that
// bounds them.
func Limit() int { return 1 << 20 }
