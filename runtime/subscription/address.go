package subscription

// Check says whether an address can be that of a subscription: nil, or an *Error with CodeBadURL. It asks nobody.
func Check(address string) error {
	_, err := parseURL(address)
	return err
}

// Local reports an address that leads, literally, into a private network or to this machine. A proxy elsewhere cannot reach it: there it is
// somebody else's.
func Local(address string) bool {
	u, err := parseURL(address)
	return err == nil && typedLocal(u.Hostname())
}
