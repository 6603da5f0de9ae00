"""Take back the tokens of bots whose project or group is gone, or that were taken out of it."""

from typing import Any

from django.db import migrations
from django.utils import timezone


def _take_back(apps: Any, schema_editor: Any) -> None:  # noqa: ANN401 - Django's
    del schema_editor
    tokens = apps.get_model("accounts", "PersonalAccessToken").objects.exclude(user__kind="human")
    tokens.filter(user__memberships=None, revoked_at=None).update(revoked_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_orders_of_lists"),
        ("projects", "0003_same_names"),
    ]

    operations = [migrations.RunPython(_take_back, migrations.RunPython.noop, elidable=True)]
