"""Questions about policies that no single one answers."""

from django.db.models import Exists, OuterRef, QuerySet

from moorage.control.images.models import ImageRepository
from moorage.control.policies.models import CleanupPolicy
from moorage.control.projects.models import Project


def projects_with_images() -> "QuerySet[Project]":
    """Return the projects that have images."""
    has_images = Exists(ImageRepository.objects.filter(project=OuterRef("pk")))
    return Project.objects.filter(has_images).order_by("full_path")


def projects_without_cleanup() -> "QuerySet[Project]":
    """Return the projects that have images, and no policy that is on. Source: requirement S-079."""
    is_on = Exists(CleanupPolicy.objects.filter(project=OuterRef("pk"), enabled=True))
    return projects_with_images().filter(~is_on)
