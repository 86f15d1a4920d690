// Command pause is a first process that does nothing but reap orphans, and ends on SIGTERM or SIGINT. It is the
// sandbox container of every pod, and process 1 of the cluster's own process namespace.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for {
		reap()
		if <-signals != syscall.SIGCHLD {
			return
		}
	}
}

// reap collects every child that has ended. It runs before each wait too: one signal may stand for many children,
// and children may have ended before the handler was set.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
