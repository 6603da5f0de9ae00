"""Settings of the whole instance, which administrators change while it runs."""
