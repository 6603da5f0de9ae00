"""How to talk to a database; nothing about registries."""
