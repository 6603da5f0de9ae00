"""Moorage: a self-hosted container registry, a drop-in for GitLab's and CNCF Distribution's."""

__version__ = "0.1.0"
