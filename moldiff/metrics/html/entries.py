"""What the page tells of each molecule of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rdkit import Chem, rdBase
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from moldiff.chem.arrays import kekulized
from moldiff.metrics.distributions import count_quantities
from moldiff.metrics.distributions.quantities import Counts
from moldiff.metrics.parallel import run_each
from moldiff.metrics.properties import Properties, molecular_properties
from moldiff.metrics.reference import Reference
from moldiff.metrics.report import Report
from moldiff.metrics.strict import Cause, StrictVerdict, atom_faults, strict_verdict

_NAMED = 3  # atoms at fault that a reason names
_REASONS = {
    Cause.MISSING: "nothing there: unreadable, without atoms, or without finite coordinates",
    Cause.NO_BONDS: "no bonds",
    Cause.VALENCE: "wrong valence",
    Cause.RADICAL: "bonds are missing",
    Cause.FRAGMENTS: "in pieces",
    Cause.SANITIZE: "RDKit refuses it",
}


@dataclass(frozen=True)
class Entry:
    """One record of a file."""

    number: int  # of the record, from 1
    mol: Chem.Mol | None  # as in the file
    whole: Chem.Mol | None  # as it was scored: with hydrogens, if the file has none
    verdict: StrictVerdict
    novel: bool | None = None  # None if it is not valid, or there is no reference
    properties: Properties | None = None  # of a valid molecule

    @property
    def valid(self) -> bool:
        """By the strict rule."""
        return self.verdict.smiles is not None

    @property
    def title(self) -> str:
        """The name in the file, or nothing."""
        return self.mol.GetProp("_Name").strip() if self.mol is not None and self.mol.HasProp("_Name") else ""

    @property
    def formula(self) -> str:
        """Sum formula, with the hydrogens that it was scored with."""
        return _formula(self.whole) if self.whole is not None else ""

    def faulty_atoms(self) -> tuple[int, ...]:
        """Places of the atoms that make the molecule fail: of `whole`, whose first atoms are those of `mol`."""
        if self.whole is None:
            return ()
        if self.verdict.cause in (Cause.VALENCE, Cause.RADICAL):
            return tuple(dict.fromkeys(fault.atom for fault in atom_faults(kekulized(self.whole) or self.whole)))
        if self.verdict.cause is Cause.FRAGMENTS:
            _, *others = sorted(Chem.GetMolFrags(self.whole), key=len, reverse=True)
            return tuple(sorted(atom for fragment in others for atom in fragment))
        return ()

    def reason(self) -> str:
        """Why it is not valid, with the atoms at fault; empty for a valid one."""
        cause = self.verdict.cause
        if cause is None:
            return ""
        detail = "" if self.whole is None or cause is Cause.MISSING else _detail(self.whole, cause)
        return f"{_REASONS[cause]}: {detail}" if detail else _REASONS[cause]


@dataclass(frozen=True)
class MoleculeSet:
    """A file of molecules and all that the page tells of it."""

    name: str
    report: Report
    entries: tuple[Entry, ...]
    counts: tuple[dict[str, Counts], ...]  # what `count_quantities` found in each molecule that there is

    def with_note(self, note: str) -> MoleculeSet:
        """The same with one more note in its report."""
        return replace(self, report=self.report.with_note(note))

    @property
    def failed(self) -> list[Entry]:
        """Those that are not valid."""
        return [entry for entry in self.entries if not entry.valid]


def entries_of(
    molecules: Sequence[Chem.Mol | None],
    whole: Sequence[Chem.Mol | None],
    reference: Reference | None,
    workers: int = 1,
) -> tuple[Entry, ...]:
    """Judge each molecule as `evaluate` does: `whole` is what is judged, `molecules` what is shown."""
    missing = StrictVerdict(Cause.MISSING)
    verdicts = [v or missing for v in run_each(strict_verdict, whole, "molecules", workers).values]
    smiles = [verdict.smiles for verdict in verdicts if verdict.smiles is not None]
    known = iter(reference.smiles.contains(smiles).tolist() if reference is not None else ())
    properties = iter(run_each(molecular_properties, smiles, "properties", workers).values)
    out = []
    for k, (mol, full, verdict) in enumerate(zip(molecules, whole, verdicts, strict=True)):
        valid = verdict.smiles is not None
        novel = not next(known) if valid and reference is not None else None
        out.append(Entry(k + 1, mol, full, verdict, novel, next(properties) if valid else None))
    return tuple(out)


def counts_of(molecules: Sequence[Chem.Mol | None], workers: int = 1) -> tuple[dict[str, Counts], ...]:
    """Lengths, angles, torsions and kinds in each molecule that there is and that can be looked at."""
    there = [mol for mol in molecules if mol is not None]
    return tuple(c for c in run_each(count_quantities, there, "distributions", workers).values if c is not None)


def _detail(mol: Chem.Mol, cause: Cause) -> str:
    if cause in (Cause.VALENCE, Cause.RADICAL):
        faults = [fault for fault in atom_faults(kekulized(mol) or mol) if fault.cause is cause]
        named = [f"{mol.GetAtomWithIdx(f.atom).GetSymbol()}{f.atom + 1} has {f.text}" for f in faults[:_NAMED]]
        return "; ".join(named) + ("; ..." if len(faults) > _NAMED else "")
    if cause is Cause.FRAGMENTS:
        formulas = [_formula(fragment) for fragment in Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)]
        return " + ".join(sorted(formulas, key=len, reverse=True))
    if cause is Cause.SANITIZE:
        with rdBase.BlockLogs():
            problems = Chem.DetectChemistryProblems(mol)
        return str(problems[0].Message()) if problems else ""
    return ""


def _formula(mol: Chem.Mol) -> str:
    copy = Chem.Mol(mol)
    copy.UpdatePropertyCache(strict=False)
    return str(CalcMolFormula(copy))
