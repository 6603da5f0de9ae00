"""Redis: a client from the configuration, and the patience with which it is asked."""
