"""The sample that explains a target's settings has all of them, and says their defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from hack.check_manifests import unknown_fields
from qgjob.api.schema import open_api_schema
from qgjob.api.testtarget import TestTarget

TEXT = (Path(__file__).parents[2] / "manifests/samples/devices-target.yaml").read_text()
#: A setting in a comment, such as `  # parallelism: 2`; words before a colon in a sentence have a blank.
COMMENTED = re.compile(r"^( *)# ( *(?:- )?[\w./]+:(?: .*)?)$", re.MULTILINE)
#: One of several that exclude each other is set; the others are told of where it stands.
ALTERNATIVES = {
    "provider.none",
    "provider.emulator",
    "provider.browserstack",
    "app.customId",
    "artifacts.persistentVolumeClaim",
    "driver.command",
    "driver.simulate",
    "driver.settings",
    "source.image",
    "source.archive",
    "source.configMap",
}

SET: dict[str, Any] = yaml.safe_load(TEXT)
ALL: dict[str, Any] = yaml.safe_load(COMMENTED.sub(r"\1\2", TEXT))


def fields(model: BaseModel, path: str = "") -> dict[str, tuple[bool, Any, Any]]:
    """Of each setting below the model: whether it must be given, its default, and what it is in the sample."""
    found = {}
    for name, field in type(model).model_fields.items():
        key = f"{path}{field.alias}"
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found |= fields(value, f"{key}.")
        else:
            found[key] = (field.is_required(), field.get_default(call_default_factory=True), value)
    return found


def at(document: dict[str, Any], key: str) -> Any:
    """What stands there; None where nothing does."""
    value: Any = document["spec"]
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


SETTINGS = fields(TestTarget.model_validate(ALL).spec)


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_every_setting_is_in_the_sample(key: str) -> None:
    if key in ALTERNATIVES:
        assert f"`{key.rsplit('.', 1)[-1]}`" in TEXT
    else:
        assert at(ALL, key) is not None


@pytest.mark.parametrize("key", sorted(key for key in SETTINGS if at(SET, key) is not None))
def test_what_is_set_and_optional_is_set_to_its_default(key: str) -> None:
    required, default, value = SETTINGS[key]

    assert required or key in {"provider.devices", "app.url"} or value == default


def test_what_stands_in_comments_is_right_as_well() -> None:
    assert list(unknown_fields(ALL, open_api_schema(TestTarget))) == []
