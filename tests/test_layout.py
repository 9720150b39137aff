"""The rooms of the house: imports go down only, and what must answer at once imports no torch."""

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = {
    "utils": 1,
    "logger": 2,
    "settings": 2,
    "base": 3,
    "parse_config": 3.5,  # the trainer's options, base/trainer_options.py, are part of its face
    "data_loader": 4,
    "model": 4,
    "trainer": 4,
    "commands": 4,
    "train": 5,
    "test": 5,
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def files() -> list[Path]:
    rooms = [path for name in FLOORS for path in (ROOT / name).rglob("*.py")]
    return rooms + [ROOT / f"{name}.py" for name in FLOORS if (ROOT / f"{name}.py").exists()]


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """The rooms that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names & set(FLOORS)


def test_imports_go_down() -> None:
    climbing = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in files()
        for other in imports_of(path) - {room_of(path)}
        if FLOORS[other] >= FLOORS[room_of(path)]
    ]
    assert climbing == []


def test_what_a_project_changes_does_not_know_each_other() -> None:
    fourth = {"data_loader", "model", "trainer", "commands"}
    knowing = [path for path in files() if room_of(path) in fourth and imports_of(path) & (fourth - {room_of(path)})]
    assert knowing == []


def test_nothing_unpickles_or_runs_text() -> None:
    found = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                found += [f"{path}: {name}" for name in names if name in ("pickle", "marshal", "shelve", "dill")]
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called == "torch.load" and keywords.get("weights_only") != "True":
                found.append(f"{path}:{node.lineno}: torch.load without weights_only=True")
            if called.endswith("np.load") and keywords.get("allow_pickle") != "False":
                found.append(f"{path}:{node.lineno}: np.load without allow_pickle=False")
            if called in FORBIDDEN_CALLS:
                found.append(f"{path}:{node.lineno}: {called}")
    assert found == []


def test_the_face_of_the_command_line_imports_no_torch() -> None:
    program = "import sys, parse_config, train; sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_what_one_reads_first_stays_readable() -> None:
    read = [
        ROOT / "train.py",
        ROOT / "parse_config.py",
        *(ROOT / "base").glob("*.py"),
        ROOT / "trainer" / "trainer.py",
        ROOT / "trainer" / "evaluate.py",
    ]
    lines = sum(map(lines_of_code, read))
    assert lines <= 920, lines


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank, nor comments, nor docstrings."""
    text = path.read_text(encoding="utf-8")
    documented = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in silent]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - documented)


def test_the_loop_is_on_one_screen() -> None:
    tree = ast.parse((ROOT / "trainer" / "trainer.py").read_text(encoding="utf-8"))
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in ("_train_epoch", "_train_step")
    }
    assert set(lengths) == {"_train_epoch", "_train_step"}
    assert sum(lengths.values()) <= 60, lengths
