"""Metrics of what every part of a node does, under the names of GitLab's registry where it has one."""
