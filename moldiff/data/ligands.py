"""A table of ligands from what the workers hand back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moldiff.chem.ligand import Ligand
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.data.table import MoleculeTable

PROCESSING_VERSION = 1  # raise it whenever a table of ligands would come out different


def ligand_table(
    numbers: Iterable[int], results: Iterable[Ligand | str], metadata: Mapping[str, Any] | None = None
) -> MoleculeTable:
    """Pack ligands, heavy atoms only, with `DRUG_VOCABULARY`, keys and the properties `qed` and `logp`; may be empty.

    Args:
        numbers: of the molecules in their source; `index` of the table.
        results: a ligand, or the reason why there is none: `metadata["left_out"]` has the numbers by reason.
        metadata: further entries; `geometries` counts which of several given geometries were taken.
    """
    ligands: list[Ligand] = []
    index: list[int] = []
    left_out: dict[str, list[int]] = {}
    for number, result in zip(numbers, results, strict=True):
        if isinstance(result, str):
            left_out.setdefault(result, []).append(number)
        else:
            ligands.append(result)
            index.append(number)
    taken = [ligand.geometry for ligand in ligands]
    return MoleculeTable.from_arrays(
        [ligand.molecule for ligand in ligands],
        index=index,
        properties={"qed": [ligand.qed for ligand in ligands], "logp": [ligand.logp for ligand in ligands]},
        smiles=[ligand.smiles for ligand in ligands],
        vocabulary=DRUG_VOCABULARY,
        keys=[ligand.key for ligand in ligands],
        metadata={
            **(metadata or {}),
            "geometries": [taken.count(number) for number in range(max(taken, default=0) + 1)],
            "left_out": left_out,
        },
    )


def merged(tables: list[MoleculeTable], metadata: Mapping[str, Any]) -> MoleculeTable:
    """Tables of ligands of one source as one; the numbers of what was left out are put together."""
    left_out: dict[str, list[int]] = {}
    for table in tables:
        for reason, numbers in table.metadata["left_out"].items():
            left_out.setdefault(reason, []).extend(numbers)
    return MoleculeTable.concatenate(tables, {**metadata, "left_out": left_out})
