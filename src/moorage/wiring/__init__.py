"""Configuration in, running parts out: the only package that names concrete backends."""
