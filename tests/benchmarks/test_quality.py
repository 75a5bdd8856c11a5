"""Tables of scores, and samplers that are compared."""

import shutil

import pytest
import yaml

from benchmarks import quality
from benchmarks.samplers import SAMPLERS
from moldiff.diffusion.model import read_model
from moldiff.generator import BUNDLED


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_can_be_put_into_a_model(name, tmp_path):
    folder = shutil.copytree(BUNDLED / "qm9", tmp_path / "model")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["spec"]["sampler"] = SAMPLERS[name]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    sampler = read_model(folder).sampler
    assert type(sampler).__name__ == SAMPLERS[name]["class_path"].split(".")[-1]
    assert sampler.options.temperature == SAMPLERS[name]["init_args"]["temperature"]


def test_the_first_sampler_is_the_models_own():
    config = yaml.safe_load((BUNDLED / "qm9" / "config.yaml").read_text())
    assert config["spec"]["sampler"] == SAMPLERS["default"]


def report(stable):
    share = {"count": stable, "total": 100, "of": "requested", "value": stable / 100}
    names = {group: {} for group, _ in (*quality.SHARES.values(), *quality.MEANS.values())}
    for group, name in quality.SHARES.values():
        names[group][name] = share
    for group, name in quality.MEANS.values():
        names[group][name] = {"value": stable / 10}
    distances = {name: {"value": 0.5} for name in quality.DISTANCES}
    return {"requested": 100, **names, "geometry": {"distances": distances}}


def test_seeds_are_pooled_and_steps_kept_apart():
    rows = [{"steps": steps, "report": report(stable)} for steps, stable in ((10, 50), (10, 70), (50, 90))]
    lines = quality.table(rows).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    ten, fifty = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    assert ten[:3] == ["10", "200", "60.00 ± 6.73"]
    assert fifty[:2] == ["50", "100"]
    assert ten[9] == "6"


def test_what_is_drawn_again_takes_the_place_of_what_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "results.jsonl")
    drawn = iter((10, 20, 30, 40))
    monkeypatch.setattr(quality, "draw_and_score", lambda *_: report(next(drawn)))
    for options, kept in (([], [10, 20]), ([], [10, 20]), (["--again"], [30, 40])):
        monkeypatch.setattr("sys.argv", ["quality", "--steps", "3", "5", *options])
        quality.main()
        assert [row["report"]["edm"]["valid"]["count"] for row in quality.kept(quality.RESULTS)] == kept
    assert "| 3 | 100 | 30.00" in capsys.readouterr().out


def test_other_weights_are_another_model(tmp_path):
    folder = shutil.copytree(BUNDLED / "qm9", tmp_path / "model")
    assert quality.digest(folder) == quality.digest(BUNDLED / "qm9")
    (folder / "card.md").write_text("other words")
    assert quality.digest(folder) == quality.digest(BUNDLED / "qm9")
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("num_steps: 50", "num_steps: 49"))
    assert quality.digest(folder) != quality.digest(BUNDLED / "qm9")
