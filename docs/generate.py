"""What the site has of the package itself: a page for each optimizer, the demo, the pictures."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import shutil
from pathlib import Path

from typer.testing import CliRunner

import instep
from instep import cli

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAINTED = ("recipes/my-gradients-explode.md", "recipes/my-gradients-vanish.md")
"""Pages whose code draws the pictures that they show."""

INDEX = """# Optimizers

Names, defaults, formulas and the names of the state are torch's where torch has the optimizer, and
the paper's where it has not. What they share (groups, transforms, saving) is described with
[Optimizer](../api/optimizer.md).

| optimizer | what it is | state | paper |
|---|---|---|---|
{rows}

Each page is made from the docstring of its class, whose example the tests run.

```{{toctree}}
:hidden:

{pages}
```
"""
PAGE = """# {name}

| | |
|---|---|
| state of each parameter | {slots} |
| as a function on arrays | {{py:func}}`instep.functional.{function}` |
| the same in NumPy | `instep.reference.{function}` |

```{{eval-rst}}
.. currentmodule:: instep
.. autoclass:: instep.{name}
   :no-show-inheritance:
```

Groups, {{py:meth}}`~instep.Optimizer.step`, {{py:meth}}`~instep.Optimizer.accumulate` and saving
are those of {{py:class}}`instep.Optimizer`.
"""


def everything(docs: Path) -> None:
    """Write all that is generated, anew."""
    for folder in (docs / "optimizers", docs / "_generated"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    optimizers(docs / "optimizers")
    demo(docs / "_generated")
    for page in PAINTED:
        paint(docs / page, docs / "_generated")


def optimizers(folder: Path) -> None:
    """Write a page for each optimizer, and one that lists them."""
    names = instep.optimizers.__all__
    for name in names:
        text = PAGE.format(name=name, slots=slots(name), function=f"{name.lower()}_")
        (folder / f"{name.lower()}.md").write_text(text)
    rows = "\n".join(map(row, names))
    pages = "\n".join(name.lower() for name in names)
    (folder / "index.md").write_text(INDEX.format(rows=rows, pages=pages))


def slots(name: str) -> str:
    """Return what the docstring says of the state, or that of the class which it refers to."""
    found = re.search(r"^State: (.*?)\.$", doc(name), re.MULTILINE | re.DOTALL)
    if not found:
        return slots(getattr(instep, name).__base__.__name__)
    return " ".join(found[1].split()).replace("``", "`")


def row(name: str) -> str:
    """Return an optimizer's line of the table."""
    summary = doc(name).split("\n", 1)[0].removesuffix(".")
    summary = re.sub(rf"^{name}: ", "", summary, flags=re.IGNORECASE)
    summary = re.sub(r":math:`(.*?)`", r"$\1$", summary)
    paper = " ".join(section(name, "References").split())
    return f"| [{name}]({name.lower()}.md) | {summary} | {slots(name)} | {paper} |"


def section(name: str, title: str) -> str:
    """Return a section of the docstring."""
    rest = doc(name).partition(f"\n{title}\n{'-' * len(title)}\n")[2]
    return rest.partition("\n\n")[0]


def doc(name: str) -> str:
    """Return a class's docstring without its indentation."""
    return inspect.getdoc(getattr(instep, name)) or ""


def demo(folder: Path) -> None:
    """Run the demo; keep what it prints and its picture."""
    arguments = ["demo", "--quick", "--output", str(folder / "demo.png")]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, arguments)
    if result.exit_code:
        raise RuntimeError(f"instep demo failed:\n{result.output}")
    (folder / "demo.txt").write_text(result.output.partition("\nPicture:")[0])


def paint(page: Path, folder: Path) -> None:
    """Run a page's code where its pictures are to go."""
    source = "".join(FENCE.findall(page.read_text()))
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, page, "exec"), {"__name__": page.stem})  # noqa: S102 - our own page
