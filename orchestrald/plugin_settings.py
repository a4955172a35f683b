"""How does a plugin read the operator's settings, so that a misspelt key is told and not ignored?"""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrald.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def read_settings(model: type[Model], settings: Mapping[str, Any]) -> Model:
    """`settings` as a `model`, missing keys at their defaults. Raises ConfigError: every fault, and the nearest key."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    unknown = [_unknown(key, known) for key in settings if key not in known]
    if unknown:
        raise ConfigError("; ".join(unknown), hint=f"The settings are {', '.join(sorted(known))}.")
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError("; ".join(_told(fault) for fault in error.errors())) from None


def _unknown(key: str, known: set[str]) -> str:
    nearest = difflib.get_close_matches(key, known, 1)
    return f"unknown setting {key!r}" + (f", did you mean {nearest[0]!r}?" if nearest else "")


def _told(fault: Any) -> str:
    where = ".".join(map(str, fault["loc"]))
    message = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
