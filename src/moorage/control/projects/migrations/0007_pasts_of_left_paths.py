"""Learn from the audit log which paths projects and groups have left by a move, and which projects are there by now."""

from typing import Any

from django.db import migrations
from django.db.models import Q


def _learn(apps: Any, schema_editor: Any) -> None:  # noqa: ANN401 - Django's
    del schema_editor
    freed = apps.get_model("namespaces", "FreedPath").objects
    projects = apps.get_model("projects", "Project").objects.filter(history_since=None)
    rows = apps.get_model("audit", "AuditEntry").objects.filter(action__in=["project_moved", "group_moved"])
    for details, at in rows.order_by("pk").values_list("details", "at").iterator(chunk_size=1000):
        old, new = details["full_path"]
        if old.lower() == new.lower():
            continue
        freed.get_or_create(path=old.lower()[:255])
        there = Q(full_path__iexact=old) | Q(full_path__istartswith=f"{old}/")
        for project in projects.filter(there, created_at__gt=at):
            project.history_since = project.created_at
            project.save(update_fields=["history_since"])


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_orders_of_lists"),
        ("namespaces", "0004_freed_paths"),
        ("projects", "0006_pasts_of_freed_paths"),
    ]

    operations = [migrations.RunPython(_learn, migrations.RunPython.noop, elidable=True)]
