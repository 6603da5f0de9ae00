"""Background migrations: changes of data that go on while the registry serves."""
