"""One part at a time, over memory."""
