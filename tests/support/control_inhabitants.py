"""Rows for real clients, written by a process of its own: ``python -m support.control_inhabitants``.

The private project ``team/app`` has a credential of each kind that may push; ``team/open`` is for everybody;
``full/app`` is where ada may push, and its group is over its hard quota.
"""

import json
import sys

from moorage.control.wsgi import application  # It starts Django by MOORAGE_CONTROL, before the models are imported.

from moorage.control.audit.actors import COMMAND_LINE  # isort: skip
from moorage.control.projects.rules import AccessLevel  # isort: skip
from moorage.control.usage.changes import change_quota  # isort: skip
from moorage.control.usage.models import UsagePlace  # isort: skip
from support.control_rows import (  # isort: skip
    PASSWORD,
    new_bot_token,
    new_deploy_token,
    new_group,
    new_job_token,
    new_member,
    new_project,
    new_token,
    new_user,
)

BOTH = ("read_registry", "write_registry")


def main() -> None:
    """Make them, and print a name and a secret for each kind."""
    assert application
    group = new_group("team")
    project = new_project(group, "app")
    new_project(group, "open", visibility="public")
    ada = new_member(project, AccessLevel.MAINTAINER, new_user("ada", password=PASSWORD)).user
    rea = new_member(project, AccessLevel.REPORTER, new_user("rea")).user
    deploy, job = new_deploy_token(project, *BOTH, username="deployer"), new_job_token(project, ada)
    full = new_group("full")
    new_member(full, AccessLevel.MAINTAINER, ada)
    new_project(full, "app")
    quota = change_quota(full, by=COMMAND_LINE, hard_bytes=1 << 30)
    UsagePlace.objects.filter(pk=quota.pk).update(size_bytes=(1 << 30) + (200 << 20), due_at=None)
    made = {
        "password": ("ada", PASSWORD),
        "personal token": ("ada", new_token(ada, "api").secret),
        "token for registries": ("ada", new_token(ada, *BOTH).secret),
        "project token": ("bot", new_bot_token(project).secret),
        "group token": ("bot", new_bot_token(group).secret),
        "deploy token": ("deployer", deploy.secret),
        "job token": ("gitlab-ci-token", job.secret),
        "reader": ("rea", new_token(rea, "read_registry", "write_registry").secret),
        "administrator": ("root", new_token(new_user("root", is_admin=True), "api").secret),
    }
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()
