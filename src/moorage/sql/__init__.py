"""Access to databases; nothing about registries."""
