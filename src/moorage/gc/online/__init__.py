"""Online garbage collection: reviews of what may be unused, while the registry serves."""
