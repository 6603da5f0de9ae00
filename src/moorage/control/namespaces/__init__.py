"""Groups and the names of users: what projects are in, and the paths that are taken."""
