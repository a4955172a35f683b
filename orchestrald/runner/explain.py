"""What may the programs of an action touch, and whose word says so?

An explanation comes from what a run is made of (`Subject`, `Confiner`): nothing is worked out a second time here, only
the reasons are added.
"""

import os
from collections.abc import Callable
from typing import Any

from orchestrald.actions import LoadedAction
from orchestrald.hookspecs import Action, ActionError
from orchestrald.runner.confine import Confiner
from orchestrald.runner.grants import operator_policy, refused
from orchestrald.runner.provenance import DEFAULT, Provenance
from orchestrald.runner.subject import TRUSTED, Subject, Subjects, plugin_of

ANY = "<what a step says>"
_WORDS = ("mode", "network", "fs_read", "unix_sockets")


async def explain(
    confiner: Confiner,
    subjects: Subjects,
    provenance_of: Callable[[str], Provenance],
    action: LoadedAction,
    workspace: str,
) -> dict[str, Any]:
    """As PROTOCOL.md has it for `sandbox.explain`. What is wrong with a policy does not raise: it is told."""
    about: dict[str, Any] = {
        "action": action.spec.name,
        "plugin": plugin_of(action),
        "runs": "in_process" if isinstance(action.how, Action) else "program",
    }
    provenance = provenance_of(plugin_of(action))
    try:
        async with subjects.folder(action) as folder:
            subject = subjects.of(action, folder, workspace)
            if subject.command is None:
                return about | {"sandboxed": False, "says": TRUSTED}
            found = await confiner.explain(subject.command, _reasons(subject, provenance))
    except ActionError as error:
        return about | {"sandboxed": False, "problem": {"message": str(error), "hint": ""}}
    about["sandboxed"] = found.get("mode", "none") != "none"
    if subject.command.manifest is not None:
        about["refused"] = list(refused(subject.operator, subject.command.manifest))
    if "mode" in found:
        found["why"] = [
            {"what": word, "value": found[word], "because": _because(subject, provenance, word, found[word])}
            for word in _WORDS
            if word == "mode" or about["sandboxed"]
        ]
        _limits(subject, provenance, found["limits"])
    if subject.external is None:
        about["says"] = f"{TRUSTED} Of the programs that it starts: {found.pop('says', '')}"
        found["command"] = [ANY]
        if about["sandboxed"] and found.get("argv"):
            found["argv"][-1] = ["--", ANY]
    sayable: dict[str, Any] = _sayable(about | found)
    return sayable


def _sayable(value: Any) -> Any:
    """JSON cannot hold the bytes of a file's name that are no UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_sayable(key): _sayable(child) for key, child in value.items()}
    return [_sayable(child) for child in value] if isinstance(value, list | tuple) else value


def _reasons(subject: Subject, provenance: Provenance) -> dict[str, str]:
    """Why paths are granted, where the operator, a setting or the manifest named them."""
    command = subject.command
    assert command is not None, "a program is explained"
    workspace = os.path.realpath(command.workspace) if command.workspace else ""
    found = {
        os.path.join(workspace, part).rstrip("/"): "a part of the workspace that the manifest asks for"
        for part in (*command.reads, *command.writes)
        if workspace and part
    }
    for word in ("read_roots", "writable_roots"):
        for path in getattr(subject.used, word):
            operators = path in getattr(subject.operator, word)
            key = provenance.grant(word) if operators else provenance.setting(word)
            found[os.path.realpath(path)] = f"listed in {key}"
    return found


def _because(subject: Subject, provenance: Provenance, word: str, value: Any) -> str:
    """Whose word one word of the policy is, and what would change it."""
    granted, used, key = getattr(subject.operator, word), getattr(subject.used, word), provenance.key(word)
    if used != granted:
        return f"{provenance.setting(word)} says so"
    if word == "network" and used == "proxy" and not subject.used.destinations:
        return f"no destinations are listed; {provenance.grant('destinations')} can list some"
    if value != used:
        return f"the manifest asks for no more; {key} grants {used}"
    return f"the default; {provenance.grant(word)} can say otherwise" if key == DEFAULT else f"{key} says so"


def _limits(subject: Subject, provenance: Provenance, limits: tuple[dict[str, Any], ...]) -> None:
    """Add to each who set it."""
    granted = dict(operator_policy(subject.used).limits.items())
    for limit in limits:
        name = limit["name"]
        limit["because"] = "the manifest" if limit["value"] < granted[name] else provenance.limit(name)
