package link

import "errors"

// Error says why a link was rejected. Neither field contains anything secret: the only words that
// may come from the link are names of parameters and of known protocols, ciphers, plugins and
// transports.
type Error struct {
	Code    string // one of the Code constants
	Message string // what is wrong, why, and what to do about it; for users
}

func (e *Error) Error() string { return e.Message }

// The codes of an [Error], for programs. They are part of the wire protocol.
const (
	CodeEmpty                = "empty"
	CodeTooLong              = "too_long"
	CodeNotALink             = "not_a_link"
	CodeWebAddress           = "web_address" // a page or a subscription, not a proxy
	CodeUnsupportedProtocol  = "unsupported_protocol"
	CodeUnsupportedTransport = "unsupported_transport"
	CodeUnsupportedSecurity  = "unsupported_security"
	CodeUnsupportedCipher    = "unsupported_cipher"
	CodeUnsupportedFlow      = "unsupported_flow"
	CodeUnsupportedPlugin    = "unsupported_plugin"
	CodeUnsupportedParameter = "unsupported_parameter"
	CodeConflictingParameter = "conflicting_parameter"
	CodeBadParameter         = "bad_parameter"
	CodeBadEncoding          = "bad_encoding" // base64, JSON or UTF-8
	CodeBadHost              = "bad_host"
	CodeBadPort              = "bad_port"
	CodeBadUUID              = "bad_uuid"
	CodeBadKey               = "bad_key" // REALITY, Shadowsocks 2022, VLESS encryption or WireGuard
	CodeMissingCredentials   = "missing_credentials"
	CodeNotAServer           = "not_a_server"      // a line of text in the form of a link
	CodeChained              = "unsupported_chain" // one server behind another, or two links
)

func reject(code, message string) *Error { return &Error{Code: code, Message: message} }

func badParameter(key, message string) *Error {
	return reject(CodeBadParameter, "the parameter "+key+" "+message)
}

func unsupportedParameter(key, message string) *Error {
	return reject(CodeUnsupportedParameter, "the parameter "+key+" "+message)
}

// Code returns the code of the [*Error] in err, or "" if there is none.
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
