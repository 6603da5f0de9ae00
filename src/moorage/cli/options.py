"""Options that several commands take."""

from typing import Annotated

import typer

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print CSV, which is also what comes without it.")]
