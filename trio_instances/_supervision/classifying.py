"""What a failure means: by the rules of whoever was asked, and by ours where those fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..policy.causes.defaults import classify_failure
from ..policy.failures import Cause, Classify, flatten, merge_causes, stated_cause

if TYPE_CHECKING:
    from .reporter import Reporter


def cause_of(classify: Classify, reporter: Reporter, path: str, error: Exception) -> Cause:
    """Classify a failure, leaf by leaf where it is a group.

    A leaf that states its cause is not asked about. A `classify` that fails itself is reported, and
    the library's own rules are used.

    Args:
        classify: The user's rules.
        reporter: Who is told when these fail.
        path: Whose failure it is.
        error: What was raised.
    """
    if classify is classify_failure:
        return classify_failure(error)  # which does all of this itself, and never fails
    if not isinstance(error, ExceptionGroup):
        return _cause_of_leaf(classify, reporter, path, error)

    leaves = flatten(error)
    return merge_causes(_cause_of_leaf(classify, reporter, path, leaf) for leaf in leaves)


def _cause_of_leaf(classify: Classify, reporter: Reporter, path: str, leaf: BaseException) -> Cause:
    stated = stated_cause(leaf)
    if stated is not None:
        return stated

    try:
        cause = classify(cast("Exception", leaf))
    except Exception as broken:
        reporter.hook_failed("classify", path, broken)
        return classify_failure(leaf)

    if isinstance(cause, Cause):
        return cause

    rubbish = TypeError(f"classify returned {cause!r}, not a Cause")
    reporter.hook_failed("classify", path, rubbish)
    return classify_failure(leaf)
