"""The command that measures: all of it, on a workload that takes no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.harness.against import package_at
from benchmarks.harness.command import command_for, runs_against
from benchmarks.harness.rounds import load


def test_one_workload_is_measured_shown_and_kept(tmp_path: Path) -> None:
    """As a table, as JSON, and with a value for each round."""
    to = tmp_path / "found.json"
    options = ["--rounds", "2", "--size", "5", "--json", str(to)]
    found = CliRunner().invoke(command_for(["snapshots"]), options)

    assert found.exit_code == 0, found.output
    assert "5 snapshots of an instance" in found.output
    (workload,) = json.loads(to.read_text(encoding="utf-8"))["workloads"]
    assert len(workload["samples"]["trio_instances"]) == 2


def test_plots_are_drawn_of_each_workload(tmp_path: Path) -> None:
    """Where matplotlib is installed."""
    pytest.importorskip("matplotlib")
    options = ["--rounds", "1", "--size", "5", "--plots", str(tmp_path)]
    found = CliRunner().invoke(command_for(["snapshots"]), options)

    assert found.exit_code == 0, found.output
    assert (tmp_path / "benchmark-snapshots.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_can_be_read_on_a_light_page_and_on_a_dark_one(tmp_path: Path) -> None:
    """It has no background, and all that is drawn stands out from white and from black."""
    image = pytest.importorskip("matplotlib.image")
    options = ["--rounds", "1", "--size", "5", "--plots", str(tmp_path)]
    CliRunner().invoke(command_for(["snapshots"]), options)
    picture = image.imread(tmp_path / "benchmark-snapshots.png")
    drawn = picture[picture[..., 3] > 0.99][:, :3].mean(axis=1)

    assert picture[0, 0, 3] == 0.0
    assert 0.3 < drawn.min() <= drawn.max() < 0.7


def test_an_unknown_workload_is_refused() -> None:
    """With those that there are."""
    found = CliRunner().invoke(command_for(["snapshots"]), ["speed"])

    assert found.exit_code == 2
    assert "'snapshots'" in found.output


def test_another_revision_is_measured_with_the_package_that_it_had() -> None:
    """It is laid out apart, and gone afterwards."""
    with package_at("HEAD") as path:
        assert (path / "trio_instances" / "__init__.py").is_file()
        runs = runs_against(load("snapshots"), 5, path, "HEAD")
        assert list(runs) == ["trio_instances", "trio_instances at HEAD"]
        assert runs["trio_instances at HEAD"]()["snapshot"] > 0
    assert not path.exists()


def test_a_revision_that_is_none_is_refused() -> None:
    """In git's own words."""
    with pytest.raises(SystemExit, match="no-such-revision"), package_at("no-such-revision"):
        pass
