"""Tokens for the registry: ``GET /jwt/auth``, and those that the control plane makes for its own calls."""
