"""Which complexes get designs, and which designs become examples."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest
from rdkit import Chem

from benchmarks.own_designs import OWN, best, chosen, has_phosphorus
from moldiff.chem.files import read_molecules

COMPLEX = Path(__file__).parents[1] / "fixtures" / "1l2s"


def row(name: str, cluster90: str, split: str = "train", source: str = "x") -> dict[str, str]:
    return {"id": name, "cluster90": cluster90, "split": split, "source": source}


def test_one_training_complex_of_each_cluster_and_no_design() -> None:
    rows = [row(f"{k}{copy}", str(k)) for k in range(30) for copy in "abc"]
    rows += [row("val", "30", "val"), row("test", "31", "test"), row("own", "32", source=OWN)]
    picked = chosen(rows)
    assert sorted(int(row["cluster90"]) for row in picked) == list(range(30))
    assert picked == chosen([*rows, row("5a_own0", "5", source=OWN)])  # the same when it goes on
    with pytest.raises(ValueError, match="no column source, split"):
        chosen([{"id": "a"}])
    with pytest.raises(ValueError, match="no training complex"):
        chosen([row("val", "30", "val"), row("mine", "31", "")])
    assert len(chosen([{"id": str(k), "split": "train", "source": "x"} for k in range(5)])) == 5


def test_the_best_that_pass_are_kept() -> None:
    """Drawn: the known ligand in its place and with an atom of phosphorus, and what is no molecule."""
    for package in ("vina", "meeko", "posebusters"):
        pytest.importorskip(package)
    (known,) = read_molecules(COMPLEX / "ligand.sdf")
    strange, broken, small = (Chem.RWMol(known) for _ in range(3))
    next(atom for atom in strange.GetAtoms() if atom.GetSymbol() == "S").SetAtomicNum(15)
    broken.GetAtomWithIdx(0).SetFormalCharge(5)
    end = next(a.GetIdx() for a in small.GetAtoms() if a.GetDegree() == 1 and a.GetSymbol() in ("O", "Cl"))
    small.RemoveAtom(end)
    drawn = SimpleNamespace(raw=[strange, broken, small.GetMol(), known, Chem.Mol(known)])
    generator = SimpleNamespace(site=lambda *_: None, sample=lambda *_, **__: drawn)
    args = argparse.Namespace(num_samples=5, seed=0, num_steps=2, keep=3)
    kept = list(best(generator, COMPLEX, args))
    assert sorted(mol.GetNumAtoms() for mol in kept) == [known.GetNumAtoms() - 1, known.GetNumAtoms()]  # none twice
    assert not any(has_phosphorus(mol) for mol in kept)
    args.keep = 1
    assert len(list(best(generator, COMPLEX, args))) == 1
