"""The tables, compared with their migrations and with Django's own checks."""

from django.core.management import call_command


def test_the_migrations_make_the_tables_that_the_models_say() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_django_has_nothing_to_say_about_the_settings() -> None:
    call_command("check", fail_level="WARNING")
