"""What is missing at a start is one sentence, with what to grant."""

import pytest

from moorage.errors import ConfigurationError
from moorage.storage.azure.opening import open_azure
from support.azure_front import AzureFront, Fault
from support.azurite import section_of, shared_azurite
from unit.storage.azure.conftest import Maker

OTHER_KEY = "b3RoZXI="


async def mistake_of(**keys: object) -> tuple[str, str]:
    driver = open_azure(section_of(shared_azurite(), **keys), where="storage.azure_v2")
    try:
        with pytest.raises(ConfigurationError) as raised:
            await driver.examine()
    finally:
        await driver.close()
    (mistake,) = raised.value.mistakes
    assert OTHER_KEY not in mistake.message
    assert "\n" not in mistake.message
    return mistake.path, mistake.message


async def test_a_container_that_is_not_there_is_to_be_made() -> None:
    path, message = await mistake_of(container="not-there")
    assert path == "storage.azure_v2.container"
    assert "there is no such container: create it" in message
    assert "not-there of account devstoreaccount1" in message


async def test_a_wrong_key_is_to_be_copied_from_the_portal() -> None:
    _, message = await mistake_of(accountkey=OTHER_KEY)  # Azurite has a code for it that is not the service's.
    assert "give the key as the portal shows it" in message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AuthorizationPermissionMismatch", ("container", "grant it the role Storage Blob Data Contributor")),
        ("AuthorizationFailure", ("container", "allow the machine's network")),
        ("KeyBasedAuthenticationNotPermitted", ("credentials_type", "takes no shared keys")),
        ("AuthenticationFailed", ("accountkey", "give the key as the portal shows it")),
        ("NeverHeardOf", ("container", "As the test wants it.")),
    ],
)
async def test_what_is_denied_names_what_to_grant(
    front: AzureFront, new_driver: Maker, code: str, said: tuple[str, str]
) -> None:
    key, words = said
    front.faults.append(Fault("ListBlobs", status=403, code=code))
    with pytest.raises(ConfigurationError) as raised:
        await new_driver().examine()
    (mistake,) = raised.value.mistakes
    assert mistake.path == f"storage.azure.{key}"
    assert words in mistake.message


async def test_rights_to_read_are_not_enough_for_pushes(front: AzureFront, new_driver: Maker) -> None:
    driver = new_driver()
    front.faults.append(Fault("PutBlob", status=403, code="AuthorizationPermissionMismatch", times=9))
    with pytest.raises(ConfigurationError, match="Storage Blob Data Contributor"):
        await driver.examine()
    await driver.examine(can_write=False)


async def test_an_account_whose_folders_stay_is_refused(front: AzureFront, new_driver: Maker) -> None:
    fault = Fault("GetAccountInformation", status=200, headers={"x-ms-is-hns-enabled": "true"})
    front.faults.append(fault)
    with pytest.raises(ConfigurationError, match="hierarchical namespace"):
        await new_driver().examine()


async def test_a_good_container_passes_and_nothing_is_left_in_it(new_driver: Maker) -> None:
    driver = new_driver()
    await driver.examine()
    assert not await driver.exists("/docker")
