"""Authentication and authorization: the rights of a request."""
