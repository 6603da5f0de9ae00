"""Memory of a process, within bounds."""
