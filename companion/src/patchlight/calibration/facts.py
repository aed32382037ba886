"""Parses a calibration file's metadata; accepts what the page accepts (`src/contract/calibration.ts`)."""

import json
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

KEY = "patchlight.calibration"
FORMAT_VERSION = 1

_MAX_INTEGER = 2**53 - 1


def _integral(value: Any) -> Any:
    """JavaScript does not distinguish 3.0 from 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Int = Annotated[int, BeforeValidator(_integral), Field(strict=True, ge=-_MAX_INTEGER, le=_MAX_INTEGER)]
_Natural = Annotated[_Int, Field(ge=0)]
_Count = Annotated[_Int, Field(gt=0)]


class _Facts(BaseModel):
    model_config = ConfigDict(strict=True)


class _Named(_Facts):
    name: str
    revision: str


class _Model(_Named):
    sameAs: list[str] = []


class _Data(_Facts):
    name: str
    sets: list[str]
    about: str | None = None


class _Sprites(_Facts):
    file: str
    cols: _Count
    cellPx: _Count


class _Images(_Facts):
    file: str
    index: str


class _Calibration(_Facts):
    model: _Model
    head: _Named
    data: _Data
    n: _Natural
    createdAt: str
    command: str
    patches: _Count | None
    seed: _Int
    licence: str
    sprites: _Sprites | None
    images: _Images | None = None


def parse_facts(text: bytes) -> dict[str, Any]:
    """Return the metadata of a calibration file as parsed JSON.

    Raises ValueError if it is not valid JSON, has another format version, or fields are missing or invalid.
    """
    try:
        facts = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"its metadata under {KEY} is not valid JSON ({error})") from None
    version = facts.get("formatVersion") if isinstance(facts, dict) else None
    if isinstance(version, bool) or version != FORMAT_VERSION:
        raise ValueError(f"it has format version {version}, this program reads version {FORMAT_VERSION}")
    try:
        _Calibration.model_validate(facts)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"its metadata is invalid: {problems}") from None
    return facts


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"its metadata under {KEY} is not valid JSON: it has {name}")
