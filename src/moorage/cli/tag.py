"""``moorage tag``: the commands of two files, as one group."""

from moorage.cli.history import tag_app
from moorage.cli.listing import list_tags

tag_app.command("list")(list_tags)
