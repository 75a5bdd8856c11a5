"""What the options of `moldiff sample` ask molecules to be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from moldiff.chem.partial_file import Run
from moldiff.chem.trajectory import check_path
from moldiff.data.prepare_pocket import numbers
from moldiff.diffusion.checkpoint import digest_of_weights
from moldiff.diffusion.conditions import Conditions
from moldiff.diffusion.steering import Steering
from moldiff.generator import MoleculeGenerator

_OF_POCKET = ("reference_ligand", "center", "avoid_clashes")
_DEFAULTS = {"guidance_scale": 1.0}  # None for the others
_OF_SPACE = ("pocket", "reference_ligand", "center", "fix", "anchors")
_OF_MOLECULES = (*_OF_SPACE, "avoid_clashes", "formula", "num_atoms", "properties", "guidance_scale", "reward")


class SampleOptions:
    """Options of `moldiff sample` that go together."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Check which options come together.

        Args:
            settings: all options of the command by their names.

        Raises:
            ValueError: if one lacks another, or a value has no meaning.
            OSError: if the trajectory cannot be written.
        """
        self.settings = settings
        if settings["pocket"] is None and any(settings[name] is not None for name in _OF_POCKET):
            raise ValueError(
                "a reference ligand, a center or avoid_clashes needs a pocket: give --pocket, a .pdb or .cif"
            )
        anchors = settings["anchors"]
        if anchors is not None and (settings["fix"] is None or not re.fullmatch(r"\d+(,\d+)*", anchors)):
            raise ValueError(f"got --anchors {anchors}; expected numbers such as 1,5 together with --fix, an .sdf file")
        if settings["trajectory"] is not None:
            check_path(settings["trajectory"], settings["overwrite"] or settings["resume"])
            if settings["reward"] is not None:
                raise ValueError("a steered molecule has no single way: leave out --reward or --trajectory")
        if settings["reward"] is None and settings["particles"] != Steering.particles:
            raise ValueError(f"got --particles {settings['particles']} without a reward; expected --reward with it")
        self.steering = None if settings["reward"] is None else Steering(settings["reward"], settings["particles"])

    def digest(self, generator: MoleculeGenerator) -> str:
        """Of what molecules depend on besides seed and steps: the model, and options, files by their content."""
        given = {name: self.settings[name] for name in _OF_MOLECULES if self.settings[name] != _DEFAULTS.get(name)}
        if "reward" in given:
            given["particles"] = self.settings["particles"]
        plain = {
            name: sha256(value.read_bytes()).hexdigest() if isinstance(value, Path) and value.is_file() else str(value)
            for name, value in given.items()
        }
        model = generator.model
        networks = [model.denoiser] if model.regressor is None else [model.denoiser, model.regressor.network]
        plain["model"] = " ".join([str(model.config.get("spec")), *map(digest_of_weights, networks)])
        return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]

    def run(self, generator: MoleculeGenerator) -> Run:
        """What all records of this run have in common."""
        steps = self.settings["num_steps"] or generator.model.num_steps
        return Run(str(self.settings["seed"]), str(steps), generator.name, self.digest(generator))

    def notes(self, generator: MoleculeGenerator) -> dict[str, str]:
        """What is written into every record, so that `--resume` knows its own."""
        return {"moldiff_request": self.digest(generator)}

    def conditions(self, generator: MoleculeGenerator) -> Conditions:
        """What molecules are asked to be, as the generator's model understands it."""
        pocket, ligand, center, fix, anchors = (self.settings[name] for name in _OF_SPACE)
        centre = None if center is None else numbers(center)
        bonded = None if anchors is None else [int(number) for number in anchors.split(",")]
        return Conditions(
            site=None if pocket is None else generator.site(pocket, ligand, centre),
            fixed=None if fix is None else generator.fixed(fix, bonded),
            formula=self.settings["formula"],
            avoid_clashes=self.settings["avoid_clashes"],
            steering=self.steering,
            properties=self.settings["properties"],
            guidance_scale=self.settings["guidance_scale"],
        )
