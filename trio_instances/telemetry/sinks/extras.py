"""What is said where a package that only one sink needs is missing."""

from __future__ import annotations


def not_installed(what: str, extra: str, missing: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error that names the way out.

    Args:
        what: What needs the package.
        extra: The extra of this distribution that brings it.
        missing: What Python said.
    """
    text = f"{what}: {missing}; it comes with the extra: pip install 'trio-instances[{extra}]'"
    return ModuleNotFoundError(text, name=missing.name)
