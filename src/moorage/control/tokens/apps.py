"""Registration of this room with Django."""

from django.apps import AppConfig


class TokensRoom(AppConfig):
    """The room ``tokens``."""

    name = "moorage.control.tokens"
    label = "tokens"

    def ready(self) -> None:
        """Have the control plane's own calls to the registry made with tokens of its own."""
        from moorage.control.registry.connection import mint_internal_tokens_by  # noqa: PLC0415 - Django's order
        from moorage.control.tokens.minting import mint_internal_token  # noqa: PLC0415 - models are loaded only now

        mint_internal_tokens_by(mint_internal_token)
