package subscription

import (
	"fmt"

	"golang.org/x/sys/windows"
)

func systemVersion() string {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
}
