"""The shape of the package, read from its source: who imports whom, what is pure, what is small.

Each law is a function from a package's folder to the places that break it. It is applied to the
real package, which must break none, and to a small package made to break it, which must be caught.
Imports under ``if TYPE_CHECKING`` do not count: they happen in no running program, and a contract
may name, for type checkers, what is built above it. Imports inside functions do count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import trio_instances

PACKAGE = Path(trio_instances.__file__).parent
TESTS = Path(__file__).parent

LAYERS = (
    {"_exceptions"},
    {"policy"},
    {"_attended", "abc"},
    {"telemetry", "channels"},
    {"_supervision"},
    {"_instance"},
    {"_runtime"},
    {""},  # the package's own __init__, which re-exports what is below it
    {"testing", "http"},
    {"_cli"},  # the demo plays its story on the test kit's gateway
    {"__main__"},
)
"""From the bottom up. A layer imports from those below it, and from its own folder."""

IMPURE = {
    "asyncio", "concurrent", "datetime", "io", "logging", "loguru", "multiprocessing", "os",
    "pathlib", "queue", "random", "secrets", "select", "selectors", "shutil", "signal", "socket",
    "ssl", "subprocess", "sys", "tempfile", "threading", "time", "trio", "trio_websocket",
}  # fmt: skip
"""What would bring a clock, chance, tasks or I/O into `policy`."""

MAX_FILE = 400
MAX_FUNCTION = 50

Law = Callable[[Path], list[str]]


# --- Reading a package


def modules(package: Path) -> dict[str, ast.Module]:
    """Return every module's syntax by its dotted name within the package; its own is empty."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))

    return found


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what can run, and so not the body of ``if TYPE_CHECKING``."""
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    for child in children:
        yield child
        yield from run_time_nodes(child)


def imported_names(package: Path, module: str, tree: ast.Module) -> Iterator[str]:
    """Yield the absolute name of all that a module imports: modules, and names within one."""
    folder = [package.name, *module.split(".")] if module else [package.name]
    if not (package.joinpath(*folder[1:]) / "__init__.py").exists():
        folder.pop()
    for node in run_time_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) + 1 - node.level] if node.level else []
            whole = [*base, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*whole, alias.name]) for alias in node.names)


def import_graph(package: Path) -> dict[str, set[str]]:
    """Return which modules of the package each of its modules imports."""
    found = modules(package)
    graph: dict[str, set[str]] = {module: set() for module in found}
    for module, tree in found.items():
        for imported in imported_names(package, module, tree):
            first, *rest = imported.split(".")
            if first != package.name:
                continue

            # `from .policy import restart` names a module, `from .abc import Channel` does not.
            while ".".join(rest) not in found:
                rest.pop()
            graph[module].add(".".join(rest))

    return graph


def foreign_imports(package: Path) -> Iterator[tuple[str, str]]:
    """Yield each module with each top-level package from elsewhere that it imports."""
    for module, tree in modules(package).items():
        for imported in imported_names(package, module, tree):
            first = imported.split(".")[0]
            if first != package.name:
                yield module, first


def in_policy(module: str) -> bool:
    """Tell whether a module is of the pure folder."""
    return f"{module}.".startswith("policy.")


# --- The laws


def upward_imports(package: Path) -> list[str]:
    """A module imports from the layers below its own, and within its own folder."""
    rank = {name: height for height, names in enumerate(LAYERS) for name in names}
    broken = []
    for module, targets in import_graph(package).items():
        layer = module.split(".")[0]
        if layer not in rank:
            broken.append(f"{module} is in no layer")
            continue

        broken += [
            f"{module} imports {target or 'the package itself'}"
            for target in sorted(targets)
            if target.split(".")[0] != layer
            and rank.get(target.split(".")[0], len(rank)) >= rank[layer]
        ]

    return broken


def import_cycles(package: Path) -> list[str]:
    """No module imports itself, however long the way round."""
    try:
        TopologicalSorter(import_graph(package)).prepare()
    except CycleError as error:
        return [" is imported by ".join(error.args[1])]

    return []


def impure_imports(package: Path) -> list[str]:
    """`policy` imports nothing that has a clock, chance, tasks or I/O."""
    return [
        f"{module} imports {name}"
        for module, name in foreign_imports(package)
        if in_policy(module) and name in IMPURE
    ]


def async_code(package: Path) -> list[str]:
    """`policy` never waits."""
    waiting = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    return [
        f"{module}:{node.lineno} waits"
        for module, tree in modules(package).items()
        if in_policy(module)
        for node in ast.walk(tree)
        if isinstance(node, waiting)
    ]


def direct_io(package: Path) -> list[str]:
    """`policy` does not use the builtins that do I/O."""
    return [
        f"{module}:{node.lineno} calls {node.func.id}"
        for module, tree in modules(package).items()
        if in_policy(module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"breakpoint", "input", "open", "print"}
    ]


def scattered_websocket(package: Path) -> list[str]:
    """One file imports trio_websocket, so that one file has to change if it must be replaced."""
    return [
        module
        for module, name in foreign_imports(package)
        if name == "trio_websocket" and module != "channels.websocket"
    ]


def long_files(package: Path) -> list[str]:
    """A file can be read in one sitting."""
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in package.rglob("*.py")}
    return [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > MAX_FILE]


def length(node: ast.stmt) -> int:
    """Return how many lines a statement takes."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def long_functions(package: Path) -> list[str]:
    """A function fits on a screen. Its docstring is not counted: no one should shorten that."""
    broken = []
    for module, tree in modules(package).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node) is not None
                lines = length(node) - (length(node.body[0]) if documented else 0)
                if lines > MAX_FUNCTION:
                    broken.append(f"{module}.{node.name}: {lines} lines")

    return broken


BROKEN: list[tuple[Law, dict[str, str], list[str]]] = [
    (upward_imports, {"abc": "from ._runtime import go"}, ["abc imports _runtime"]),
    (
        upward_imports,
        {"policy/a": "def f():\n import package.abc", "abc": ""},
        ["policy.a imports abc"],
    ),
    (upward_imports, {"channels/a": "from ..telemetry import b"}, ["channels.a imports telemetry"]),
    (upward_imports, {"abc": "from . import go"}, ["abc imports the package itself"]),
    (upward_imports, {"helpers": ""}, ["helpers is in no layer"]),
    (
        upward_imports,
        {"abc": "if TYPE_CHECKING:\n pass\nelse:\n from . import _runtime"},
        ["abc imports _runtime"],
    ),
    (
        import_cycles,
        {"policy/a": "from .b import x", "policy/b": "from . import a"},
        ["policy.a is imported by policy.b is imported by policy.a"],
    ),
    (impure_imports, {"policy/a": "import os.path"}, ["policy.a imports os"]),
    (impure_imports, {"policy/a": "from trio import sleep"}, ["policy.a imports trio"]),
    (async_code, {"policy/a": "async def f(): pass"}, ["policy.a:1 waits"]),
    (direct_io, {"policy/a": "\nprint(1)"}, ["policy.a:2 calls print"]),
    (scattered_websocket, {"_cli/a": "import trio_websocket"}, ["_cli.a"]),
    (long_functions, {"abc": "def f():\n" + " pass\n" * 50}, ["abc.f: 51 lines"]),
    (long_functions, {"abc": "def f():\n '''a\n'''\n" + " pass\n" * 49}, []),
]
"""Each law, a package that breaks it, and what is said of that."""


# --- The tests


@pytest.fixture
def write_package(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that makes a package of the folders that the layers name."""

    def write(sources: dict[str, str]) -> Path:
        package = tmp_path / "package"
        for folder in ("", "policy", "telemetry", "channels", "_runtime", "_cli"):
            (package / folder).mkdir()
            (package / folder / "__init__.py").touch()
        for module, source in sources.items():
            (package / f"{module}.py").write_text(source, encoding="utf-8")

        return package

    return write


@pytest.mark.parametrize(
    "law",
    [
        upward_imports,
        import_cycles,
        impure_imports,
        async_code,
        direct_io,
        scattered_websocket,
        long_files,
        long_functions,
    ],
)
def test_the_package_keeps_the_law(law: Law) -> None:
    """Nothing in the package breaks a law of its shape."""
    assert law(PACKAGE) == []


@pytest.mark.parametrize(("law", "sources", "said"), BROKEN)
def test_a_package_that_breaks_a_law_is_caught(
    law: Law,
    sources: dict[str, str],
    said: list[str],
    write_package: Callable[[dict[str, str]], Path],
) -> None:
    """A law tells which place breaks it, and nothing else."""
    assert law(write_package(sources)) == said


def test_a_long_file_is_caught(write_package: Callable[[dict[str, str]], Path]) -> None:
    """A file of one line too many breaks the law."""
    package = write_package({"abc": "\n" * (MAX_FILE + 1), "testing": "\n" * MAX_FILE})

    assert long_files(package) == [f"{package / 'abc.py'}: 401 lines"]


def test_imports_for_type_checkers_do_not_count(
    write_package: Callable[[dict[str, str]], Path],
) -> None:
    """A contract may name what is above it for type checkers."""
    package = write_package({"abc": "if TYPE_CHECKING:\n from ._runtime import go"})

    assert upward_imports(package) == []


def test_imports_downwards_and_within_a_folder_are_fine(
    write_package: Callable[[dict[str, str]], Path],
) -> None:
    """What the layers allow is not reported."""
    package = write_package(
        {
            "_runtime/a": "from ..policy import b\nfrom .c import d\nimport package.abc",
            "_runtime/c": "",
            "policy/b": "from .._exceptions import e",
            "_exceptions": "",
            "abc": "",
            "_cli/f": "from package import open_runtime",
        }
    )

    assert upward_imports(package) == []


def test_the_map_of_the_policies_names_every_one() -> None:
    """It is what a reader begins with, and nothing on it is gone."""
    here = {path.stem for path in (PACKAGE / "policy").glob("[!_]*")}
    map_ = ast.get_docstring(ast.parse((PACKAGE / "policy/__init__.py").read_text("utf-8"))) or ""

    assert set(re.findall(r"`(\w+)`", map_)) == here


def test_the_tests_of_the_policies_need_no_trio() -> None:
    """What is pure is tested without an event loop."""
    users = [
        path.name
        for path in sorted((TESTS / "policy").glob("*.py"))
        for name in imported_names(TESTS, "policy", ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] in {"trio", "pytest_trio"}
    ]

    assert users == []
