"""PostgreSQL: connections, their pool, and the errors of the server."""
