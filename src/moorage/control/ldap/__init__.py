"""Directories that speak LDAP: asked who somebody is, and whether a password is theirs."""
