"""`moldiff sample --optimize`: a molecule that is improved, generation by generation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from moldiff.chem.files import MoleculeWriter, read_molecule
from moldiff.diffusion.optimisation import Candidate
from moldiff.diffusion.precision import Precision
from moldiff.diffusion.process_settings import prepare_process
from moldiff.generator import MoleculeGenerator
from moldiff.metrics.objectives import objective as find_objective


def run_optimize(
    optimize: Path,
    objective: Literal["qed", "sa", "vina"],
    out: Path,
    model: str,
    pocket: Path | None,
    num_samples: int,
    generations: int,
    noise_level: float,
    num_steps: int | None,
    seed: int,
    batch_size: int | None,
    device: str | None,
    precision: Precision,
    avoid_clashes: float | None,
    trust_classes: bool,
    overwrite: bool,
) -> None:
    """Improve the molecule of a file, and after each generation tell of it and write the best; as in `moldiff.cli`.

    Raises:
        KeyboardInterrupt: if it is interrupted; `out` holds the best of the generations that are done.
    """
    if pocket is None and avoid_clashes is not None:
        raise ValueError("avoid_clashes needs a pocket: give --pocket, a .pdb file")
    prepare_process()
    best: Sequence[Candidate] = ()
    MoleculeWriter(out, overwrite)  # refuses what it must not replace
    generator = MoleculeGenerator.from_pretrained(model, device, precision, trust_classes)
    start = read_molecule(optimize)
    site = generator.site(pocket, start) if pocket else None
    aim = find_objective(objective, pocket, start)
    settings = (generations, num_samples, noise_level, seed, num_steps, batch_size)
    course = generator.optimize(optimize, aim, *settings, site=site, avoid_clashes=avoid_clashes)
    try:
        for generation in course:
            if generation.number == 0:  # everything has been checked
                tqdm.write(f"generation  valid  new  best {objective}  mean of the best {num_samples}")
            with MoleculeWriter(out, overwrite or generation.number > 0) as writer:
                for candidate in generation.best[:num_samples]:
                    writer.write(candidate.mol)
            best = generation.best[:num_samples]
            values = [candidate.value for candidate in best]
            counts = f"{generation.number:10}  {generation.valid:5}  {generation.new:3}"
            tqdm.write(f"{counts}  {values[0]:{5 + len(objective)}.3f}  {sum(values) / len(values):.3f}")
    except KeyboardInterrupt as error:
        if not best:
            raise
        said = f"{len(best)} molecules written to {out}, the best of the generations that are done"
        raise KeyboardInterrupt(said) from error
    given_is_best = best[0].mol.GetProp("moldiff_generation") == "0"
    note = "; none is better than the one that was given" if given_is_best else ""
    sys.stdout.write(f"{len(best)} molecules written to {out}, the best first{note}\n")
