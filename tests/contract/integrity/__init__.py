"""What a check finds, over every store and driver."""
