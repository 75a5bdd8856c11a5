"""Properties that drug designers look at: QED, synthetic accessibility, logP, TPSA, Lipinski's rule of five."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rdkit import Chem
from rdkit.Chem import Descriptors, rdMolDescriptors

from moldiff.chem import druglikeness
from moldiff.metrics.mean import Mean
from moldiff.metrics.share import Share


@dataclass(frozen=True)
class Properties:
    """Properties of one molecule, by RDKit; coordinates and stereochemistry do not matter."""

    qed: float  # quantitative estimate of drug-likeness, 0 to 1 (Bickerton et al. 2012)
    sa: float  # synthetic accessibility, 1 = easy to 10 = hard (Ertl & Schuffenhauer 2009)
    logp: float  # octanol-water partition coefficient (Wildman & Crippen 1999)
    tpsa: float  # topological polar surface area in Å^2 (Ertl et al. 2000)
    weight: float  # g/mol
    lipinski_violations: int  # of 4: weight > 500, logP > 5, more than 5 donors, more than 10 acceptors


@dataclass(frozen=True)
class PropertyScores:
    """Means over the valid molecules (strict rule)."""

    scored: Share  # molecules whose properties could be computed, of the valid ones
    qed: Mean
    sa: Mean
    logp: Mean
    tpsa: Mean
    weight: Mean
    lipinski: Share  # at most one violation of the rule of five (Lipinski et al. 1997), of the valid ones

    @classmethod
    def of(cls, values: Sequence[Properties | None]) -> PropertyScores:
        """Of the properties of each valid molecule; None where they could not be computed."""
        known = [value for value in values if value is not None]
        return cls(
            scored=Share(len(known), len(values), "valid"),
            qed=Mean.of_values([value.qed for value in known], "valid"),
            sa=Mean.of_values([value.sa for value in known], "valid"),
            logp=Mean.of_values([value.logp for value in known], "valid"),
            tpsa=Mean.of_values([value.tpsa for value in known], "valid", "Å²"),
            weight=Mean.of_values([value.weight for value in known], "valid", "g/mol"),
            lipinski=Share(sum(value.lipinski_violations <= 1 for value in known), len(values), "valid"),
        )


def molecular_properties(smiles: str) -> Properties:
    """The properties of a molecule.

    Raises:
        ValueError: if RDKit cannot read the SMILES, or a property is not a number.
    """
    from rdkit.Contrib.SA_Score import sascorer  # only RDKit's own wheels have it under this name

    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ValueError(f"RDKit cannot read {smiles!r}")
    weight, logp = Descriptors.MolWt(mol), druglikeness.logp(mol)  # type: ignore[attr-defined]
    donors, acceptors = rdMolDescriptors.CalcNumLipinskiHBD(mol), rdMolDescriptors.CalcNumLipinskiHBA(mol)
    out = Properties(
        qed=druglikeness.qed(mol),
        sa=sascorer.calculateScore(mol),
        logp=logp,
        tpsa=rdMolDescriptors.CalcTPSA(mol),
        weight=weight,
        lipinski_violations=sum((weight > 500, logp > 5, donors > 5, acceptors > 10)),
    )
    if not all(map(math.isfinite, vars(out).values())):
        raise ValueError(f"a property of {smiles!r} is not finite: {out}")
    return out
