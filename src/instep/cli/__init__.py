"""The command line: ``instep demo``, ``instep bench`` and ``instep info``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._extras import EXTRA

if TYPE_CHECKING:
    import typer


def make_app() -> typer.Typer:
    """Return the application with its commands; needs typer, which ``import instep`` does not."""
    import typer  # noqa: PLC0415

    from .bench import bench  # noqa: PLC0415
    from .demo import demo  # noqa: PLC0415
    from .info import info  # noqa: PLC0415

    made = typer.Typer(
        help="In-place optimizer steps, in step with their NumPy reference.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (demo, bench, info):
        made.command()(command)
    return made


def __getattr__(name: str) -> Any:
    """Make ``app`` when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = app = make_app()
    return app


def main() -> None:
    """Run the command line; without its packages say how to install them."""
    try:
        make_app()()
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in EXTRA:
            raise
        sys.exit(f'instep: {EXTRA[missing]} is not installed; run: pip install "instep[demo]"')
