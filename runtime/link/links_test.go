package link

var goodLinks = []string{
	"vless://11111111-2222-3333-4444-555555555555@example.org:443?type=tcp&security=none#plain",
}
