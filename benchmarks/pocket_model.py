"""A pocket model on a folder of complexes: molecules for each pocket of a split, scored there and in another pocket.

    python -m benchmarks.pocket_model COMPLEXES --model pocket --num_samples 20 --out results/pocket

COMPLEXES is a folder in the layout of `ComplexDataModule`. For each complex of the split, molecules of the size of its
ligand are drawn into OUT/<id>.sdf and scored into OUT/<id>.json as by `moldiff evaluate --pocket`; for control, the
same molecules are moved to the place of the ligand of the complex before it in the list and scored by Vina there. An
interrupted run goes on with what is missing, and `--part 0 2` and `--part 1 2` share the pockets between two processes.
When all are there, the table over all pockets is printed and written to OUT/summary.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem
from tqdm import tqdm

from moldiff import MoleculeGenerator
from moldiff.chem.files import read_molecules
from moldiff.data.complex_folder import FOLDER, LIGAND, POCKET
from moldiff.data.complexes import read_index
from moldiff.metrics.pocket import PocketReport, PocketSummary, evaluate_pocket, read_protein
from moldiff.metrics.pocket.report import Summary
from moldiff.metrics.pocket.validity import sanitized
from moldiff.metrics.pocket.vina import VinaPocket
from moldiff.relax_command import run_relax


def draw(generator: MoleculeGenerator, entry: Path, out: Path, args: argparse.Namespace) -> float:
    """Draw the molecules of one pocket to a file; the seconds that it took."""
    start = time.perf_counter()
    site = generator.site(entry / POCKET, entry / LIGAND)
    asked = {"site": site, "avoid_clashes": args.avoid_clashes, "guidance_scale": args.guidance_scale}
    generator.sample(args.num_samples, args.seed, args.num_steps, progress=False, **asked).to_sdf(out)
    return time.perf_counter() - start


def relaxed(designs: Path, entry: Path, vina: bool) -> list[Chem.Mol | None]:
    """The molecules of a file as `moldiff relax` writes them: what cannot be relaxed is as it was."""
    out = designs.with_suffix(".relaxed.sdf")
    run_relax(designs, out, entry / POCKET, vina, overwrite=True)
    return read_molecules(out)


def elsewhere(mols: list[Chem.Mol | None], here: Path, there: Path) -> list[float | None]:
    """Vina's minimised energy of molecules that are moved from the ligand of one complex to that of another."""
    from_ligand, to_ligand = (sanitized(read_molecules(entry / LIGAND)[0]) for entry in (here, there))
    shift = _centre(to_ligand) - _centre(from_ligand)
    pocket = VinaPocket.around(read_protein(there / POCKET), to_ligand)
    energies = []
    for mol in mols:
        if mol is None or not mol.HasProp("moldiff_valid") or not mol.GetIntProp("moldiff_valid"):
            energies.append(None)
            continue
        moved = sanitized(mol)
        conformer = moved.GetConformer()
        conformer.SetPositions(np.ascontiguousarray(conformer.GetPositions() + shift))
        energies.append(pocket.energies(moved).minimised)
    return energies


def _centre(mol: Chem.Mol) -> np.ndarray:
    return np.asarray(mol.GetConformer().GetPositions()).mean(0)


def by_size(out: Path, names: list[str]) -> dict[str, float]:
    """Shares of the requested molecules that are valid, by heavy atoms; and of the valid ones that hold phosphorus."""
    drawn = [mol for name in names for mol in read_molecules(out / f"{name}.sdf") if mol is not None]
    valid = [bool(mol.GetIntProp("moldiff_valid")) for mol in drawn]
    shares = {}
    for low, high in ((0, 20), (20, 30), (30, 1000)):
        inside = [ok for mol, ok in zip(drawn, valid, strict=True) if low <= mol.GetNumHeavyAtoms() < high]
        if inside:
            shares[f"valid, from {low} heavy atoms"] = float(np.mean(inside))
    phosphorus = [any(a.GetAtomicNum() == 15 for a in m.GetAtoms()) for m, ok in zip(drawn, valid, strict=True) if ok]
    return {**shares, "with phosphorus": float(np.mean(phosphorus))} if phosphorus else shares


def summary(out: Path, names: list[str]) -> dict[str, Any]:
    """The table over pockets, with diversity, seconds and the energies elsewhere, which `PocketSummary` lacks."""
    reports = [PocketReport.from_dict(json.loads((out / f"{name}.json").read_text())) for name in names]
    more = [json.loads((out / f"{name}.more.json").read_text()) for name in names]
    other = [Summary.of(row["elsewhere"]).mean for row in more]
    drawn = [row["seconds"] for row in more if row["seconds"] is not None]
    table = PocketSummary.of(reports)
    print(table)
    means = {
        "diversity": Summary.of([report.diversity for report in reports]),
        "vina_minimised_elsewhere": Summary.of(other),
        "seconds_to_draw": Summary.of(drawn),
    }
    for name, value in means.items():
        print(f"{name}: mean {value.mean:.2f}, median {value.median:.2f} over {value.count} pockets")
    shares = by_size(out, names)
    print(", ".join(f"{name}: {100 * share:.0f} %" for name, share in shares.items()))
    return {
        **table.to_dict(),
        "by_size": shares,
        **{name: {"mean": v.mean, "median": v.median} for name, v in means.items()},
    }


def main() -> None:
    """Draw and score, pocket by pocket."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--split", default="test")
    parser.add_argument("--num_samples", type=int, default=20)
    parser.add_argument("--num_steps", type=int)
    parser.add_argument("--avoid_clashes", type=float)
    parser.add_argument("--guidance_scale", type=float, default=1.0)
    parser.add_argument("--num_pockets", type=int, help="only so many pockets, evenly spread over the list")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", action="store_true", help="strain and PoseBusters' internal energy, too")
    parser.add_argument("--relax", action="store_true", help="score the molecules as `moldiff relax` mends them")
    parser.add_argument("--vina", action="store_true", help="with --relax: as `moldiff relax --vina` does it")
    parser.add_argument("--dock", action="store_true", help="by Vina, too: half a minute for each molecule and ligand")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("K", "N"), help="each Nth pocket only")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    names = [row["id"] for row in read_index(args.folder) if row["split"] == args.split]
    if args.num_pockets:
        names = [names[round(k)] for k in np.linspace(0, len(names) - 1, args.num_pockets)]
    generator = MoleculeGenerator.from_pretrained(args.model)
    first, step = args.part
    for place, name in tqdm(list(enumerate(names))[first::step], "pockets"):
        entry, before = (args.folder / FOLDER / names[k] for k in (place, place - 1))
        designs, report, more = (args.out / f"{name}{ending}" for ending in (".sdf", ".json", ".more.json"))
        seconds = None if designs.exists() else draw(generator, entry, designs, args)
        mols = relaxed(designs, entry, args.vina) if args.relax else read_molecules(designs)
        if not report.exists():
            known = read_molecules(entry / LIGAND)
            evaluate_pocket(mols, entry / POCKET, known, dock=args.dock, fast=not args.whole).write_json(report)
        if not more.exists():
            more.write_text(json.dumps({"seconds": seconds, "elsewhere": elsewhere(mols, entry, before)}))
    if all((args.out / f"{name}.more.json").exists() for name in names):
        (args.out / "summary.json").write_text(json.dumps(summary(args.out, names), indent=1) + "\n")


if __name__ == "__main__":
    main()
