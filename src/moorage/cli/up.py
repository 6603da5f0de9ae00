"""``moorage up``: registry and control plane for one machine."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.errors import ConfigurationError, Mistake
from moorage.left_out import import_lightly
from moorage.server.held_signals import hold_signals

if TYPE_CHECKING:
    from moorage.control.serving.first_folder import HTTPSSite

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of everything: made at the first start.", show_default=True)
]


def up(  # noqa: PLR0913 - one argument an option
    folder: Folder = Path("data"),
    *,
    addr: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of the registry, at the first start: 127.0.0.1:5000, with --domain 0.0.0.0:5050.",
        ),
    ] = None,
    control_addr: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of the control plane, at the first start: 127.0.0.1:8080, with --domain 0.0.0.0:443.",
        ),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Serve HTTPS under this name, from the first start on, with a certificate of Let's Encrypt.",
        ),
    ] = None,
    registry_domain: Annotated[
        str | None, typer.Option(metavar="NAME", help="The registry's own name, where it has one.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --domain: a certificate of yours and its chain, as PEM.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="With --certificate: its private key.")] = None,
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
    hold_signals()
    import_lightly()
    # Django is not imported here: the registry's process is forked from this one. Without it nothing is made.
    if find_spec("django") is None:
        raise ModuleNotFoundError(name="django")
    from moorage.control.serving.first_folder import prepare_folder  # noqa: PLC0415 - other commands need not wait
    from moorage.server.scheduling import usable_processors  # noqa: PLC0415 - as above
    from moorage.server.together import Together  # noqa: PLC0415 - as above

    https = _https(domain, registry_domain, certificate, key)
    place = prepare_folder(
        folder,
        registry_addr=addr or ("127.0.0.1:5000" if https is None else "0.0.0.0:5050"),
        control_addr=control_addr or ("127.0.0.1:8080" if https is None else "0.0.0.0:443"),
        https=https,
        adopt=adopt,
    )
    if https is not None and not place.is_new:
        _check_name(https.domain, place.control)
    count = workers or usable_processors()
    servers = [
        lambda on_ready: _serve_registry(place.config, count, on_ready),
        lambda on_ready: _serve_control(place.control, on_ready),
    ]
    if place.old_images is not None:
        print(
            f"{place.old_images} has images of a registry without accounts. They stay where they are, and from now on "
            "ask for a login, and are reached through projects. In another terminal, this makes one for each path:\n"
            f"  moorage control project take-in --config {place.control}",
            flush=True,
        )
    raise typer.Exit(Together(servers, on_ready=lambda addresses: _welcome(place.path, addresses)).run())


def _https(
    domain: str | None, registry_domain: str | None, certificate: Path | None, key: Path | None
) -> "HTTPSSite | None":
    from moorage.control.configured_values import is_host  # noqa: PLC0415 - other commands need not wait
    from moorage.control.serving.first_folder import HTTPSSite  # noqa: PLC0415 - as above

    if domain is None:
        for option, given in (
            ("--registry-domain", registry_domain),
            ("--certificate", certificate),
            ("--key", key),
        ):
            if given is not None:
                raise ConfigurationError([Mistake(option, "belongs to --domain, the name of the site")])
        return None
    for option, name in (("--domain", domain), ("--registry-domain", registry_domain)):
        if name is not None and not is_host(name):
            raise ConfigurationError([Mistake(option, f"{name} is no host's name; write one such as example.com")])
    if (certificate is None) != (key is None):
        raise ConfigurationError([Mistake("--certificate", "and --key belong together")])
    return HTTPSSite(domain, registry_domain or domain, certificate, key)


def _check_name(domain: str, control: Path) -> None:
    """Refuse a name that an older start has not written: it would have no effect."""
    if f"host: https://{domain}" not in control.read_text(encoding="utf-8"):
        message = f"{control.parent} was made without this name; change http.host, http.tls and registry there, by hand"
        raise ConfigurationError([Mistake("--domain", message)])


def _serve_registry(config: Path, workers: int, on_ready: Callable[[str], object]) -> int:
    from moorage.starting.configuration_file import read_to_serve  # noqa: PLC0415 - in the process that needs it
    from moorage.starting.registry_start import start_registry  # noqa: PLC0415 - as above
    from moorage.starting.serving import ServeOptions, level_of  # noqa: PLC0415 - as above

    loaded = read_to_serve(config)
    return start_registry(
        loaded,
        workers=workers,
        reread_level=partial(level_of, ServeOptions(config=config)),
        on_ready=lambda address: on_ready(loaded.config.http.host or f"http://{address}"),
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
    from moorage.auth.addresses import is_localhost  # noqa: PLC0415 - as above

    registry_url, control = addresses
    scheme, _, registry = registry_url.partition("://")
    host, _, port = registry.rpartition(":")
    if is_localhost(host.strip("[]")):
        registry = f"localhost:{port}"  # The realm's name, without which some clients ask for no token.
    initial = folder / "initial_password"
    known = f"The user is root; the password is in {initial}\n" if initial.exists() else ""
    login = f"docker login -u root --password-stdin {registry} < {initial}" if known else f"docker login {registry}"
    print(
        f"Moorage {__version__}: the registry listens on {scheme}://{registry}\n"
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
