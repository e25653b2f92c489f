"""The rules of the house (design §2), kept by reading the source: imports, transactions, names."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.nouns import NOUNS, evidence_tables
from ledger.store import Base

ROOT = Path(__file__).parents[1]
TOPS = ("valuation", "ledger", "webapp", "contracts", "migrations")
FILES = sorted(path.relative_to(ROOT) for top in TOPS for path in (ROOT / top).rglob("*.py"))
FILES = [path for path in FILES if "node_modules" not in path.parts]
SOURCES = {path: (ROOT / path).read_text() for path in FILES}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}
MODULES = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
ETHEREUM = {"web3", "eth_account", "eth_keys", "eth_utils", "eth_abi", "rlp", "eth", "eth_tester"}
FOUNDATION = {"ledger.proof", "ledger.store", "ledger.errors"}
MONEY = ("ledger/trading.py", "ledger/revenue.py", "ledger/books.py", "valuation/money.py",
         "valuation/sharing.py")  # fmt: skip

# Known offenders, each with what would mend it; this list can only shrink.
TOLERATED: set[str] = set()


def below(*names: str) -> list[Path]:
    """The files of a folder or a file, given as text."""
    return [path for path in FILES if any(path.as_posix().startswith(name) for name in names)]


def imported(path: Path) -> Iterator[str]:
    """The modules a file imports, wherever in it; a name imported from a package may be a module."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            modules = [f"{node.module}.{a.name}" for a in node.names]
            found = [name for name in modules if name in MODULES]
            yield from found
            if len(found) < len(modules):
                yield node.module


def top(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def offenders(*faults: Iterator[str]) -> list[str]:
    return sorted({fault for some in faults for fault in some})


def imports_beyond(paths: list[Path], allowed: set[str]) -> Iterator[str]:
    """Our own imports that are not in `allowed` (a module or a package)."""
    for path in paths:
        for module in imported(path):
            ours = top(module) in (*TOPS, "tests")
            fits = any(module == one or module.startswith(one + ".") for one in allowed)
            if ours and not fits:
                yield f"{path.as_posix()} imports {module}"


def third_party(paths: list[Path], allowed: set[str]) -> Iterator[str]:
    """Imports that are neither the standard library's, nor ours, nor in `allowed`."""
    for path in paths:
        for module in imported(path):
            name = top(module)
            if name not in sys.stdlib_module_names and name not in {*TOPS, *allowed}:
                yield f"{path.as_posix()} imports {module}"


# ---------------------------------------------------------------- imports point down only


def test_imports_point_down_from_webapp_to_ledger_to_valuation() -> None:
    assert not offenders(
        imports_beyond(below("valuation/"), {"valuation"}),
        imports_beyond(below("ledger/"), {"ledger", "valuation", "contracts"}),
        imports_beyond(below("contracts/"), {"contracts"}),
        imports_beyond(below("webapp/"), {"webapp", "ledger", "valuation", "contracts"}),
        # the site has tables of its own, and they come about as all others do
        imports_beyond(
            below("migrations/"),
            {"ledger", "migrations", "webapp.accounts", "webapp.drafts", "webapp.jobs"},
        ),
    )


def test_the_ledger_knows_the_compiled_contracts_only_in_its_chain() -> None:
    users = [p for p in below("ledger/") if any(top(m) == "contracts" for m in imported(p))]
    assert all(path.as_posix().startswith("ledger/chain/") for path in users)


def test_inside_the_ledger_the_chain_and_the_proofs_know_no_noun() -> None:
    assert not offenders(
        imports_beyond(below("ledger/proof/"), {"ledger.proof", "ledger.errors"}),
        imports_beyond(below("ledger/chain/"), {"ledger.chain", "contracts", *FOUNDATION}),
        imports_beyond(below("ledger/log.py"), FOUNDATION),
        imports_beyond(below("ledger/store.py"), {"ledger.proof", "ledger.errors"}),
        imports_beyond(below("ledger/errors.py"), set()),
        imports_beyond(below("ledger/states.py"), {"ledger.errors"}),
        imports_beyond(below("ledger/calendar.py"), set()),
    )


def test_no_two_modules_import_each_other() -> None:
    graph = {m: {i for i in imported(p) if i in MODULES} for m, p in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way[way.index(module) :], module))
        if module in done:
            return
        for one in sorted(graph[module]):
            # a package that imports its own members is no circle of modules
            if not (MODULES[one].name == "__init__.py" and module.startswith(one + ".")):
                visit(one, (*way, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_ledger_and_what_is_below_never_see_the_web() -> None:
    web = {"flask", "werkzeug", "jinja2", "click", "rich", "wtforms", "flask_smorest", "granian"}
    assert not [
        f"{path}: {module}"
        for path in below("ledger/", "valuation/", "contracts/__init__.py")
        for module in imported(path)
        if top(module) in web
    ]


def test_only_the_chain_package_speaks_ethereum() -> None:
    found = (
        f"{path.as_posix()} imports {module}"
        for path in below("ledger/", "webapp/", "valuation/")
        if not path.as_posix().startswith("ledger/chain/")
        for module in imported(path)
        if top(module) in ETHEREUM
    )
    faults = set(found)
    assert not faults - TOLERATED
    assert not TOLERATED - faults, "mended: take it off the list"


def test_valuation_needs_the_standard_library_and_numpy_only() -> None:
    assert not offenders(third_party(below("valuation/"), {"numpy"}))


def test_a_verifier_needs_the_standard_library_and_cryptography_only() -> None:
    assert not offenders(third_party(below("ledger/proof/", "ledger/errors.py"), {"cryptography"}))


# ---------------------------------------------------------------- names


def test_no_file_is_called_by_what_says_nothing() -> None:
    empty = re.compile(r"utils?|managers?|helpers?|base|common|misc|tools?|core|handlers?", re.I)
    paths = [*FILES, *(p.relative_to(ROOT) for p in (ROOT / "tests").rglob("*.py"))]
    assert not [
        path.as_posix()
        for path in paths
        for word in re.split(r"[_.]", path.stem)
        if empty.fullmatch(word)
    ]


def test_every_evidence_table_names_its_subject_and_every_table_its_plural() -> None:
    for table in evidence_tables():
        assert vars(table)["subject_type"], table
    names = [table.name for table in Base.metadata.sorted_tables]
    singular = {"log_head"}
    assert all(name.endswith("s") for name in set(names) - singular)


def test_every_module_with_tables_is_among_the_nouns() -> None:
    """The rest are the store, on which they stand, and what the site keeps, which migrations name."""
    site = {m for m in imported(Path("migrations/env.py")) if top(m) == "webapp"}
    ours = {
        m for m, path in MODULES.items() if re.search("^ +__tablename__ = ", SOURCES[path], re.M)
    }
    assert ours == {"ledger.store", *(noun.__name__ for noun in NOUNS), *site}


# ---------------------------------------------------------------- transactions and time


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Each call of a file as (line, dotted name)."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


LEDGER_ONLY = below("ledger/", "valuation/", "contracts/__init__.py")


def test_nobody_below_webapp_begins_or_ends_a_transaction() -> None:
    """`begin_nested` is allowed; the chain's own file (`chainfile`) is its node's, not the ledger's."""
    ends = re.compile(r"(session|connection|engine)\.(commit|rollback|begin)$")
    own_database = "ledger/chain/chainfile.py"
    assert not [
        f"{path}:{line} {name}"
        for path in LEDGER_ONLY
        if path.as_posix() != own_database
        for line, name in calls(path)
        if ends.search(name)
    ]


def test_nobody_below_webapp_asks_what_time_it_is() -> None:
    """`now` is passed in; the node under `ledger/chain` may, and so may a verifier on his machine."""
    clocks = re.compile(r"(^|\.)(now|utcnow|today|time\.time|localtime|gmtime)$")
    may = ("ledger/chain/", "ledger/proof/verify.py")
    assert not [
        f"{path}:{line} {name}"
        for path in LEDGER_ONLY
        if not path.as_posix().startswith(may)
        for line, name in calls(path)
        if clocks.search(name)
    ]


# ---------------------------------------------------------------- money


@pytest.mark.parametrize("name", MONEY)
def test_no_float_comes_near_money(name: str) -> None:
    path = Path(name)
    found = [
        f"{name}:{node.lineno}"
        for node in ast.walk(TREES[path])
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "float")
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and name.startswith("led"))
    ]
    assert not found


# ---------------------------------------------------------------- what a stranger may read


def tracked() -> list[Path]:
    """What git tracks, or would track of what lies here."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# Put together here, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    "pypi" + ".org", "files.python" + "hosted.org", "registry.npm" + "js.org", "registry." + "yarn",
    "npm" + "mirror.com", "crates" + ".io", "proxy.golang" + ".org", "tuna." + "tsinghua",
    "mirrors." + "aliyun", "docker" + ".io", "artifact" + "ory", "nexus" + "/repository",
]  # fmt: skip
MACHINE_PATHS = re.compile(
    "(?<![\\w.<$}/-])/" + "(home|root|Users|work|tmp/bash)/" + "[A-Za-z0-9_.-]+"
)


def test_no_registry_and_no_machine_s_path_stands_in_a_tracked_file() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.split("\n"), start=1):
            host = next((one for one in REGISTRY_HOSTS if one in line), None)
            place = MACHINE_PATHS.search(line)
            if host or place:
                found.append(f"{path.relative_to(ROOT)}:{number} {host or place}")
    assert not found, "\n".join(found)


# ---------------------------------------------------------------- docstrings

SHORT_LINES = 6
"""A public function this short says by its name and types what it does."""


NAMED_BY_A_LIBRARY = {
    "do_POST",
    "do_OPTIONS",
    "process_request",
    "is_connected",
    "construct_mapping",
}


def undocumented() -> Iterator[str]:
    """Public functions, and methods of public classes, of more than a few lines and no docstring."""
    for path in below("ledger/", "valuation/", "webapp/"):
        nodes = list(TREES[path].body)
        nodes += [
            inner
            for node in nodes
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            for inner in node.body
        ]
        for node in nodes:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            lines = (node.body[-1].end_lineno or 0) - node.body[0].lineno + 1
            quiet = lines <= SHORT_LINES or node.name.startswith("_") or tells(node)
            if not quiet and node.name not in NAMED_BY_A_LIBRARY:
                yield f"{path.as_posix()}:{node.lineno} {node.name} ({lines} lines)"


def tells(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether it has a docstring, or begins by telling the user in a sentence what it does."""
    return bool(ast.get_docstring(node)) or ast.unparse(node.body[0]).startswith("self.head(")


# Known and the lead's to mend; this list can only shrink.
UNDOCUMENTED: set[str] = set()


def test_every_public_function_longer_than_a_few_lines_says_what_is_so() -> None:
    found = {re.sub(r":\d+| \(\d+ lines\)", "", one): one for one in undocumented()}
    assert not set(found) - UNDOCUMENTED, "\n".join(sorted(found.values()))
    assert not UNDOCUMENTED - set(found), "mended: take it off the list"


def test_every_module_says_what_it_is_about() -> None:
    assert not [
        path.as_posix() for path, tree in TREES.items() if tree.body and not ast.get_docstring(tree)
    ]
