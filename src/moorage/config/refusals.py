"""Keys that are accepted without function and whose silence would do harm: they stop the start.

The verdict for each of these keys, and for those that are only named in a warning, is in ADR 0024.
"""

from collections.abc import Iterator

from moorage.config.root import Config
from moorage.config.sections.storage_azure import AzureSection
from moorage.errors import Mistake


def refusals(config: Config) -> Iterator[Mistake]:
    """Yield a mistake for each thing that is asked for, does not exist here, and cannot be left out in silence."""
    yield from _of_storage(config)
    if config.proxy.remoteurl:
        message = "there is no mirror yet, and without it everybody could push into its names; take proxy out"
        yield Mistake("proxy.remoteurl", message)
    if config.policy.repository.classes:
        message = "there is no such rule here, so that content of every class would be taken; take it out"
        yield Mistake("policy.repository.classes", message)
    for index, hook in enumerate(config.log.hooks):
        if hook.type and not hook.disabled:
            message = (
                "no mail is sent from here: errors come in floods, and a mail server that is slow would hold up the "
                "rest; take it out, and let whatever collects the log, or an alert on metrics, send mail"
            )
            yield Mistake(f"log.hooks[{index}]", message)
    for kind in ("registry", "repository"):
        if any(not item.disabled for item in config.middleware.get(kind, [])):
            message = "it does not exist here, and may be what keeps somebody out; set disabled: true, or take it out"
            yield Mistake(f"middleware.{kind}", message)


def _of_storage(config: Config) -> Iterator[Mistake]:
    driver, path = config.storage.driver, f"storage.{config.storage.name}"
    if isinstance(driver, AzureSection):
        for key, message in driver.mistakes():
            yield Mistake(f"{path}.{key}", message)
