"""What every storage driver promises."""
