"""The records of repositories: their state, their deletion with retries, and questions about them and their tags."""
