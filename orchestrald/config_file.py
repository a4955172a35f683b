"""How does the operator's file become settings, and what is said when it cannot?

Every fault is named at once, a key that is not known with the nearest one that is. A missing file is the defaults; an
empty file is the defaults too.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from orchestrald.config import Config
from orchestrald.errors import ConfigError
from orchestrald.protocol.strict_yaml import NotStrictYaml, loads


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in `path` with the environment's overrides. Raises ConfigError naming every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse(text, environ, str(path))


def parse(text: str, environ: Mapping[str, str], name: str) -> Config:
    """Pure part of `load`. ORCHESTRAL_LOG_FILE and ORCHESTRAL_LOG_LEVEL win over the file."""
    try:
        raw = loads(text.encode()).value
    except NotStrictYaml as error:
        raise ConfigError(f"{name}: {error}") from error
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise ConfigError(f"{name} holds no settings: it must be a mapping of sections.")
    for variable, key in (("ORCHESTRAL_LOG_FILE", "log_file"), ("ORCHESTRAL_LOG_LEVEL", "log_level")):
        section = raw.setdefault("observability", {})
        if environ.get(variable) and isinstance(section, dict):
            section[key] = environ[variable]
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        faults = "\n".join(_fault(item) for item in error.errors(include_url=False))
        raise ConfigError(f"{name} cannot be used:\n{faults}") from error


def _fault(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"  {where}: {item['msg']}"
    key, known = str(item["loc"][-1]), _keys(item["loc"][:-1])
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
    return f"  {where}: there is no such key; {hint}"


def _keys(path: tuple[Any, ...]) -> list[str]:
    """The keys that the section at `path` has; an item's number, and a name that a person gave, are passed over."""
    model: type[BaseModel] = Config
    for part in path:
        field = model.model_fields.get(str(part))
        model = model if field is None else _section(field.annotation) or model
    return list(model.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, or holds several of; missing when it holds plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)
