"""Certificates: from files or from an ACME authority, and contexts made of them."""
