"""Lists of parts (CycloneDX), read by the standard's own schema."""


def fault_of(text: str) -> object | None:
    """Return what the schema of CycloneDX 1.6 finds wrong with *text*, or None."""
    # To load it takes two seconds of the processor, and every process of a run loads every test.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - see above
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415 - see above

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
