"""The control plane: accounts, projects and tokens, beside the registry and speaking HTTP with it."""
