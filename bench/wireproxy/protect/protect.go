// Package protect stands in for the sandbox of the same name, which not every registry has.
// wireproxy closes it around itself before the first packet; no packet goes through it.
package protect

// Pledge promises nothing.
func Pledge(string) error { return nil }

// Unveil hides nothing.
func Unveil(string, string) error { return nil }
