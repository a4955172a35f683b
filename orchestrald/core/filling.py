"""How do values from outside get into a plan without becoming part of its language?

`{{root.x}}` is replaced by an argument before the plan is normalized; every other reference stays for the executor.
What somebody said, or called a file, is data: braces in it are escaped, so that it cannot refer to a step.
"""

from typing import Any

from orchestrald.core.references import BadReference, Reference, follow, parse, render


def fill(value: Any, root: str, arguments: dict[str, Any]) -> Any:
    """The template with every reference to `root` replaced. Raises MissingValue for an argument that is not there."""
    if isinstance(value, dict):
        return {key: fill(child, root, arguments) for key, child in value.items()}
    if isinstance(value, list):
        return [fill(child, root, arguments) for child in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    try:
        parts = parse(value)
    except BadReference:
        return value  # normalize says so, with its path
    if len(parts) == 1 and isinstance(parts[0], Reference) and parts[0].root == root:
        return literal(follow(arguments, parts[0]))
    return "".join(_part(part, root, arguments) for part in parts)


def literal(value: Any) -> Any:
    """The value as a plan that means exactly this value: braces in its texts are escaped."""
    if isinstance(value, str):
        return value.replace("{{", "{{{{")
    if isinstance(value, list):
        return [literal(child) for child in value]
    if isinstance(value, dict):
        return {key: literal(child) for key, child in value.items()}
    return value


def _part(part: str | Reference, root: str, arguments: dict[str, Any]) -> str:
    if isinstance(part, str):
        return part.replace("{{", "{{{{")
    if part.root != root:
        return f"{{{{{part}}}}}"
    return render(follow(arguments, part)).replace("{{", "{{{{")
