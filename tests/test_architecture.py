"""Imports point one way, and what is heavy is imported where it is needed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "capgen"
LEAVES = (
    *("errors", "config", "records", "file_types", "overwriting", "paths", "lazy_names"),
    *("addresses", "digests", "ending_signals", "json_files", "known_fields", "locks"),
    *("temporary_files", "file_attributes", "undo", "undo_file", "retry_after", "text_encoding"),
    *("available_memory", "control_groups", "http_server", "cache_folders", "garbage_collector"),
)

# What each part may import of capgen, besides itself. Parts are folders of the package or
# modules beside them.
ALLOWED: dict[str, tuple[str, ...]] = {
    "errors": LEAVES,
    "config": LEAVES,
    "records": LEAVES,
    "file_types": LEAVES,
    "overwriting": LEAVES,
    "paths": LEAVES,
    "lazy_names": LEAVES,
    "digests": LEAVES,
    "json_files": LEAVES,
    "known_fields": LEAVES,
    "locks": LEAVES,
    "ending_signals": LEAVES,
    "addresses": LEAVES,
    "retry_after": LEAVES,
    "http_server": LEAVES,
    "text_encoding": LEAVES,
    "temporary_files": LEAVES,
    "file_attributes": LEAVES,
    "undo": LEAVES,
    "undo_file": LEAVES,
    "available_memory": LEAVES,
    "control_groups": LEAVES,
    "cache_folders": LEAVES,
    "garbage_collector": LEAVES,
    "hub_client": LEAVES,
    "images": LEAVES,
    "storage": LEAVES,
    "metrics": LEAVES,
    "tables": (*LEAVES, "storage"),
    "reviews": (*LEAVES, "tables"),
    "models": (*LEAVES, "hub_client"),
    "data": (*LEAVES, "hub_client", "images", "pages", "tables", "reviews"),
    "output": (*LEAVES, "images", "pages", "tables", "storage"),
    "pages": (*LEAVES, "images"),
    "captioning": (
        *(*LEAVES, "images", "tables", "models", "storage"),
        *("metrics.synonyms", "metrics.function_words"),
    ),
    "applying": (*LEAVES, "images", "output", "reviews"),
    # Alternative texts of a site's images.
    "alt_text": (*LEAVES, "images", "captioning"),
    "explain": (*LEAVES, "images", "output", "captioning", "pages"),
    "evaluation": (
        *(*LEAVES, "images", "metrics", "models", "data", "pages", "captioning", "explain"),
        *("reviews", "tables"),
    ),
    "training": (*LEAVES, "images", "metrics", "tables", "models", "data", "pages", "captioning"),
    # The local server that `capgen review` runs, and its page.
    "review_page": (
        *(*LEAVES, "images", "pages", "tables", "output", "reviews", "captioning", "explain"),
        *("metrics.people", "models.resolve"),
    ),
    # The HTTP service that `capgen serve` runs.
    "service": (*LEAVES, "images", "models", "captioning"),
    # Many machines: parts of a list, and engines that caption them.
    "distributed": (*LEAVES, "storage", "tables", "images", "models", "output", "captioning"),
    "hub": (*LEAVES, "hub_client", "images", "models", "data", "captioning"),
    "registry": (*LEAVES, "hub_client", "models", "pages", "captioning", "evaluation"),
    "doctor": (
        *(*LEAVES, "hub_client", "metrics", "models", "data", "captioning", "hub", "registry"),
    ),
    "cli": (
        *(*LEAVES, "images", "metrics", "models", "data", "output", "captioning", "explain"),
        *("evaluation", "training", "hub", "registry", "doctor", "reviews", "review_page"),
        *("applying", "alt_text", "service", "storage", "distributed"),
    ),
    "_build": (
        *(*LEAVES, "images", "metrics", "models", "data", "captioning", "hub", "registry", "cli"),
    ),
    # The package itself names its public classes for type checkers; `__main__` runs the app.
    "__init__": (*LEAVES, "captioning", "evaluation", "explain"),
    "__main__": ("cli",),
}
HEAVY = ("torch", "transformers", "onnxruntime", "accelerate", "wandb", "onnx", "nltk", "jinja2")
# Where heavy libraries may be imported at the top of a module.
HEAVY_AT_TOP = ("models", "training", "_build")
# Modules within those that the CPU caption path imports: never torch there.
LIGHT = ("models/folder.py", "models/resolve.py", "models/preprocessing/preprocess.py")
LIGHT_TOO = (
    "models/fetch.py",
    "models/preprocessing/config_file.py",
    "models/safetensors_index.py",
    "models/__init__.py",
    *("models/run_events.py", "models/run_curves.py"),
)

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def part_of(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


@cache
def nodes_of(module: Path) -> list[ast.AST]:
    return list(ast.walk(tree_of(module)))


def imported(nodes: list[ast.AST]) -> set[str]:
    """Return the dotted names that import statements name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports within capgen are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def at_top(module: Path) -> list[ast.AST]:
    """Return the nodes that run when the module is imported (those for type checkers do not)."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(tree_of(module).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        found.append(node)
        waiting += ast.iter_child_nodes(node)
    return found


def test_the_table_knows_every_part() -> None:
    assert {part_of(module) for module in MODULES} <= set(ALLOWED)


def test_imports_point_one_way() -> None:
    wrong = [f"{module} imports {name}" for module in MODULES for name in not_allowed(module)]
    assert not wrong


def not_allowed(module: Path) -> list[str]:
    """Return the modules of other parts that a module imports, and may not."""
    part, found = part_of(module), []
    for name in imported(nodes_of(module)):
        if not name.startswith("capgen."):
            continue
        target = name.removeprefix("capgen.")
        first = target.split(".")[0]
        is_part = (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file()
        if first == part or not is_part:  # its own part, or a name of capgen/__init__.py
            continue
        if not any(target == may or target.startswith(f"{may}.") for may in ALLOWED[part]):
            found.append(name)
    return found


def test_the_map_of_the_modules_has_every_part() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    parts = {part_of(module) for module in MODULES} - {"__init__", "__main__"}
    assert parts == set(ALLOWED) - {"__init__", "__main__"}
    missing = [p for p in parts if not re.search(rf"`{p}(/|\.py)?`|\b{p}\b.*\(leaves\)", page)]
    assert not missing
    chain = re.search(r"```\n(cli → .*)\n```", page)
    assert chain is not None
    place = {
        name: number
        for number, group in enumerate(chain[1].split("→"))
        for name in re.findall(r"[a-z_]+", re.sub(r"\([a-z]+\)", "", group))
    }
    assert set(place) == parts - {"_build"}
    for part in place:
        for other in (name.split(".")[0] for name in ALLOWED[part]):
            assert place[other] >= place[part], f"{part} → {other} points back"


def imported_modules(module: Path) -> set[str]:
    """Return the modules of capgen that a module imports, anywhere in it, for types too."""
    names = imported(nodes_of(module))
    # `from capgen.x import y` may name a module or something in one.
    candidates = {n.removeprefix("capgen.") for n in names if n.startswith("capgen.")}
    return {
        found
        for name in candidates
        for found in (name, name.rpartition(".")[0])
        if (PACKAGE / f"{found.replace('.', '/')}.py").is_file()
    }


def test_modules_import_each_other_in_no_circle() -> None:
    def name_of(module: Path) -> str:
        return module.with_suffix("").as_posix().replace("/", ".")

    imports = {name_of(m): imported_modules(m) for m in MODULES if m.name != "__init__.py"}
    while True:
        free = {name for name, targets in imports.items() if not targets & imports.keys()}
        if not free:
            break
        imports = {name: targets for name, targets in imports.items() if name not in free}
    assert not imports, f"circles among {', '.join(sorted(imports))}"


def test_nothing_imports_the_command_line() -> None:
    for part, may in ALLOWED.items():
        assert "cli" not in may or part in ("__main__", "_build")  # which makes its reference


def test_leaves_import_leaves_only() -> None:
    for leaf in LEAVES:
        assert ALLOWED[leaf] == LEAVES


def test_heavy_libraries_are_imported_at_the_top_of_their_own_layers_only() -> None:
    heavy = {
        str(module): found
        for module in MODULES
        if not may_be_heavy(module)
        and (found := {name.split(".")[0] for name in imported(at_top(module))} & set(HEAVY))
    }
    assert not heavy


def may_be_heavy(module: Path) -> bool:
    if module.as_posix() in (*LIGHT, *LIGHT_TOO):
        return False
    heavy_name = module.name.startswith(("torch_", "onnx_")) or module.name.endswith("_runtime.py")
    return part_of(module) in HEAVY_AT_TOP or heavy_name


@pytest.mark.parametrize("name", ["onnx_runtime", "onnx_loading", "onnx_decoder"])
def test_the_cpu_runtime_imports_no_torch(name: str) -> None:
    found = imported(at_top(Path(f"captioning/runtimes/{name}.py")))
    assert not {name.split(".")[0] for name in found} & {"torch", "transformers", "onnx"}


def test_the_servers_are_imported_when_they_are_needed() -> None:
    servers = ("starlette", "uvicorn", "capgen.review_page", "capgen.service")
    wrong = [
        f"{module} imports {name} at the top"
        for module in MODULES
        if part_of(module) not in ("review_page", "service")
        for name in imported(at_top(module))
        if any(name == server or name.startswith(f"{server}.") for server in servers)
    ]
    assert not wrong


def test_no_module_imports_everything_of_another() -> None:
    stars = [m for m in MODULES if any(name.endswith(".*") for name in imported(nodes_of(m)))]
    assert not stars


# Packages whose module goes by another name.
MODULE_OF = {
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "markdown-it-py": "markdown_it",
}


# Modules that exist for an extra. Others import them where they are used.
FOR_AN_EXTRA = (
    *("models/onnx/decoder_graph.py", "models/onnx/export.py", "models/onnx/int8.py"),
    *("models/onnx/simplify.py", "training/tracking/tensorboard.py"),
)
# Extras of which modules may import packages; `dev` is for work on capgen itself.
OPTIONAL = (
    *("mini", "export", "heic", "lora", "parquet", "coco", "tensorboard", "datasets"),
    *("vlm", "quantize", "cloud", "ray"),
)


def modules_of(requirements: list[str]) -> set[str]:
    """Return the modules that packages bring, by the lines that ask for the packages."""
    packages = {re.split(r"[^\w.-]", line)[0].lower() for line in requirements}
    return {MODULE_OF.get(package, package.replace("-", "_")) for package in packages}


def foreign(nodes: list[ast.AST]) -> set[str]:
    """Return the modules that import statements name, apart from capgen's and Python's own."""
    names = {name.split(".")[0] for name in imported(nodes)}
    return names - set(sys.stdlib_module_names) - {"capgen", "__future__"}


def test_what_is_imported_is_a_declared_dependency() -> None:
    """What merely happens to be installed here is missing on a fresh machine."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extras = project["optional-dependencies"]
    assert {*OPTIONAL, "dev"} == set(extras), "another extra: may modules import it?"
    core = modules_of(project["dependencies"])
    optional = modules_of([line for extra in OPTIONAL for line in extras[extra]])
    at_once = tuple(f"capgen.{name.replace('/', '.').removesuffix('.py')}" for name in FOR_AN_EXTRA)
    for module in MODULES:
        assert foreign(nodes_of(module)) <= core | optional, module
        if module.as_posix().startswith((*FOR_AN_EXTRA, "_build/")):  # which is not shipped
            continue
        assert foreign(at_top(module)) <= core, f"{module} imports an extra at the top"
        named = {name for name in imported(at_top(module)) if name.startswith(at_once)}
        assert not named, f"{module} imports at the top what needs an extra"


FACADES = [module for module in MODULES if "lazy_names(" in (PACKAGE / module).read_text()]


def test_there_are_facades() -> None:
    assert {"__init__.py", "training/__init__.py"} <= {module.as_posix() for module in FACADES}


@pytest.mark.parametrize("module", [m for m in FACADES if m.name == "__init__.py"], ids=str)
def test_a_facade_names_the_same_things_thrice(module: Path) -> None:
    """For `import *` and the docs, on first use, and for type checkers."""
    tree = tree_of(module)
    switch = next(node for node in tree.body if isinstance(node, ast.If))
    assert "TYPE_CHECKING" in ast.unparse(switch.test)
    typed = {
        (node.module, alias.name)
        for node in switch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname in (None, alias.name)
    }
    call = next(node for node in ast.walk(ast.Module(switch.orelse, [])) if is_call(node))
    lazy = {
        (home, name) for home, names in ast.literal_eval(call.args[1]).items() for name in names
    }
    assert typed == lazy
    (public,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    at_once = {name.split(".")[-1] for name in imported(at_top(module))} | {"__version__"}
    assert len(set(public)) == len(public)
    assert {name for _, name in lazy} <= set(public) <= {name for _, name in lazy} | at_once


def is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_names"
