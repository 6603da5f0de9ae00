from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0004_cleanup_of_very_many"),
    ]

    operations = [
        migrations.CreateModel(
            name="LeftPath",
            fields=[
                ("path", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField(db_index=True, null=True)),
                ("owner", models.CharField(blank=True, max_length=32)),
            ],
        ),
    ]
