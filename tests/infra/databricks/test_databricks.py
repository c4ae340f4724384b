"""The bundle of infra/databricks, as far as it can be known without a workspace.

Checked: every variable is declared, used and set in each target; every job is one that the API knows, by each of its
members; the tasks' parameters are options and settings of the real commands; every file that is named is there. Not
checked: what the CLI itself says (`databricks bundle validate`), node types, permissions, and whether a cluster starts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service.jobs import JobSettings

from triplelake.cli.extract import extract_parser
from triplelake.cli.maintain import maintain_parser
from triplelake.config import load_settings

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "infra" / "databricks"
_VARIABLE = re.compile(r"\$\{([\w.]+)\}")
_KNOWN = {
    "bundle.name": "triplelake",
    "workspace.file_path": str(ROOT),  # what `sync` takes along keeps its place below it
    "workspace.current_user.userName": "somebody@example.com",
}
_TARGETS = ("dev", "prod")


def read(file: Path) -> dict[str, Any]:
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(tree, dict)
    return tree


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    """databricks.yml with what it includes."""
    tree = read(BUNDLE / "databricks.yml")
    files = [file for pattern in tree["include"] for file in BUNDLE.glob(pattern)]
    assert files
    for file in files:
        tree = {**tree, **read(file)}
    return tree


def strings(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from strings(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from strings(value)
    elif isinstance(tree, str):
        yield tree


def resolved(tree: Any, values: Mapping[str, Any]) -> Any:
    """A tree with its variables filled in; a string that is nothing but a variable takes its type."""
    if isinstance(tree, Mapping):
        return {name: resolved(value, values) for name, value in tree.items()}
    if isinstance(tree, list):
        return [resolved(value, values) for value in tree]
    if not isinstance(tree, str):
        return tree
    if whole := _VARIABLE.fullmatch(tree):
        return resolved(values[whole[1]], values)
    return _VARIABLE.sub(lambda match: str(resolved(values[match[1]], values)), tree)


def values_of(bundle: Mapping[str, Any], target: str) -> dict[str, Any]:
    defaults = {name: each["default"] for name, each in bundle["variables"].items() if "default" in each}
    chosen = defaults | bundle["targets"][target]["variables"]
    return {**_KNOWN, "bundle.target": target, **{f"var.{name}": value for name, value in chosen.items()}}


@pytest.fixture(params=_TARGETS)
def jobs(request: pytest.FixtureRequest, bundle: Mapping[str, Any]) -> dict[str, Any]:
    """The jobs of a target, without a variable."""
    found: dict[str, Any] = resolved(bundle["resources"]["jobs"], values_of(bundle, request.param))
    return found


def test_every_variable_is_declared_used_and_set(bundle: Mapping[str, Any]) -> None:
    used = {name for text in strings(bundle) for name in _VARIABLE.findall(text)}
    assert {name.removeprefix("var.") for name in used if name.startswith("var.")} == set(bundle["variables"])
    assert used - {f"var.{name}" for name in bundle["variables"]} <= {*_KNOWN, "bundle.target"}
    assert all(each["description"].endswith(".") for each in bundle["variables"].values())
    assert set(bundle["targets"]) == set(_TARGETS)
    for target in _TARGETS:
        assert used <= set(values_of(bundle, target)), target
        assert set(bundle["targets"][target]["variables"]) <= set(bundle["variables"])


def test_every_job_is_what_the_api_knows(jobs: Mapping[str, Any]) -> None:
    for name, job in jobs.items():
        # What the SDK does not know is lost on the way through it; an unknown value of an enumeration raises.
        assert JobSettings.from_dict(job).as_dict() == job, name


def test_the_scheduled_job_is_as_the_design_wants_it(jobs: Mapping[str, Any], bundle: Mapping[str, Any]) -> None:
    job = jobs["triplelake"]
    assert (job["max_concurrent_runs"], job["queue"]["enabled"]) == (1, True)
    assert job["health"]["rules"][0]["metric"] == "RUN_DURATION_SECONDS"
    assert len(job["schedule"]["quartz_cron_expression"].split()) == 6
    extract, maintain = job["tasks"]
    assert extract["max_retries"] > 0
    assert [each["task_key"] for each in maintain["depends_on"]] == [extract["task_key"]]
    [cluster] = job["job_clusters"]
    assert {task["job_cluster_key"] for task in job["tasks"]} == {cluster["job_cluster_key"]}
    assert cluster["new_cluster"]["data_security_mode"] == "DATA_SECURITY_MODE_DEDICATED"
    assert cluster["new_cluster"]["spark_version"].startswith("18.")
    key = cluster["new_cluster"]["spark_env_vars"]["TRIPLELAKE__API_KEY"]
    assert re.fullmatch(r"\{\{secrets/\w+/[\w-]+\}\}", key)
    modes = {name: target["mode"] for name, target in bundle["targets"].items()}
    assert modes == {"dev": "development", "prod": "production"}
    assert bundle["targets"]["prod"]["run_as"]["service_principal_name"]


def test_the_parameters_are_options_of_the_commands(jobs: Mapping[str, Any]) -> None:
    extract, maintain = (task["spark_python_task"] for task in jobs["triplelake"]["tasks"])
    for task, parser in ((extract, extract_parser()), (maintain, maintain_parser())):
        arguments = vars(parser.parse(task["parameters"]))
        file = arguments.pop("config")
        settings = load_settings(file, {k: v for k, v in arguments.items() if k in ("input", "output", "pool")}, {})
        assert settings.output == arguments["output"]
    assert extract["parameters"].count("--output") == maintain["parameters"].count("--output") == 1


def test_every_file_that_is_named_is_there(bundle: Mapping[str, Any]) -> None:
    synced = [(BUNDLE / path).resolve() for path in bundle["sync"]["paths"]]
    assert all(path.is_dir() for path in synced)
    for job in bundle["resources"]["jobs"].values():
        for task in job["tasks"]:
            script = task.get("spark_python_task", {}).get("python_file") or task["notebook_task"]["notebook_path"]
            file = (BUNDLE / "resources" / script).resolve()
            assert file.is_file(), script
            assert any(file.is_relative_to(path) for path in synced), f"{script} is not taken along"
            [library] = task["libraries"]
            assert (BUNDLE / "resources" / library["whl"]).parent.resolve() == ROOT / "dist"
    artifact = bundle["artifacts"]["wheel"]
    assert (BUNDLE / artifact["path"]).resolve() == ROOT
    _, script, *options = artifact["build"].split()
    assert (ROOT / script).is_file() and options == ["--wheel-only"]


def test_the_notebook_is_one_and_says_that_it_was_not_run() -> None:
    text = (BUNDLE / "smoke.py").read_text(encoding="utf-8")
    assert text.startswith("# Databricks notebook source\n")
    assert "was not run where it was written" in text
    called = {
        node.func.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert {"extract_command", "maintain_command"} <= called
