"""The shape of the package, read from its syntax trees: who imports whom, who may start threads, how long files are."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llm_testing"
LAYERS = [
    {"ui", "api", "cli"},
    {"service"},
    {"estimate"},
    {"train"},
    {"model", "data"},
    {"hub"},
    {"jobs"},
    {"store"},
    {"config"},
    {"errors"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ONLY_IN = {
    "gradio": {"ui"},
    "plotly": {"ui"},
    "fastapi": {"api"},
    "starlette": {"api"},
    "torch": {"model", "data", "train", "estimate"},
    "transformers": {"model"},
    "peft": {"model"},
    "bitsandbytes": {"model", "train"},
}
OPTIONAL = {"gguf", "liger_kernel", "tensorboard"}
"""What is used where it is installed, and said to be off where it is not."""
STARTS_THREADS = {"Thread", "Timer", "ThreadPoolExecutor", "ThreadPool", "start_new_thread", "ProcessPoolExecutor"}
SOURCES = sorted(PACKAGE.rglob("*.py"))
assert SOURCES


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def layer_of(path: Path) -> str:
    """`service` of llm_testing/service/lab.py, `errors` of llm_testing/errors.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_point_right_only_and_siblings_do_not_import_each_other():
    wrong = []
    for path in SOURCES:
        layer = layer_of(path)
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] != "llm_testing" or len(parts) < 2 or layer in ("__main__", "__init__"):
                continue
            if parts[1] != layer and RANK[parts[1]] <= RANK[layer]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_every_file_belongs_to_a_layer():
    assert {layer_of(path) for path in SOURCES} <= RANK.keys() | {"__init__", "__main__"}


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_third_party_package_is_imported_only_where_it_belongs(package: str):
    found = {layer_of(path) for path in SOURCES if any(name.split(".")[0] == package for name in imports_of(path))}
    assert found <= ONLY_IN[package]


def test_every_package_that_is_imported_is_pinned():
    """What only comes along with another package may leave with its next version."""
    pins = {
        line.split("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line
    }
    other_names = {"yaml": "pyyaml", "annotated_types": "annotated-types", "pydantic_core": "pydantic"}
    found = {name.split(".")[0] for path in [*SOURCES, ROOT / "app.py"] for name in imports_of(path)}
    packages = found - sys.stdlib_module_names - {"llm_testing", "__future__"} - OPTIONAL
    assert {other_names.get(name, name) for name in packages} <= pins


def test_torch_stays_out_of_the_estimators_figures():
    """Only the half of estimate that traces may use torch."""
    found = [
        path.name
        for path in SOURCES
        if layer_of(path) == "estimate" and "torch" in {name.split(".")[0] for name in imports_of(path)}
    ]
    assert all("trace" in name for name in found)


def test_one_module_starts_threads():
    found = set()
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            called = node.func if isinstance(node, ast.Call) else None
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
            if name in STARTS_THREADS:
                found.add(path.relative_to(PACKAGE).as_posix())
    assert len(found) == 1, found
    assert all(name.startswith("jobs/") for name in found)


def test_files_stay_short():
    long = {path.name: count for path in SOURCES if (count := len(path.read_text(encoding="utf-8").splitlines())) > 500}
    assert long == {}


def test_no_module_keeps_state():
    """A module-level name is a constant: never rebound by `global`, and no empty container waiting to be filled."""
    wrong = []
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Global):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} global {', '.join(node.names)}")
        for node in tree_of(path).body:
            value = getattr(node, "value", None)
            empty = isinstance(value, ast.Dict | ast.List | ast.Set) and not ast.unparse(value).strip("[]{}")
            if isinstance(node, ast.Assign | ast.AnnAssign) and empty:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert wrong == []


def test_nothing_reads_the_environment_at_import():
    """But for the entry point, which sets the threads' waiting before torch is imported."""
    wrong = []
    for path in SOURCES:
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
                continue
            reads = re.search(r"\b(environ|getenv)\b", ast.unparse(node))
            if reads and layer_of(path) != "__main__":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []


def test_the_page_starts_without_what_only_some_runs_need():
    """transformers, peft and bitsandbytes take seconds to import, which nobody should wait for who opens the page."""
    code = "import app, sys; print(*{'transformers', 'peft', 'bitsandbytes', 'datasets'} & sys.modules.keys())"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert (told.stdout.strip(), told.stderr) == ("", "")


def test_git_ignores_no_file_of_the_project():
    """A rule like `data/` in .gitignore would hide a folder of the package from every clone."""
    files = [p for folder in ("llm_testing", "tests", "benchmarks") for p in (ROOT / folder).rglob("*") if p.is_file()]
    files += [ROOT / "runs" / "README.md", ROOT / ".ci" / "run"]
    ours = [path for path in files if not {"__pycache__", ".ruff_cache", ".pytest_cache"} & set(path.parts)]
    told = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        input="\n".join(str(path.relative_to(ROOT)) for path in ours),
    )
    if told.returncode == 128:
        pytest.skip("this copy of the project is no git checkout")
    assert told.stdout.split() == []
