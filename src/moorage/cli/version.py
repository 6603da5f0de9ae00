"""``moorage version``."""

import json

from moorage.cli.options import AsJSON
from moorage.cli.quick_answers import versions


def version(*, as_json: AsJSON = False) -> None:
    """Print the version."""
    found = versions()
    print(json.dumps(found) if as_json else "\n".join(f"{name} {number}" for name, number in found.items()))
