"""Every variant is a config that `moldiff fit` accepts."""

from pathlib import Path

import pytest

from benchmarks.ablations import VARIANTS
from moldiff.cli import main

CONFIG = Path(__file__).resolve().parents[2] / "benchmarks" / "speedrun.yaml"


@pytest.mark.parametrize("name", VARIANTS)
def test_options_are_understood(name, capsys):
    with pytest.raises(SystemExit) as done:
        main(["fit", "--config", str(CONFIG), *VARIANTS[name].options, "--print_config"])
    assert not done.value.code
    printed = capsys.readouterr().out
    for option in VARIANTS[name].options:
        assert option.split("=")[0].split(".")[-1] in printed
