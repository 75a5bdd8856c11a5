"""Fragments cut from QM9's test molecules, with the rest drawn anew: `python -m benchmarks.fixed_parts --help`."""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from rdkit import Chem
from tqdm import tqdm

from moldiff import MoleculeGenerator
from moldiff.chem.arrays import to_mol
from moldiff.data.qm9_datamodule import QM9DataModule
from moldiff.diffusion.process_settings import prepare_process
from moldiff.metrics.strict import strict_verdict


def main() -> None:
    """Command line: the share of molecules that are strictly valid and hold their fragment where it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9", help="bundled model or folder")
    parser.add_argument("--fragments", type=int, default=100, help="fragments of 4 to 6 heavy atoms of each kind")
    parser.add_argument("--samples", type=int, default=1, help="molecules for each fragment")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of fragments and of the molecules")
    parser.add_argument("--num_steps", type=int, default=None, help="sampling steps; the model's default if not given")
    args = parser.parse_args()
    prepare_process()
    generator, table = MoleculeGenerator.from_pretrained(args.model), QM9DataModule().test
    for kind, cuts_of in (("grow", grow_cuts), ("link", link_cuts)):
        random, good, causes, cases = np.random.default_rng(args.seed), 0, Counter[str](), 0
        bar = tqdm(total=args.fragments, unit="fragment", desc=kind)
        for index in random.permutation(len(table)).tolist():
            mol = to_mol(table.molecule(index))
            cuts = cuts_of(mol)
            if not cuts:
                continue
            fragment, size = cut(mol, cuts[random.integers(len(cuts))]), mol.GetNumAtoms()
            fixed = generator.fixed(fragment)
            drawn = generator.sample(
                args.samples, args.seed, args.num_steps, num_atoms=size, progress=False, fixed=fixed
            )
            verdicts = [strict_verdict(new).cause or "valid" for new in drawn.raw]
            causes.update(str(verdict) for verdict in verdicts)
            good += sum(v == "valid" and holds(n, fragment) for v, n in zip(verdicts, drawn.raw, strict=True))
            cases += 1
            bar.update()
            if cases == args.fragments:
                break
        bar.close()
        total = cases * args.samples
        print(f"{kind}: {good} of {total} strictly valid with the fragment in place; verdicts: {dict(causes)}")


def holds(mol: Chem.Mol, fragment: Chem.Mol) -> bool:
    """Whether the first atoms of a molecule are the fragment: elements, charges, bonds, coordinates to 1e-3 Å."""
    n = fragment.GetNumAtoms()
    for i in range(n):
        a, b = mol.GetAtomWithIdx(i), fragment.GetAtomWithIdx(i)
        if (a.GetAtomicNum(), a.GetFormalCharge()) != (b.GetAtomicNum(), b.GetFormalCharge()):
            return False
        for j in range(i):
            bonds = [m.GetBondBetweenAtoms(i, j) for m in (mol, fragment)]
            if len({None if bond is None else bond.GetBondType() for bond in bonds}) > 1:
                return False
    places = [m.GetConformer().GetPositions()[:n] for m in (mol, fragment)]
    return bool(np.abs(places[0] - places[1]).max() < 1e-3)


def grow_cuts(mol: Chem.Mol, smallest: int = 4, largest: int = 6) -> list[tuple[int, ...]]:
    """Fragments on either side of a single bond outside rings, with so many heavy atoms."""
    cuts = []
    for bond in _cuttable(mol):
        for part in _without(mol, [bond]):
            if smallest <= _heavy(mol, part) <= largest:
                cuts.append(part)
    return cuts


def link_cuts(mol: Chem.Mol, smallest: int = 4, largest: int = 6) -> list[tuple[int, ...]]:
    """Pairs of fragments of at least two heavy atoms each, whose linker is taken out."""
    cuts, bonds = [], _cuttable(mol)
    for k, first in enumerate(bonds):
        for second in bonds[:k]:
            ends = [{b.GetBeginAtomIdx(), b.GetEndAtomIdx()} for b in (first, second)]
            parts = _without(mol, [first, second])
            outer = [p for p in parts if not all(set(p) & end for end in ends)]
            if len(parts) == 3 and len(outer) == 2 and min(_heavy(mol, p) for p in outer) >= 2:
                kept = tuple(sorted(outer[0] + outer[1]))
                if smallest <= _heavy(mol, kept) <= largest:
                    cuts.append(kept)
    return cuts


def cut(mol: Chem.Mol, kept: tuple[int, ...]) -> Chem.Mol:
    """The atoms of a fragment, with open valences where bonds are cut."""
    editable = Chem.RWMol(mol)
    editable.BeginBatchEdit()
    for index in set(range(mol.GetNumAtoms())) - set(kept):
        editable.RemoveAtom(index)
    editable.CommitBatchEdit()
    return editable.GetMol()


def _cuttable(mol: Chem.Mol) -> list[Chem.Bond]:
    Chem.FastFindRings(mol)
    heavy = [b for b in mol.GetBonds() if min(b.GetBeginAtom().GetAtomicNum(), b.GetEndAtom().GetAtomicNum()) > 1]
    return [b for b in heavy if b.GetBondType() == Chem.BondType.SINGLE and not b.IsInRing()]


def _without(mol: Chem.Mol, bonds: list[Chem.Bond]) -> list[tuple[int, ...]]:
    editable = Chem.RWMol(mol)
    for bond in bonds:
        editable.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return [tuple(sorted(part)) for part in Chem.GetMolFrags(editable)]


def _heavy(mol: Chem.Mol, part: tuple[int, ...]) -> int:
    return sum(mol.GetAtomWithIdx(index).GetAtomicNum() > 1 for index in part)


if __name__ == "__main__":
    main()
