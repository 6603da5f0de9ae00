"""Moorage: a self-hosted container registry, a drop-in for GitLab's and CNCF Distribution's."""

from importlib.metadata import version

__version__ = version("moorage")
