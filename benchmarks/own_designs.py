"""Designs of a pocket model for its training pockets, the best of which are added to the complexes as further examples.

    cp -r COMPLEXES MORE
    python -m benchmarks.own_designs MORE --model pocket
    moldiff fit --config configs/pocket.yaml --model.init_from pocket --data.complexes.path MORE

MORE is a folder in the layout of `ComplexDataModule`. For one training complex of each `cluster90` (or all, without
that column), molecules of the size of its ligand are drawn, relaxed, put into Vina's next minimum and relaxed again.
Those that are valid, pass PoseBusters' checks and hold phosphorus only if the known ligand does are sorted by Vina's
energy less 3 times their QED and 6 times their SA, and the first of them become entries. Test and validation complexes
are not touched. An interrupted run goes on with the pockets that are left; `--part 0 2` and `--part 1 2` share the
work between two processes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from rdkit import Chem
from tqdm import tqdm

from moldiff import MoleculeGenerator
from moldiff.chem.druglikeness import qed, sa
from moldiff.chem.files import read_molecules
from moldiff.chem.protein_files import read_pocket
from moldiff.chem.smiles import canonical_smiles
from moldiff.data.complex_folder import FOLDER, LIGAND, POCKET, add_complex
from moldiff.data.complexes import read_index
from moldiff.metrics.pocket.posebusters import posebusters_checks, posebusters_valid
from moldiff.metrics.pocket.protein import read_protein
from moldiff.metrics.pocket.settle import Settler
from moldiff.metrics.pocket.validity import design_verdict, sanitized
from moldiff.metrics.pocket.vina import VinaPocket

OWN = "own design"
QED_WEIGHT, SA_WEIGHT = 3.0, 6.0  # kcal/mol


def chosen(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """One training complex of each cluster90, in a random order that is always the same; no designs.

    Raises:
        ValueError: if there is no column that tells the split, none to tell designs by, or no training complex.
    """
    if missing := {"split", "source"} - set(rows[0]):
        raise ValueError(f"index.csv has no column {', '.join(sorted(missing))}: expected them")
    rows = [row for row in rows if row["split"] == "train" and row["source"] != OWN]
    if not rows:
        raise ValueError("index.csv names no training complex: expected 'train' in the column 'split' of some rows")
    random.Random(0).shuffle(rows)
    return list({row.get("cluster90", row["id"]): row for row in rows}.values())


def rated(mol: Chem.Mol, settler: Settler, vina: VinaPocket) -> tuple[float, Chem.Mol] | None:
    """Vina's energy of a molecule in its next minimum, less rewards, and the pose; None if that fails."""
    try:
        pose = sanitized(settler.settled(sanitized(mol)))
        energy = vina.energies(pose).score
    except (ValueError, RuntimeError):
        return None
    return None if energy is None else (energy - QED_WEIGHT * qed(pose) - SA_WEIGHT * sa(pose), pose)


def has_phosphorus(mol: Chem.Mol) -> bool:
    """Whether any atom is phosphorus."""
    return any(atom.GetAtomicNum() == 15 for atom in mol.GetAtoms())


def best(generator: MoleculeGenerator, entry: Path, args: argparse.Namespace) -> Iterator[Chem.Mol]:
    """The best designs for one complex."""
    site = generator.site(entry / POCKET, entry / LIGAND)
    drawn = generator.sample(args.num_samples, args.seed, args.num_steps, progress=False, site=site).raw
    valid = [mol for mol in drawn if design_verdict(mol).cause is None]
    known = sanitized(read_molecules(entry / LIGAND)[0])
    if not has_phosphorus(known):
        valid = [mol for mol in valid if not has_phosphorus(mol)]
    protein = read_protein(entry / POCKET)
    vina = VinaPocket.around(protein, known)
    settler = Settler(read_pocket(entry / POCKET), vina)
    poses = [pose for mol in valid if (pose := rated(mol, settler, vina))]
    kept: set[str] = set()
    for _, mol in sorted(poses, key=lambda pose: pose[0]):
        if len(kept) == args.keep:
            return
        smiles = canonical_smiles(mol)
        fine = smiles not in kept and design_verdict(mol).cause is None
        if fine and posebusters_valid(posebusters_checks(mol, protein)):
            kept.add(smiles)
            yield mol


def main() -> None:
    """Pocket by pocket."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="a copy of the complexes: designs are added to it")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--num_samples", type=int, default=12, help="drawn for each pocket")
    parser.add_argument("--keep", type=int, default=2, help="of these, at most")
    parser.add_argument("--num_steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    args = parser.parse_args()
    rows = read_index(args.folder)
    have = {row["id"] for row in rows}
    wanted = chosen(rows)
    generator = MoleculeGenerator.from_pretrained(args.model)
    added = 0
    for row in (bar := tqdm(wanted[args.part[0] :: args.part[1]], "pockets")):
        names = [f"{row['id']}_own{place}" for place in range(args.keep)]
        if names[0] in have:
            continue
        entry = args.folder / FOLDER / row["id"]
        for name, mol in zip(names, best(generator, entry, args), strict=False):
            about = {"id": name, "source": OWN, "smiles": canonical_smiles(mol), "num_heavy_atoms": mol.GetNumAtoms()}
            own = {k: row[k] for k in ("split", "cluster", "cluster90", "pdb_id") if k in row}
            add_complex(args.folder, name, read_pocket(entry / POCKET), mol, {**own, **about})
            added += 1
        bar.set_postfix(designs=added)


if __name__ == "__main__":
    main()
