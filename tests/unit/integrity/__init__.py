"""The parts of a check, each by itself."""
