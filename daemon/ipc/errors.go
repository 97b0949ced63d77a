package ipc

import (
	"errors"
	"fmt"
)

// Code says what became of a request.
type Code string

// The codes of protocol version 1.
const (
	CodeOK            Code = "ok"
	CodeBusy          Code = "busy"
	CodeNotFound      Code = "not_found"
	CodeInvalidState  Code = "invalid_state"
	CodeInternalError Code = "internal_error"
)

// ErrNotRunning is returned by the client when no daemon listens on the socket.
var ErrNotRunning = errors.New("the daemon is not running")

// ErrNoReply is returned by the client when the daemon closed the connection without an answer.
// Whether it has carried out the request is unknown.
var ErrNoReply = errors.New("the daemon closed the connection without an answer: it may have been stopped")

// ErrNoAnswer is returned by the client when the daemon took a request that needs no work and said
// nothing.
var ErrNoAnswer = fmt.Errorf("the daemon does not answer (waited %s): it may be stopped or overloaded; `xrat daemon restart` replaces it", answerTime)

// Error is the failure of a request, with its code on the wire. The message is for the user and
// holds no secret.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an Error with that code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of err: CodeOK for nil, and CodeInternalError for an error that has none.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternalError
}
