"""The Python of README and of every page of the site runs as it stands and prints what is shown.

The blocks of a page run in order in one namespace. What a block prints is shown by its comments
``# prints ...`` or by a block ``text`` right behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
RECIPES = ("explode", "vanish", "numpy", "pytorch")
FENCE = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^\s*(```|~~~)\s*(py|pycon)", re.MULTILINE)
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if PYTHON.search(page.read_text())
]


class Block(NamedTuple):
    line: int
    source: str
    shown: list[str]


def blocks_of(text: str) -> Iterator[Block]:
    fences = list(FENCE.finditer(text))
    for fence, after in zip(fences, [*fences, None][1:], strict=True):
        language, source = fence.groups()
        if language != "python":
            continue
        shown = re.findall(r"# prints (.*)", source)
        if after and after[1] == "text" and not text[fence.end() : after.start()].strip():
            shown += after[2].splitlines()
        yield Block(text[: fence.start(2)].count("\n"), source, shown)


def needs(text: str) -> list[str]:
    return [name for name in ("torch",) if f"\nimport {name}\n" in text]


def test_there_is_something_to_run() -> None:
    names = " ".join(page.name for page in PAGES)
    assert all(word in names for word in ("README", "index", *RECIPES))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(
    page: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = page.read_text()
    blocks = list(blocks_of(text))
    assert len(blocks) == len(PYTHON.findall(text)), "a block of Python that is not run"
    for module in needs(text):
        pytest.importorskip(module, reason=f"the page needs {module}")
    monkeypatch.chdir(tmp_path)  # for the files that pages write
    namespace: dict[str, object] = {"__name__": page.stem}
    for line, source, shown in blocks:
        code = compile("\n" * line + source, str(page), "exec")  # errors have the page's lines
        exec(code, namespace)
        printed = [row.rstrip() for row in capsys.readouterr().out.splitlines()]
        assert printed == shown, f"{page}, block of line {line}"
