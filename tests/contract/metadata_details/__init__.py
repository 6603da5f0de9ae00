"""One suite over what databases know of repositories and tags, and over renaming."""
