"""Lets the reference find what the library says about its public names.

A public name says that it lives where a user imports it from, and its source is elsewhere. So what
is written below its fields is looked for in the wrong file, and what other texts call by its short
name has no address. Both are mended here.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, get_origin

import attrs
from docutils import nodes
from sphinx.addnodes import desc_annotation, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext import napoleon
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import ExtensionMetadata

import trio_instances

MAX_DEFAULT = 60
"""Characters of a default, or of a value, that a signature shows."""

_DOCSTRING = "autodoc-process-docstring"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Mend what stands between the source and the reference."""
    app.add_config_value("only_made_by_the_library", frozenset(), "env", types=frozenset)
    app.setup_extension("sphinx.ext.napoleon")
    for listener in list(app.events.listeners[_DOCSTRING]):
        if listener.handler is napoleon._process_docstring:  # noqa: SLF001 - to leave some out
            app.disconnect(listener.id)
    app.connect(_DOCSTRING, _prepare)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-process-bases", _hide_bases)
    app.connect("doctree-read", _hide_what_nobody_reads)
    app.connect("builder-inited", _tell_where_names_are_described)
    app.connect("missing-reference", _find_by_short_name)
    return {"parallel_read_safe": True}


def modules() -> Iterator[ModuleType]:
    """Yield the package and every module in it."""
    yield trio_instances
    for found in pkgutil.walk_packages(trio_instances.__path__, "trio_instances."):
        if found.name.endswith("__main__"):
            continue
        # Some parts of the test kit need what only tests have.
        try:
            module = import_module(found.name)
        except ModuleNotFoundError:
            continue
        yield module


# --- Docstrings


def _prepare(
    app: Sphinx,
    what: Any,
    name: str,
    thing: object,
    options: object,
    lines: list[str],
) -> None:
    if what == "module":
        # The rest is a map of its files, for those who work on them.
        del lines[1:]
    elif what not in {"attribute", "data"}:
        # Of a field's sentence it would take all before a colon for the name of a type.
        what = "method" if what == "property" else what
        napoleon._process_docstring(app, what, name, thing, options, lines)  # noqa: SLF001 - as above


# --- Signatures


def _shorten(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: object,
    args: str,
    returns: str | None,
) -> tuple[str, str | None]:
    if what != "class":
        return args, _as_context_manager(thing, returns)
    if name.rpartition(".")[2] in app.config.only_made_by_the_library:
        return "", ""

    for field in attrs.fields(thing) if attrs.has(thing) else ():
        args = args.replace(f"= attr_dict['{field.name}'].default", f"= {_in_short(field.default)}")
    return args, returns


def _as_context_manager(function: Any, returns: str | None) -> str | None:
    """Say what a decorated generator is for its caller."""
    written = inspect.unwrap(function)
    if returns and written is not function and inspect.isasyncgenfunction(written):
        return returns.replace("AsyncIterator", "AbstractAsyncContextManager", 1)
    if returns and written is not function and inspect.isgeneratorfunction(written):
        return returns.replace("Iterator", "AbstractContextManager", 1)

    return returns


def _in_short(default: object) -> str:
    if isinstance(default, Enum):
        return f"{type(default).__name__}.{default.name}"
    if attrs.has(type(default)) and default == _made_bare(type(default)):
        return f"{type(default).__name__}()"

    text = repr(default)
    return text if len(text) < MAX_DEFAULT and "<" not in text else "..."


def _made_bare(cls: type) -> object:
    try:
        return cls()
    except TypeError:
        return None


def _hide_bases(app: Sphinx, name: str, thing: object, options: object, bases: list[Any]) -> None:
    shown = [base for base in bases if "._" not in base.__module__ and get_origin(base) is None]
    bases[:] = shown or [object]


def _hide_what_nobody_reads(app: Sphinx, doctree: nodes.document) -> None:
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if paragraph.astext() == "Bases: object":
            paragraph.parent.remove(paragraph)
    for value in list(doctree.findall(desc_annotation)):
        if value.astext().startswith(" = ") and len(value.astext()) > MAX_DEFAULT:
            value.parent.remove(value)


# --- Where a public name is described


def _tell_where_names_are_described(app: Sphinx) -> None:
    everything = list(modules())
    analyzers = {
        module.__name__: ModuleAnalyzer.for_module(module.__name__) for module in everything
    }
    for analyzer in analyzers.values():
        analyzer.analyze()
    for home in everything:
        for name in getattr(home, "__all__", ()):
            for source in everything:
                told = analyzers[source.__name__]
                here = name in told.tags or ("", name) in told.attr_docs
                if here and vars(source).get(name) is vars(home)[name]:
                    _copy(name, told, analyzers[home.__name__])


def _copy(name: str, told: ModuleAnalyzer, asked: ModuleAnalyzer) -> None:
    if told is asked:
        return
    mine = {(name, field) for owner, field in told.attr_docs if owner == name} | {("", name)}
    asked.attr_docs |= {key: text for key, text in told.attr_docs.items() if key in mine}
    asked.annotations |= {key: text for key, text in told.annotations.items() if key[0] == name}
    asked.tagorder |= {
        key: place for key, place in told.tagorder.items() if key.split(".")[0] == name
    }


# --- What a text means by a short name


def _find_by_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    if node.get("refdomain") != "py":
        return None

    known = env.domains.python_domain.objects
    target, within = node["reftarget"], node.get("py:class")
    owner, _, last = target.rpartition(".")  # a member of an enum is told of by its class
    for wanted in (f"{within}.{target}", target, last, owner):
        found = [name for name in known if name.endswith(f".{wanted}")]
        if len(found) == 1:
            entry = known[found[0]]
            uri = app.builder.get_relative_uri(node["refdoc"], entry.docname)
            address = f"{uri}#{entry.node_id}"
            return nodes.reference("", "", content, internal=True, refuri=address)

    # A type in a signature that nobody needs to import; that what they do is in the reference, a
    # test says. An argument of the function that the text is about, or a place within the house.
    unlinked = node["reftype"] == "class" or (node["reftype"] == "obj" and target.islower())
    return content if unlinked else None
