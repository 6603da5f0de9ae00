"""Questions about policies that no single one answers."""

from django.db.models import QuerySet

from moorage.control.projects.models import Project


def projects_with_images() -> "QuerySet[Project]":
    """Return the projects that have images."""
    return Project.objects.filter(repositories__isnull=False).distinct().order_by("full_path")


def projects_without_cleanup() -> "QuerySet[Project]":
    """Return the projects that have images, and no policy that is on. Source: requirement S-079."""
    return projects_with_images().exclude(container_expiration_policy__enabled=True)
