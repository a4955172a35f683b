"""What does a plan look like when a failed part of it is replaced?

The failed step and everything downstream of it go; what is finished or does not depend on them stays as it is. New
steps whose ids were ever taken are renamed (`r1_…`), *and every reference to them is rewritten*: the original forgot
that, and bound renamed steps to the outputs of the old ones.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from orchestrald.core.graph import Graph
from orchestrald.core.references import BadReference, parse_reference, references, rename


class Graft(NamedTuple):
    """`plan` is untrusted like its parts, and goes through `normalize`; its first `kept` steps are the old ones."""

    plan: dict[str, Any]
    kept: int
    superseded: tuple[str, ...]
    renamed: dict[str, str]


def graft(graph: Graph, failed: str, replacement: Any, taken: Collection[str], number: int) -> Graft:
    """Put the replacement's steps where the failed subgraph was; with `failed` empty, beside all that there is.

    `taken` are all ids that this interaction has ever used, `number` counts its replans from 1. Never raises for what
    the replacement says: faults in it are `normalize`'s to report.
    """
    gone = [graph.index[failed], *graph.descendants(graph.index[failed])] if failed else []
    superseded = tuple(graph.nodes[i].id for i in sorted(gone))
    old = graph.to_json()["plan"]
    kept = [step for step in old["steps"] if step["id"] not in superseded]
    steps = replacement.get("steps") if isinstance(replacement, dict) else None
    new = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    names = {step["id"] for step in new if isinstance(step.get("id"), str)}
    renamed = {name: _free(name, number, {*taken, *names}) for name in sorted(names & set(taken))}
    merged = {**old, "steps": [*kept, *(_renamed(step, renamed) for step in new)]}
    known = {step["id"] for step in kept} | {renamed.get(name, name) for name in names}
    for template in ("on_complete", "on_failure"):
        if isinstance(replacement, dict) and template in replacement:  # said anew; null takes the old words back
            merged[template] = _words(replacement[template], renamed)
        elif merged.get(template) is not None:
            merged[template] = _template(merged[template], renamed, known)
    return Graft(merged, len(kept), superseded, renamed)


def _free(name: str, number: int, taken: Collection[str]) -> str:
    while (candidate := f"r{number}_{name}"[:64]) in taken:
        number += 1
    return candidate


def _renamed(step: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The step with every mention of a renamed one replaced: its id, dependencies, bindings and references."""
    made = dict(step)
    if isinstance(step.get("id"), str):
        made["id"] = names.get(step["id"], step["id"])
    if isinstance(step.get("depends_on"), list):
        made["depends_on"] = [names.get(n, n) if isinstance(n, str) else n for n in step["depends_on"]]
    if isinstance(step.get("io_bindings"), list):
        made["io_bindings"] = [_binding(binding, names) for binding in step["io_bindings"]]
    for key in ("params", "when", "for_each"):
        if key in step:
            made[key] = _references(step[key], names)
    return made


def _binding(binding: Any, names: dict[str, str]) -> Any:
    if not isinstance(binding, dict) or not isinstance(binding.get("from"), str):
        return binding
    try:
        source = parse_reference(binding["from"])
    except BadReference:
        return binding
    return {**binding, "from": str(source._replace(root=names.get(source.root, source.root)))}


def _references(value: Any, names: dict[str, str]) -> Any:
    try:
        return rename(value, names)
    except BadReference:
        return value


def _words(template: Any, names: dict[str, str]) -> Any:
    return _references(template, names) if isinstance(template, str) else template


def _template(template: str, names: dict[str, str], known: Collection[str]) -> str | None:
    """The plan's closing words, or none when they speak of a step that is gone."""
    words: str = rename(template, names)
    roots = {reference.root for _, reference in references(words)}
    return words if roots <= {*known, "error", "intent", "memory"} else None
