"""``auth``: who may do what."""

from typing import Literal

from moorage.config.section import Flag, Required, Section, Text, now


class NoAuth(Section):
    """``auth.none``: everybody may do everything."""


class SillyAuth(Section):
    """``auth.silly``: any Authorization header will do; for trying out clients."""

    realm: Required = now(..., "Where clients are told to get a token.")
    service: Required = now(..., "The service's name there.")


SigningAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class TokenAuth(Section):
    """``auth.token``: a token that an issuer, such as GitLab, has signed."""

    realm: Required = now(..., "URL of the token endpoint.")
    service: Required = now(..., "This service's name there; tokens have it as `aud`.")
    issuer: Required = now(..., "Who signs the tokens; they have it as `iss`.")
    rootcertbundle: Text = now("", "PEM file of trusted certificates, read again when it changes.")
    jwks: Text = now("", "Distribution: JSON file of trusted keys, read again when it changes.")
    signingalgorithms: list[SigningAlgorithm] = now([], "Distribution: accepted algorithms; empty: all.")
    autoredirect: Flag = now(False, "True: the realm is on the host that the client has asked, by HTTPS.")
    autoredirectpath: Text = now("", "Distribution: its path there; empty: `/auth/token`.")
    server: Text = now("", "Moorage: file of a token server that this registry is itself, at `/auth/token`.")


class HtpasswdAuth(Section):
    """``auth.htpasswd``: users with passwords, in a file."""

    realm: Required = now(..., "Name of the realm.")
    path: Required = now(..., "The file, as `htpasswd -B` writes it; read again when it changes.")


Auth = NoAuth | SillyAuth | TokenAuth | HtpasswdAuth


AUTHS: dict[str, type[Section]] = {"none": NoAuth, "silly": SillyAuth, "token": TokenAuth, "htpasswd": HtpasswdAuth}
