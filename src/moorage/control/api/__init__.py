"""``/api/v4``: the REST API, in the shapes that GitLab's clients know. One router a resource, below ``routes``."""
