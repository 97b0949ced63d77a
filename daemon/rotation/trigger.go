package rotation

// Trigger is what caused a rotation, or the beginning of a session.
type Trigger string

const (
	// TriggerManual: the user asked for it.
	TriggerManual Trigger = "manual"
	// TriggerTimer: rotation.interval has passed.
	TriggerTimer Trigger = "timer"
	// TriggerHealthCheckFailed: the server in use, or its core, failed.
	TriggerHealthCheckFailed Trigger = "health_check_failed"
)
