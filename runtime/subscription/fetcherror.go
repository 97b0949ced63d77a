package subscription

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"syscall"
)

// The codes of an [Error] from Fetch, beside CodeTooLarge.
const (
	CodeBadURL         = "bad_url"
	CodeBlockedAddress = "blocked_address" // private, local or special, and not typed by the user
	CodeBadRedirect    = "bad_redirect"    // too many, or to where subscriptions must not lead
	CodeTimeout        = "timeout"
	CodeCanceled       = "canceled"
	CodeUnreachable    = "unreachable"
	CodeBadCertificate = "bad_certificate"
	CodeBadStatus      = "bad_status"
	CodeBadAnswer      = "bad_answer"       // not HTTP, cut off, or with broken compression
	CodeDeviceLimit    = "device_limit"     // the account has as many devices as it may
	CodeDeviceUnknown  = "device_unknown"   // the provider wants to know the device, or does not take its id
	CodeBadRequest     = "bad_subscription" // what the user wants of the request cannot be
)

// explain says what went wrong while talking to the server of u. It passes on no text from
// net/http, which quotes addresses in full, and none from the server.
func explain(ctx context.Context, u *url.URL, err error) error {
	where := Redact(u.String())
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return &Error{Code: CodeCanceled, Message: "fetching " + where + " was stopped", cause: context.Canceled}
	}
	timeout, isNet := errors.AsType[net.Error](err)
	if ctx.Err() != nil || isNet && timeout.Timeout() {
		return &Error{Code: CodeTimeout, Message: where + " did not answer completely in time; try again, or through the proxy", cause: context.DeadlineExceeded}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fail(CodeBadCertificate, "the certificate of "+where+" "+certificateFault(err)+"; check the clock of this machine and the address")
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fail(CodeUnreachable, "there is no server with the name in "+where+"; check the address")
		}
		return fail(CodeUnreachable, "the name in "+where+" could not be looked up; check the network, or fetch through the proxy")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		switch {
		case op.Op == "socks connect" || op.Op == "proxyconnect":
			return fail(CodeUnreachable, where+" could not be reached through the proxy; check that the proxy works")
		case errors.Is(err, syscall.ECONNREFUSED):
			return fail(CodeUnreachable, where+" refused the connection; try again, or through the proxy")
		case op.Op == "dial":
			return fail(CodeUnreachable, where+" could not be reached; check the network, or fetch through the proxy")
		default:
			return fail(CodeUnreachable, "the connection to "+where+" broke off; try again, or through the proxy")
		}
	}
	return fail(CodeBadAnswer, where+" sent an answer that is not valid HTTP or was cut off; try again")
}

func certificateFault(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "has expired or is not valid yet"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "is for another name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "is from an unknown authority"
	}
	return "is not valid"
}
