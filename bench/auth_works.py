"""What is measured of authentication: a pull with a token against one without, and how fast tokens are verified."""

import dataclasses
import functools
import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt

import client
import load
from content import KIB, Blob
from figures import Figure, Series, TimesBetter
from load import Address, Load, LoadError
from moorage.auth.claims import AccessClaim, Claims, Meta, TagPatterns
from moorage.auth.keys import Key, TrustedKeys, import_key
from moorage.auth.tokens import SigningKey, Verifier, mint
from stage import Rounds, Stage
from subjects import Daemon, Moorage, MoorageConfigured

CONNECTIONS = 16
LAYERS = 9
TOKEN_LIMIT_TIMES = 1.15
"""What a request with a token may cost, in requests without."""
VERIFIED_LIMIT_TIMES = 1.3
"""What a token may cost to verify, in bare signatures."""
TOKENS = 2000
ISSUER, SERVICE = "bench", "container_registry"


class MoorageWithAuth(Moorage):
    """Moorage with SQLite and a configuration file: with tokens, or without authentication."""

    def __init__(self, workers: int, *, has_tokens: bool) -> None:
        super().__init__(workers)
        self.has_tokens = has_tokens

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file and a certificate written into *folder*."""
        configuration: dict[str, object] = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        }
        database = self._database(folder)
        if database is not None:
            configuration["database"] = database
        if self.has_tokens:
            (folder / "keys.json").write_text(json.dumps({"keys": [_public_key().as_dict(private=False)]}))
            names = {"realm": "https://issuer.example/token", "service": SERVICE, "issuer": ISSUER}
            configuration["auth"] = {"token": {**names, "jwks": str(folder / "keys.json")}}
        path = folder / "config.yml"
        path.write_text(json.dumps(configuration, indent=2))  # JSON is YAML too.
        program, module, name, serve, *options = super().command(address, folder)
        return [program, module, name, serve, str(path), *options]

    def _database(self, folder: Path) -> object:
        """Return what the file says of the database; None: nothing."""
        return {"enabled": True, "sqlite": str(folder / "data" / "moorage.db")}


class WithTokens(MoorageWithAuth):
    """Moorage with tokens and the metadata of another subject."""

    def __init__(self, workers: int, like: MoorageConfigured) -> None:
        super().__init__(workers, has_tokens=True)
        self.store, self.database = like.store, like.database
        self._like = like

    def prepare(self, folder: Path) -> None:
        """Do what the other one needs."""
        self._like.prepare(folder)

    def _database(self, folder: Path) -> object:
        return self._like.configuration(folder).get("database")


def bearer(stage: Stage) -> list[Figure]:
    """GET of a manifest with a bearer token, against the same without authentication."""
    if not stage.stores:
        return []
    blobs = stage.pool.blobs(LAYERS + 1, 4 * KIB)
    payload = client.image_manifest(blobs[0], blobs[1:])
    token = mint(_claims("0", lifetime_s=24 * 3600), SigningKey.of(_private_key()))
    authorization = f"Bearer {token}"
    title, path = "GET manifest by tag with a bearer token", client.manifest_path(client.TAG)
    subjects = [MoorageWithAuth(stage.workers, has_tokens=has_tokens) for has_tokens in (False, True)]
    with stage.running(*subjects) as daemons:
        for daemon in daemons:
            _prepare(daemon, blobs, payload, {"Authorization": authorization})

        def get(daemon: Daemon, _: int) -> Load:
            headers = [client.ACCEPT, *([f"Authorization: {authorization}"] if daemon is daemons[1] else [])]
            seconds = stage.plan.load_s
            return load.wrk(daemon.address, path, seconds=seconds, connections=CONNECTIONS, headers=headers)

        rounds = Rounds(*stage.samples(title, daemons, get))
    judged = rounds.series("CPU µs/request", lambda sample: 1e6 * sample.cpu_s / sample.count)
    rate = rounds.series("requests/s", lambda sample: sample.count / sample.wall_s, is_higher_better=True)
    target = TimesBetter(round(1 / TOKEN_LIMIT_TIMES, 2))
    figure = Figure(work="bearer", title=title, store="SQLite", judged=judged, target=target, against="without a token")
    return [dataclasses.replace(figure, others=[rate])]


def tokens(stage: Stage) -> list[Figure]:
    """Distinct RS256 tokens as GitLab mints them, verified on one core, against joserfc's bare signature check."""
    title = "verify an RS256 token that was not seen before"
    key = SigningKey.of(_private_key())
    public = _public_key()
    keys, verifier = TrustedKeys(keys={"bench": public}), Verifier(issuer=ISSUER, service=SERVICE)
    minted = [mint(_claims(str(number)), key) for number in range(TOKENS)]

    def ours(token: str) -> None:
        verifier.verify(token, keys, now=time.time())

    def bare(token: str) -> None:
        jwt.decode(token, public, algorithms=["RS256"])

    gc.collect()
    gc.freeze()  # As a worker does: what this program keeps besides is nothing to either side.
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(stage.plan.rounds + 1):
        stage.say(f"{title}: {f'round {number} of {stage.plan.rounds}' if number else 'warming up'}")
        for side in (0, 1) if number % 2 else (1, 0):
            act = (bare, ours)[side]
            began = time.process_time()
            for token in minted:
                act(token)
            if number:
                seconds[side].append((time.process_time() - began) / TOKENS)
    gc.unfreeze()
    costs, rates = ([[scale(each) for each in side] for side in seconds] for scale in (_microseconds, _per_second))
    judged = Series("CPU µs/token", costs[0], costs[1])
    rate = Series("tokens/s", rates[0], rates[1], is_higher_better=True)
    target = TimesBetter(round(1 / VERIFIED_LIMIT_TIMES, 2))
    return [Figure(work="tokens", title=title, against="joserfc alone", judged=judged, target=target, others=[rate])]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"bearer": bearer, "tokens": tokens}


def _prepare(daemon: Daemon, blobs: Sequence[Blob], payload: bytes, headers: Mapping[str, str]) -> None:
    """Push an image, one request after the other."""
    for blob in blobs:
        body = b"".join(bytes(piece) for piece in blob.pieces())
        path = f"/v2/{client.REPOSITORY}/blobs/uploads/?digest={blob.digest}"
        _push(daemon, "POST", path, body, headers={**headers, "Content-Type": "application/octet-stream"})
    path = client.manifest_path(client.TAG)
    _push(daemon, "PUT", path, payload, headers={**headers, "Content-Type": client.MANIFEST_TYPE})


def _push(daemon: Daemon, method: str, path: str, body: bytes, *, headers: Mapping[str, str]) -> None:
    status, answer = client.ask(daemon, method, path, body, headers=headers)
    if status != 201:
        msg = f"{method} {path}: {status} {answer.decode(errors='replace')}"
        raise LoadError(msg)


def bearer_of(repository: str) -> str:
    """The credentials of somebody who pulls and pushes one repository all day."""
    claims = _claims(repository, lifetime_s=24 * 3600, repository=repository)
    return f"Bearer {mint(claims, SigningKey.of(_private_key()))}"


def _claims(identity: str, *, lifetime_s: int = 300, repository: str = client.REPOSITORY) -> Claims:
    """What GitLab says of a developer who pulls, in a project with a protected tag."""
    now = int(time.time())
    patterns = TagPatterns(push=["^v"], delete=["^v"])
    meta = Meta(project_path="group/app", project_id=1, root_namespace_id=1, tag_deny_access_patterns=patterns)
    access = [AccessClaim(type="repository", name=repository, actions=["pull", "push"], meta=meta)]
    return Claims(
        iss=ISSUER,
        aud=SERVICE,
        sub="developer",
        exp=now + lifetime_s,
        nbf=now - 5,
        iat=now,
        jti=identity,
        auth_type="gitlab_or_ldap",
        user="x" * 300,
        access=access,
    )


@functools.cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _public_key() -> Key:
    return import_key(_private_key().public_key())


def _microseconds(seconds: float) -> float:
    return 1e6 * seconds


def _per_second(seconds: float) -> float:
    return 1 / seconds
