"""The live tree as text, a line for each child."""

from __future__ import annotations

from collections.abc import Iterator

from .tree import ChildTree, SupervisorTree


def dump_tree(tree: SupervisorTree) -> str:
    """Return a supervisor and everything under it, a line each."""
    return "\n".join([headline(tree), *child_lines(tree)])


def headline(tree: SupervisorTree) -> str:
    """Return the line of the supervisor itself."""
    return f"{tree.path}  {_about(tree)}"


def child_lines(tree: SupervisorTree, indent: str = "", *, more: bool = False) -> Iterator[str]:
    """Yield the lines of everything under a supervisor.

    Args:
        tree: The supervisor.
        indent: What goes before each line.
        more: Whether further children of it follow elsewhere.
    """
    for child in tree.children:
        last = child is tree.children[-1] and not more
        yield f"{indent}{'└─' if last else '├─'} {_describe(child, tree.at)}"
        below = f"{indent}{'   ' if last else '│  '}"
        drawn = [nested for nested in child.supervisors if nested.children]
        for nested in drawn:
            yield from child_lines(nested, below, more=nested is not drawn[-1])


def _about(tree: SupervisorTree) -> str:
    restarts = f"{tree.max_restarts} restart{'' if tree.max_restarts == 1 else 's'}"
    return f"{tree.strategy}, at most {restarts} in {tree.period:g} s"


def _describe(child: ChildTree, now: float) -> str:
    parts = [f"{child.name}  {child.state}"]
    if child.incarnation:
        parts[0] += f" #{child.incarnation}"
    parts[0] += f" for {_lasted(now - child.since)}"
    if child.restarts:
        parts.append(f"{child.restarts} restart{'s' if child.restarts > 1 else ''}")
    if child.last_cause is not None:
        parts.append(f"last failure: {child.last_cause}")
    if child.health is not None:
        parts.append(child.health)
    if child.supervisors:
        parts += [_about(nested) for nested in child.supervisors]
    elif child.waiting_at is not None and child.health is None:
        parts.append(f"at {child.waiting_at}")
    return ", ".join(parts)


def _lasted(seconds: float) -> str:
    """Return a duration in its two largest units, as the operations page has it."""
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if not minutes:
        return f"{seconds:.1f} s"
    if not hours:
        return f"{minutes} m {whole % 60} s"

    return f"{days} d {hours % 24} h" if days else f"{hours} h {minutes % 60} m"
