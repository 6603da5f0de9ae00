"""Plans of lists of the control plane on PostgreSQL, in a process of its own: ``python -m support.postgres_plans YML``.

Prints as JSON how many rows of all that a group has are read for a page of its repositories, by each order.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from moorage.control.configuration import read_control
from moorage.control.current import start_django

BENCH = Path(__file__).parents[2] / "bench"
COUNT = 600
PAGE = 21


def main() -> None:
    """Start Django, fill a group, and print what was read."""
    start_django(read_control(Path(sys.argv[1]), os.environ))
    from django.db import connection  # noqa: PLC0415 - Django has started

    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - as above
    from moorage.control.namespaces import choosing  # noqa: PLC0415 - as above
    from moorage.control.projects.rules import AccessLevel  # noqa: PLC0415 - as above
    from support.control_rows import new_group, new_member, new_project, new_user  # noqa: PLC0415 - as above

    sys.path.insert(0, str(BENCH))
    owner, many = new_user("owner"), new_group("many")
    new_member(many, AccessLevel.OWNER, owner)
    fill = importlib.import_module("control_rows").fill
    fill(range(COUNT), group=many, project=new_project(many, "big"), user=owner)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    choosing.FEW = 50
    rows = ImageRepository.objects.of_group(many)
    found = {}
    for order in ("name", "-updated_at", "created_at"):
        plan = json.loads(rows.order_by(order, "pk")[:PAGE].explain(format="json", analyze=True))
        found[order] = max(_read(plan[0]["Plan"], "images_imagerepository"))
    sys.stdout.write(f"{json.dumps(found)}\n")


def _read(node: dict[str, Any], table: str) -> list[int]:
    own = [int(node["Actual Rows"] * node["Actual Loops"])] if node.get("Relation Name") == table else []
    return own + [count for below in node.get("Plans", ()) for count in _read(below, table)]


if __name__ == "__main__":
    main()
