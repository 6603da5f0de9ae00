"""Tokens for the registry may live for a day."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instance", "0003_second_factor_required"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="applicationsettings",
            name="token_minutes_in_range",
        ),
        migrations.AlterField(
            model_name="applicationsettings",
            name="container_registry_token_expire_delay",
            field=models.PositiveIntegerField(
                default=5,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1440),
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="applicationsettings",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("container_registry_token_expire_delay__gte", 1),
                    ("container_registry_token_expire_delay__lte", 1440),
                ),
                name="token_minutes_in_range",
            ),
        ),
    ]
