"""Learn from the audit log at which paths projects were deleted, and which projects have such a path by now."""

from typing import Any

from django.db import migrations


def _learn(apps: Any, schema_editor: Any) -> None:  # noqa: ANN401 - Django's
    del schema_editor
    freed = apps.get_model("namespaces", "FreedPath").objects
    projects = apps.get_model("projects", "Project").objects
    rows = apps.get_model("audit", "AuditEntry").objects.filter(action="project_deleted").order_by("pk")
    for path, at in rows.values_list("target_name", "at").iterator(chunk_size=1000):
        freed.get_or_create(path=path.lower()[:255])
        for project in projects.filter(full_path__iexact=path, created_at__gt=at, history_since=None):
            project.history_since = project.created_at
            project.save(update_fields=["history_since"])


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_orders_of_lists"),
        ("namespaces", "0004_freed_paths"),
        ("projects", "0005_project_history_since"),
    ]

    operations = [migrations.RunPython(_learn, migrations.RunPython.noop, elidable=True)]
