"""The demo, run as users run it, and what its table claims."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import instep
from instep import cli, data
from instep._plans import ReferencePlan
from instep.cli import _demo_train as training
from instep.cli import demo as demo_module
from instep.transforms import Transform
from test_data import arrays, write_set

PNG = b"\x89PNG\r\n\x1a\n"


def invoke(*arguments: object) -> Any:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, ["demo", *map(str, arguments)])


def rows(output: str) -> list[str]:
    names = {r.name for r in training.EVERY}
    return [line for line in output.splitlines() if line.split(" ")[0] in names]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("demo") / "picture.png"
    result = invoke("--quick", "--output", path)
    assert result.exit_code == 0, result.output
    return result.output, path


def test_rows(quick: tuple[str, Path]) -> None:
    table = rows(quick[0])
    assert [line.split()[0] for line in table] == [r.name for r in training.RECIPES]
    for recipe, line in zip(training.RECIPES, table, strict=True):
        assert f"{recipe.clipping}  " in line
        assert f" {recipe.peak_lr:g} " in line
        assert re.search(r"\d+ +\d+ +\d+(\.\d)?x +yes$", line.rstrip()), line


def test_plain_sgd_explodes_and_clipped_runs_learn(quick: tuple[str, Path]) -> None:
    for recipe, line in zip(training.RECIPES, rows(quick[0]), strict=True):
        if recipe is training.PLAIN:
            found = re.search(r"diverged at (\d+) +(\S+)", line)
            assert found, line
            assert 5 < int(found[1]) < demo_module.QUICK_STEPS
            assert float(found[2]) > 1e6
        else:
            percent = re.search(r"([\d.]+)%", line)
            assert percent, line
            assert float(percent[1]) >= 95.0, line


def test_output_fits_the_terminal_and_states_seed_and_rates(quick: tuple[str, Path]) -> None:
    output, path = quick
    assert max(map(len, output.replace(str(path), "").splitlines())) <= 80
    text = " ".join(output.split())
    assert f"Seed 0; {demo_module.QUICK_STEPS} steps of {training.BATCH} images" in text
    assert "Learning rate: rises for 50 steps to its peak, then falls to 0" in text


def test_every_optimizer_and_transform_learns_real_digits(tmp_path: Path) -> None:
    result = invoke("--all", "--quick", "--output", tmp_path / "p.png")
    assert result.exit_code == 0, result.output  # 1 if bits differ
    table = rows(result.output)
    assert len(table) == len(training.EVERY)
    assert max(map(len, table)) <= 80
    assert "…" not in result.output
    for recipe, line in zip(training.EVERY, table, strict=True):
        percent = re.search(r"([\d.]+)%", line)
        assert (percent is None) == (recipe is training.PLAIN), line
        assert percent is None or float(percent[1]) >= 93.0, line
    shown = {recipe.make for recipe in training.EVERY}
    assert shown == {getattr(instep, name) for name in instep.optimizers.__all__}
    clips = {type(recipe.clip) for recipe in training.EVERY if recipe.clip}
    assert clips == set(training.WORDS)
    listed = {t for t in vars(instep).values() if isinstance(t, type) and issubclass(t, Transform)}
    assert clips == listed


def test_picture(quick: tuple[str, Path]) -> None:
    content = quick[1].read_bytes()
    assert content[:8] == PNG
    size = [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)]
    assert size == [1500, 620]


def test_threads_are_left_as_they_were(tmp_path: Path) -> None:
    instep.set_num_threads(2)
    assert invoke("--steps", 1, "--output", tmp_path / "p.png").exit_code == 0
    assert instep.get_num_threads() == 2


@pytest.mark.parametrize("recipe", training.RECIPES, ids=lambda r: f"{r.name}-{r.clipping}")
def test_each_backend_takes_its_own_steps(
    recipe: training.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    finish = ReferencePlan.finish
    monkeypatch.setattr(ReferencePlan, "finish", lambda *a: taken.append(a[0]) or finish(*a))
    images = data.load_digits()
    for backend, expected in (("native", 0), ("reference", 3)):
        with demo_module.one_thread():
            run = training.train(recipe, images, 3, 0, backend, lambda: None)
        assert len(taken) == expected, backend
        assert len(run.seconds) == len(run.losses) == len(run.norms) == 3


def test_own_images(tmp_path: Path) -> None:
    write_set(tmp_path, arrays(), packed=".gz")
    picture = tmp_path / "p.png"
    result = invoke("--data", tmp_path, "--steps", 7, "--seed", 5, "--output", picture)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "40 to learn from, 12 to test. Seed 5; 7 steps" in text
    assert "Network: 16-128-128-128-128-128-128-5" in text
    assert len(rows(result.output)) == len(training.RECIPES)
    assert picture.read_bytes()[:8] == PNG


def test_bad_data_is_one_message(tmp_path: Path) -> None:
    result = invoke("--data", tmp_path)
    assert result.exit_code == 2
    assert "train-images-idx3-ubyte" in result.output
    assert "Traceback" not in result.output


def test_bad_output_is_refused_before_training(tmp_path: Path) -> None:
    result = invoke("--output", tmp_path / "nowhere" / "p.png")
    assert result.exit_code == 2
    assert "--output" in result.output
    assert not rows(result.output)


def test_other_bits_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = training.train

    def changed(recipe: Any, images: Any, steps: int, seed: int, backend: Any, advance: Any) -> Any:
        run = train(recipe, images, steps, seed, backend, advance)
        if recipe is training.CLIPPED and backend == "reference":
            bias = run.params["linear3.bias"]
            bias[5] = np.nextafter(bias[5], np.float32(1))
        return run

    monkeypatch.setattr(training, "train", changed)
    result = invoke("--steps", 3, "--output", tmp_path / "p.png")
    assert result.exit_code == 1
    verdicts = [line.split()[-1] for line in rows(result.output)]
    assert verdicts == ["NO" if r is training.CLIPPED else "yes" for r in training.RECIPES]


def trained(*values: float, steps: int = 2) -> training.Trained:
    weights = np.array(values, np.float32)
    return training.Trained(["linear0"], {"linear0.weight": weights}, losses=[0.0] * steps)


def test_same_bits() -> None:
    nan, other_nan = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    assert training.same_bits(trained(1.0, nan), trained(1.0, other_nan))
    assert not training.same_bits(trained(0.0), trained(-0.0))
    assert not training.same_bits(trained(nan), trained(1.0))
    assert not training.same_bits(trained(1.0), trained(float(np.nextafter(np.float32(1), 2))))
    assert not training.same_bits(trained(1.0, steps=2), trained(1.0, steps=3))


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 49, 1000])
def test_schedule_rises_and_falls(steps: int) -> None:
    rates = [training.schedule(0.5, steps)(t) for t in range(steps)]
    top = training.warm_up(steps) - 1
    assert rates[top] == max(rates) == 0.5
    assert min(rates) > 0
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_every_epoch_sees_every_full_batch_once() -> None:
    drawn = training.batches(130, seed=1)
    epoch = np.concatenate([next(drawn), next(drawn)])
    assert len(epoch) == len(set(epoch.tolist())) == 2 * training.BATCH
    assert len(next(training.batches(10, seed=1))) == 10


def test_message_where_packages_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 'instep: typer is not installed; run: pip install "instep[demo]"'
    assert capsys.readouterr().out == ""
