"""GitLab's API below ``/gitlab/v1/``."""
