"""Settings of the documentation site: ``sphinx-build docs site``.

The pages are Markdown that reads as well where the repository is browsed. What the site adds is the
reference, which is made from the docstrings.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "trio_instances"
author = "The trio_instances authors"
copyright = author  # noqa: A001 - the name that Sphinx reads
version = release = version_of("trio-instances")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "front_page",
    "public_names",
]
exclude_patterns = ["_build"]

# --- Markdown -------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
"""Links such as ``deploying.md#systemd`` work down to headings of this depth."""

# --- The reference --------------------------------------------------------------------------------

autodoc_default_options = {
    "members": True,
    # But not those of classes that everybody knows, and what every event has only once.
    "inherited-members": "ABC,BaseException,ChildEvent,Enum,Event,Generic,ReprEnum,Sink,str",
    "no-value": True,
    "show-inheritance": True,
}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
default_role = "py:obj"

only_made_by_the_library = frozenset(
    {
        "Child",
        "ChildInfo",
        "Gateway",
        "GatewayClient",
        "Instance",
        "Listening",
        "MemoryConnection",
        "Runtime",
        "SinkFeed",
        "StallWatch",
        "Subscription",
        "Supervisor",
        "WebSocketConnection",
    }
)
"""Classes whose constructors are nobody's affair."""

nitpicky = True
# Others' documentation is not fetched: the site is built without a network.
nitpick_ignore_regex = [("py:.*", r"(ssl|trio)\..*")]

# --- Looks ----------------------------------------------------------------------------------------

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"trio_instances {release}"
