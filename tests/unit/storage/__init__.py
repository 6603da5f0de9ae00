"""What is special about each storage driver."""
