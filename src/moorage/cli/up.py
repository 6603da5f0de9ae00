"""``moorage up``: registry and control plane for one machine."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from moorage.left_out import left_out

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of everything: made at the first start.", show_default=True)
]


def up(
    folder: Folder = Path("data"),
    *,
    addr: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address of the registry, at the first start.")
    ] = "127.0.0.1:5000",
    control_addr: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address of the control plane, at the first start.")
    ] = "127.0.0.1:8080",
    adopt: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGES",
            help="The folder of another registry, to be served where it is; at the first start.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Worker processes of the registry; else one a core.")
    ] = None,
) -> None:
    """Start registry and control plane on one machine, with all they need in one folder."""
    with left_out("rich"):  # Structlog takes it for tracebacks in colours, and our log has none.
        import structlog  # noqa: F401, PLC0415 - first of all that import it
    # Django is not imported here: the registry's process is forked from this one. Without it nothing is made.
    if find_spec("django") is None:
        raise ModuleNotFoundError(name="django")
    from moorage.control.serving.first_folder import prepare_folder  # noqa: PLC0415 - other commands need not wait
    from moorage.server.scheduling import usable_processors  # noqa: PLC0415 - as above
    from moorage.server.together import Together  # noqa: PLC0415 - as above

    place = prepare_folder(folder, registry_addr=addr, control_addr=control_addr, adopt=adopt)
    count = workers or usable_processors()
    servers = [
        lambda on_ready: _serve_registry(place.config, count, on_ready),
        lambda on_ready: _serve_control(place.control, on_ready),
    ]
    if place.old_images is not None:
        print(
            f"{place.old_images} has images of a registry without accounts. They stay where they are, and from now on "
            "ask for a login: an administrator reaches all of them, others those of a project with their path.",
            flush=True,
        )
    raise typer.Exit(Together(servers, on_ready=lambda addresses: _welcome(place.path, addresses)).run())


def _serve_registry(config: Path, workers: int, on_ready: Callable[[str], object]) -> int:
    from moorage.starting.configuration_file import read_to_serve  # noqa: PLC0415 - in the process that needs it
    from moorage.starting.registry_start import start_registry  # noqa: PLC0415 - as above

    return start_registry(
        read_to_serve(config),
        workers=workers,
        reread_level=lambda: read_to_serve(config).config.log.level,
        on_ready=on_ready,
    )


def _serve_control(control: Path, on_ready: Callable[[str], object]) -> int:
    import os  # noqa: PLC0415 - in the process that needs it

    from moorage.control.configuration import read_control  # noqa: PLC0415 - as above
    from moorage.control.serving.control_start import start_control  # noqa: PLC0415 - as above

    def make_root() -> None:
        # It needs Django to have started.
        from moorage.control.serving.first_administrator import make_first_administrator  # noqa: PLC0415 - as above

        make_first_administrator(control.parent)

    return start_control(read_control(control, os.environ), before=make_root, on_ready=on_ready)


def _welcome(folder: Path, addresses: Sequence[str]) -> None:
    from moorage import __version__  # noqa: PLC0415 - as above
    from moorage.auth.addresses import is_any  # noqa: PLC0415 - as above

    registry, control = addresses
    host, _, port = registry.rpartition(":")
    if is_any(host.strip("[]")):
        registry = f"localhost:{port}"
    initial = folder / "initial_password"
    known = f"The user is root; the password is in {initial}\n" if initial.exists() else ""
    login = f"docker login -u root --password-stdin {registry} < {initial}" if known else f"docker login {registry}"
    print(
        f"Moorage {__version__}: the registry listens on http://{registry}\n"
        f"Accounts and projects are at {control}\n"
        f"Everything is in {folder}\n"
        f"{known}"
        f"Now, in another terminal, with any image that you have:\n"
        f"  {login}\n"
        f"  docker tag IMAGE {registry}/root/app:1\n"
        f"  docker push {registry}/root/app:1\n"
        f"Ctrl-C stops it.",
        flush=True,
    )
