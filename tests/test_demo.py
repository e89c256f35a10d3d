"""The demo, run as users run it, and what its table claims."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import instep
from instep import cli, data
from instep._reference_plan import ReferencePlan
from instep.cli import _demo_picture as picture
from instep.cli import _demo_recipes as table
from instep.cli import _demo_train as training
from instep.cli import demo as demo_module
from instep.transforms import Transform
from test_data import arrays, write_set

PNG = b"\x89PNG\r\n\x1a\n"
RECIPES = table.recipes(table.GROUPS)
EVERY = table.recipes(table.EVERY)


def invoke(*arguments: object) -> Any:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, ["demo", *map(str, arguments)])


def rows(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.endswith(("x  yes", "x   NO"))]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("demo") / "picture.png"
    result = invoke("--quick", "--output", path)
    assert result.exit_code == 0, result.output  # 1 if bits differ
    return result.output, path


def test_rows(quick: tuple[str, Path]) -> None:
    for recipe, line in zip(RECIPES, rows(quick[0]), strict=True):
        outcome = r"(diverged at \d+|[\d.]+%)"
        norm = r"([\d.]+|\d\.\de[+-]\d\d)"
        figures = rf"{recipe.lr:g} +{outcome} +{norm} +{norm} +\d+ +\d+(\.\d)?x +yes"
        assert re.fullmatch(rf"{re.escape(recipe.name)} +{figures}", line), line
    lines = quick[0].splitlines()
    places = [lines.index(group.head) for group in table.GROUPS]
    assert places == sorted(places)
    assert [lines[place + 1] for place in places] == [group.why for group in table.GROUPS]


def test_output_fits_the_terminal_and_states_seed_and_rates(quick: tuple[str, Path]) -> None:
    output, path = quick
    assert max(map(len, output.replace(str(path), "").splitlines())) <= 80
    assert "…" not in output
    text = " ".join(output.split())
    assert f"Seed 0; {demo_module.QUICK_STEPS} steps of {training.BATCH} images" in text
    assert "Learning rate: constant; lr decay divides it by 1 + t / 10 at step t" in text


def test_every_optimizer_and_transform(tmp_path: Path) -> None:
    result = invoke("--all", "--steps", 2, "--output", tmp_path / "p.png")
    assert result.exit_code == 0, result.output
    lines = rows(result.output)
    assert all(line.startswith(r.name) for r, line in zip(EVERY, lines, strict=True))
    assert max(map(len, lines)) <= 80
    assert "…" not in result.output
    shown = {recipe.make for recipe in EVERY}
    assert shown == {getattr(instep, name) for name in instep.optimizers.__all__}
    transforms = {type(recipe.transform) for recipe in EVERY if recipe.transform}
    assert transforms == set(table.WORDS)
    listed = {t for t in vars(instep).values() if isinstance(t, type) and issubclass(t, Transform)}
    assert transforms == listed


def label(recipe: table.Recipe) -> str:
    return f"{recipe.name}, {'sigmoid' if vanishes(recipe) else 'leaky'}"


def vanishes(recipe: table.Recipe) -> bool:
    return recipe in table.GROUPS[-1].recipes


@pytest.mark.parametrize("recipe", EVERY, ids=label)
def test_what_fails_and_what_cures(recipe: table.Recipe) -> None:
    with demo_module.one_thread():
        images = data.load_digits()
        run = training.train(recipe, images, demo_module.STEPS, 0, "native", lambda: None)
    largest, of_first = np.fmax.reduce(run.norms), np.fmax.reduce(run.first_norms)
    if recipe.reaches is not None:
        assert run.accuracy is not None
        assert run.accuracy >= recipe.reaches
        assert largest < 1e3
        assert of_first > 0.1
    elif vanishes(recipe):
        assert run.accuracy is not None
        assert run.accuracy < 0.2
        assert of_first < 0.01
    else:
        assert run.accuracy is None
        assert 5 < len(run.losses) < 150
        assert min(largest, of_first) > 1e5


OF_ITSELF = {"name", "reaches"}


def changes(recipe: table.Recipe, sick: table.Recipe) -> set[str]:
    names = {f.name for f in fields(recipe)} - OF_ITSELF
    return {n for n in names if getattr(recipe, n) != getattr(sick, n)}


@pytest.mark.parametrize("recipe", EVERY, ids=label)
def test_one_change_to_what_fails(recipe: table.Recipe) -> None:
    """At the same rate, except for what cannot have it."""
    sick = table.STUCK if vanishes(recipe) else table.PLAIN
    own_rate = recipe.make is not instep.SGD or recipe.options or recipe.name == "standardize"
    changed = changes(recipe, sick) - ({"lr"} if own_rate else set())
    assert len(changed) == (recipe is not sick)


def test_remedies_of_the_network() -> None:
    for recipe in (table.RESIDUAL, table.BATCH_NORM, table.LEAKY_RELU):
        assert len({f.name for f in fields(table.Network)} - kept(recipe.network)) == 1


def kept(network: table.Network) -> set[str]:
    names = {f.name for f in fields(network)}
    return {n for n in names if getattr(network, n) == getattr(table.SIGMOID, n)}


def test_all_networks_start_from_the_same_weights() -> None:
    networks = {recipe.network for recipe in EVERY}
    assert len(networks) == 4
    starts = [weights(network) for network in networks]
    for start in starts[1:]:
        for a, b in zip(starts[0], start, strict=True):
            np.testing.assert_array_equal(a, b)


def weights(network: table.Network) -> list[np.ndarray]:
    return [p for p in network.build(16, 5, seed=3).params.values() if p.ndim == 2]


def test_picture(quick: tuple[str, Path]) -> None:
    content = quick[1].read_bytes()
    assert content[:8] == PNG
    size = [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)]
    assert size == [1600, 720]


@pytest.mark.parametrize("steps", [1, 14, 40])
def test_smoothing_keeps_what_is_steady_and_every_step(steps: int) -> None:
    steady = [0.5 * 1.1**t for t in range(steps)]
    smooth = picture._smoothed(steady)
    half = picture.SMOOTH // 2
    np.testing.assert_allclose(smooth[half:-half], steady[half:-half])
    assert len(smooth) == steps
    np.testing.assert_allclose(picture._smoothed([0.5] * steps), 0.5)


def test_threads_are_left_as_they_were(tmp_path: Path) -> None:
    instep.set_num_threads(2)
    assert invoke("--steps", 1, "--output", tmp_path / "p.png").exit_code == 0
    assert instep.get_num_threads() == 2


@pytest.mark.parametrize("recipe", RECIPES, ids=label)
def test_each_backend_takes_its_own_steps(
    recipe: table.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    apply = ReferencePlan._apply
    monkeypatch.setattr(ReferencePlan, "_apply", lambda *a: taken.append(a[0]) or apply(*a))
    images = data.load_digits()
    for backend, expected in (("native", 0), ("reference", 3)):
        with demo_module.one_thread():
            run = training.train(recipe, images, 3, 0, backend, lambda: None)
        assert len(taken) == expected, backend
        assert len(run.seconds) == len(run.losses) == len(run.norms) == len(run.first_norms) == 3


def test_own_images(tmp_path: Path) -> None:
    write_set(tmp_path, arrays(), packed=".gz")
    picture = tmp_path / "p.png"
    result = invoke("--data", tmp_path, "--steps", 7, "--seed", 5, "--output", picture)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "40 to learn from, 12 to test. Seed 5; 7 steps" in text
    assert "Network: 16-128-128-128-128-128-128-5" in text
    assert len(rows(result.output)) == len(RECIPES)
    assert picture.read_bytes()[:8] == PNG


def test_bad_data_is_one_message(tmp_path: Path) -> None:
    result = invoke("--data", tmp_path)
    assert result.exit_code == 2
    assert "train-images-idx3-ubyte" in result.output
    assert "Traceback" not in result.output


def test_one_image_is_no_batch_to_normalize(tmp_path: Path) -> None:
    write_set(tmp_path, arrays(train=1, side=2))
    result = invoke("--data", tmp_path)
    assert result.exit_code == 2
    assert "at least 2 images to learn from; got 1" in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["nowhere/p.png", "p.foo", "p"])
def test_bad_output_is_refused_before_training(tmp_path: Path, name: str) -> None:
    result = invoke("--output", tmp_path / name)
    assert result.exit_code == 2
    assert "--output" in result.output
    assert not rows(result.output)


def test_other_bits_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = training.train

    def changed(recipe: Any, images: Any, steps: int, seed: int, backend: Any, advance: Any) -> Any:
        run = train(recipe, images, steps, seed, backend, advance)
        if recipe is table.CLIPPED and backend == "reference":
            bias = run.params["linear3.bias"]
            bias[5] = np.nextafter(bias[5], np.float32(1))
        return run

    monkeypatch.setattr(training, "train", changed)
    result = invoke("--steps", 3, "--output", tmp_path / "p.png")
    assert result.exit_code == 1
    verdicts = [line.split()[-1] for line in rows(result.output)]
    assert verdicts == ["NO" if r is table.CLIPPED else "yes" for r in RECIPES]


def trained(*values: float, steps: int = 2) -> training.Trained:
    weights = np.array(values, np.float32)
    return training.Trained({"linear0.weight": weights}, losses=[0.0] * steps)


def test_same_bits() -> None:
    nan, other_nan = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    assert training.same_bits(trained(1.0, nan), trained(1.0, other_nan))
    assert not training.same_bits(trained(0.0), trained(-0.0))
    assert not training.same_bits(trained(nan), trained(1.0))
    assert not training.same_bits(trained(1.0), trained(float(np.nextafter(np.float32(1), 2))))
    assert not training.same_bits(trained(1.0, steps=2), trained(1.0, steps=3))


def test_decayed_rate() -> None:
    rate = table.decayed(0.5)
    assert [rate(t) for t in (0, 10, 30)] == [0.5, 0.25, 0.125]


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
