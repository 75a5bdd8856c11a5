"""Scores are values: nobody changes them behind somebody's back."""

import dataclasses
import importlib
import pkgutil

import moldiff.metrics

CHANGING = {"Passes"}  # gathers notes on the way


def test_scores_cannot_be_changed() -> None:
    found = {}
    for module in pkgutil.walk_packages(moldiff.metrics.__path__, "moldiff.metrics."):
        if not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.name:
                    found[name] = value
    assert len(found) > 20
    changing = {name for name, value in found.items() if not value.__dataclass_params__.frozen}
    assert changing == CHANGING
