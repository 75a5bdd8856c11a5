"""PoseBusters' checks: a crystal structure passes, what is broken fails, and one check that breaks loses no other."""

import pytest
from rdkit import Chem

from moldiff.metrics.pocket import posebusters_checks, posebusters_valid, sanitized

pytest.importorskip("posebusters")


def test_crystal_pose_passes_all(protein, ligand):
    checks = posebusters_checks(sanitized(ligand), protein)
    assert {name for name, verdict in checks.items() if verdict is not True} == {"internal_energy"}
    assert {"bond_lengths", "minimum_distance_to_protein", "volume_overlap_with_protein"} <= checks.keys()
    assert checks["internal_energy"] is None  # no energies were given


def test_moved_into_the_protein(protein, moved):
    checks = posebusters_checks(sanitized(moved(3.0, 0.0, 0.0)), protein)
    assert checks["minimum_distance_to_protein"] is False
    assert checks["bond_lengths"] is True
    assert not posebusters_valid(checks)


def test_far_from_the_protein(protein, moved):
    checks = posebusters_checks(sanitized(moved(200.0, 0.0, 0.0)), protein)
    assert checks["protein-ligand_maximum_distance"] is False


def test_stretched_bonds(protein, ligand):
    mol = sanitized(ligand)
    positions = mol.GetConformer().GetPositions()
    mol.GetConformer().SetPositions((positions - positions.mean(axis=0)) * 1.4 + positions.mean(axis=0))
    assert posebusters_checks(mol, protein)["bond_lengths"] is False


def test_one_check_that_breaks_loses_no_other(protein, ligand, monkeypatch):
    from posebusters import posebusters

    def broken(mol_pred: Chem.Mol, **_: object) -> dict[str, object]:
        raise RuntimeError("broken")

    mol = sanitized(ligand)
    whole = posebusters_checks(mol, protein)
    monkeypatch.setitem(posebusters.module_dict, "flatness", broken)
    checks = posebusters_checks(mol, protein)
    lost = {name for name, verdict in checks.items() if verdict is None and name != "internal_energy"}
    assert lost == {"aromatic_ring_flatness", "non-aromatic_ring_non-flatness", "double_bond_flatness"}
    assert checks.keys() == whole.keys()
    assert all(checks[name] is whole[name] for name in whole.keys() - lost - {"internal_energy"})
    assert posebusters_valid(checks)


def test_not_evaluated_is_not_failed():
    assert posebusters_valid({"a": True, "b": None})
    assert not posebusters_valid({"a": True, "b": False})
    assert not posebusters_valid({"a": None})
