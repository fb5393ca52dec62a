package processtest

import "tapstack/lib/process"

// Descendants are the processes that a process has started, and those that they have, where there is a /proc.
func Descendants(pid int) []int {
	all := process.Children(pid)
	for _, child := range all {
		all = append(all, Descendants(child)...)
	}
	return all
}
