"""The settings of a GitLab site: read from the files of its Linux package, and written as ours."""
