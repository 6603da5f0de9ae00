"""Options that several commands take."""

from pathlib import Path
from typing import Annotated, Any

import typer

from moorage.errors import ConfigurationError, Mistake


def config_argument(text: str) -> Any:  # noqa: ANN401 - as typer has it
    """Make the argument that names a configuration file; *text* says what is read without it."""
    return typer.Argument(metavar="CONFIG", help=text, show_default=False)


AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print CSV, which is also what comes without it.")]
NodeConfig = Annotated[
    Path | None,
    config_argument("The file; else REGISTRY_CONFIGURATION_PATH; else what `moorage serve` has in --data."),
]
NodeData = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Without CONFIG: where `moorage serve` keeps its data; else ./data."),
]


def see_that_one_form(*, as_csv: bool, as_json: bool) -> None:
    """See that no more than one form of the output is asked for.

    Raises:
        ConfigurationError: both are.
    """
    if as_csv and as_json:
        raise ConfigurationError([Mistake("--csv", "it cannot be given together with --json")])
