"""Options as scripts for GitLab's registry write them: ``--dry-run=true``, ``-m=false``, ``-n=3``."""

import typer
from typer.core import TyperCommand, TyperOption

from moorage.cli.go_bools import read_bool


class GoFlagsCommand(TyperCommand):
    """A command whose options take their values in Go's forms as well."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # the base is private
        """See click."""
        rewritten: list[str] = []
        refused: dict[str, None] = {}
        for index, word in enumerate(args):
            if word == "--":
                rewritten += args[index:]
                break
            rewritten += self._rewritten(ctx, word, refused)
        rest = super().parse_args(ctx, rewritten)
        # Said on the command line, so it counts more than what a variable says.
        ctx.params.update(dict.fromkeys(refused, False))
        return rest

    def _rewritten(self, ctx: typer.Context, word: str, refused: dict[str, None]) -> list[str]:
        name, equals, value = word.partition("=")
        option = next((param for param in self.get_params(ctx) if name in param.opts), None)
        if not isinstance(option, TyperOption):
            return [word]
        if not option.is_flag:
            return [name, value] if equals and not name.startswith("--") else [word]
        wanted = read_bool(value) if equals else True
        if wanted is None:
            msg = f"{value} is neither true nor false"
            raise typer.BadParameter(msg, ctx=ctx, param=option)
        if wanted:
            refused.pop(str(option.name), None)
            return [name]
        refused[str(option.name)] = None
        return []
