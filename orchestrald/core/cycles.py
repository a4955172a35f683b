"""Which steps wait for each other in a circle?"""

from collections.abc import Iterable, Mapping


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """One cycle as the ids along it, empty when there is none. Edges to unknown ids are ignored.

    Iterative: a chain of 10,000 steps must not meet the interpreter's recursion limit.
    """
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        trail: list[str] = [start]
        on_trail = {start}
        pending = [iter(edges[start])]
        while pending:
            following = next((name for name in pending[-1] if name in edges and name not in done), None)
            if following is None:
                pending.pop()
                finished = trail.pop()
                on_trail.discard(finished)
                done.add(finished)
            elif following in on_trail:
                return trail[trail.index(following) :]
            else:
                trail.append(following)
                on_trail.add(following)
                pending.append(iter(edges[following]))
    return []
