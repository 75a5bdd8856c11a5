"""Molecules of given formulas, those of QM9's test molecules: `python -m benchmarks.formulas --help`."""

from __future__ import annotations

import argparse
import time

import numpy as np
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from tqdm import tqdm

from moldiff import MoleculeGenerator
from moldiff.chem.arrays import to_mol
from moldiff.data.qm9_datamodule import QM9DataModule
from moldiff.diffusion.process_settings import prepare_process
from moldiff.metrics.strict import strict_verdict


def main() -> None:
    """Command line: shares of the molecules that are strictly valid, have their formula, and differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formulas", type=int, default=50, help="of as many test molecules, drawn at random")
    parser.add_argument("--samples", type=int, default=20, help="molecules for each formula")
    parser.add_argument("--model", default="qm9", help="bundled model or folder")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of formulas and of the molecules")
    parser.add_argument("--num_steps", type=int, default=None, help="sampling steps; the model's default if not given")
    args = parser.parse_args()
    prepare_process()
    generator, table = MoleculeGenerator.from_pretrained(args.model), QM9DataModule().test
    rows = np.random.default_rng(args.seed).permutation(len(table))[: args.formulas].tolist()
    total = valid = right = different = 0
    start = time.process_time()
    for row in tqdm(rows, "formulas", unit=" formulas"):
        formula = CalcMolFormula(to_mol(table.molecule(row)))
        drawn = generator.sample(args.samples, args.seed, args.num_steps, progress=False, formula=formula)
        found = [strict_verdict(mol).smiles for mol in drawn.raw]
        total += len(found)
        valid += sum(smiles is not None for smiles in found)
        right += sum(CalcMolFormula(mol) == formula for mol in drawn.raw)
        different += len({smiles for smiles in found if smiles is not None})
    seconds = time.process_time() - start
    print(f"{total} molecules of {len(rows)} formulas, {seconds / total:.2f} s of the processor each")
    print(
        f"strictly valid {valid / total:.1%}, with the formula {right / total:.1%}, different {different / valid:.1%}"
    )


if __name__ == "__main__":
    main()
