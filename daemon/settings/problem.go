package settings

import (
	"errors"
	"fmt"
	"slices"
)

// Problem is one thing wrong with the settings file. [Load] returns every problem that it finds,
// joined.
type Problem struct {
	File         string // as given to Load
	Line, Column int    // from 1, the column in bytes; 0: the key is not in the file
	Key          string // "front.socks"; empty when the file as a whole is wrong
	Message      string // what is wrong, why, and the way out; no secrets
}

// Error returns the message with the place in front, as compilers write it.
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// maxProblems bounds the report on a file that is something else altogether.
const maxProblems = 20

// join makes one error of problems, in the order of the file; nil for none.
func join(problems []*Problem) error {
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	more := len(problems) - maxProblems
	if more > 0 {
		problems = problems[:maxProblems]
	}
	errs := make([]error, 0, len(problems)+1)
	for _, p := range problems {
		errs = append(errs, p)
	}
	if more > 0 {
		errs = append(errs, &Problem{File: problems[0].File, Message: fmt.Sprintf("%d more problems like these", more)})
	}
	return errors.Join(errs...)
}
