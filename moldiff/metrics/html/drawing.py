"""A molecule as a drawing (SVG) and as numbers for the 3D viewer. Neither holds any text of the molecule's file."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Geometry import Point3D

from moldiff.chem.arrays import kekulized
from moldiff.chem.raster import viewing_positions

_WIDTH, _HEIGHT = 220, 165  # px
_FAULT = (0.96, 0.62, 0.58)  # colour behind an atom at fault
_FAR = 1e4  # Å
_MARK = "fault"
_NEEDLESS = re.compile(  # comments, names, and styles that are the default
    r"<!--.*?-->\s*| class='[^']*'|fill-rule:evenodd;|stroke-linecap:butt;|stroke-linejoin:miter;|"
    r";?stroke-opacity:1\b|\n"
)


def drawing(mol: Chem.Mol, valid: bool, faults: Collection[int] = ()) -> str:
    """An inline SVG of the structural formula; empty if RDKit cannot draw it.

    Args:
        mol: with hydrogens as atoms; those that say nothing are left out.
        valid: whether RDKit sanitizes it; its stereochemistry is then taken from the coordinates.
        faults: atoms that are marked.
    """
    with rdBase.BlockLogs():
        try:
            flat = _flat(_graph(mol, faults), valid)
            marked = [atom.GetIdx() for atom in flat.GetAtoms() if atom.HasProp(_MARK)]
            canvas = rdMolDraw2D.MolDraw2DSVG(_WIDTH, _HEIGHT)
            options: Any = canvas.drawOptions()  # the stubs know no attributes
            options.clearBackground = False
            options.prepareMolsBeforeDrawing = False
            options.fixedBondLength = 26
            options.padding = 0.07
            canvas.DrawMolecule(
                flat, highlightAtoms=marked, highlightAtomColors=dict.fromkeys(marked, _FAULT), highlightBonds=[]
            )
            canvas.FinishDrawing()
        except (ValueError, RuntimeError):
            return ""
    text = canvas.GetDrawingText()
    paths = _NEEDLESS.sub("", text[text.index(">", text.index("<svg")) + 1 :])
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="structural formula">{paths.strip()}'


def coordinates(mol: Chem.Mol) -> dict[str, Any] | None:
    """For the 3D viewer: elements `e`, coordinates `x` (3 N numbers, Å), bonds `b` (atom, atom, order).

    The molecule is centred and turned to be seen from its broad side. None without coordinates that can be seen.
    """
    if not mol.GetNumConformers():
        return None
    positions = mol.GetConformer().GetPositions()
    if not len(positions) or not np.isfinite(positions).all() or np.abs(positions).max() > _FAR:
        return None
    bonds = (kekulized(mol) or mol).GetBonds()
    orders = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), round(b.GetBondTypeAsDouble()) or 1) for b in bonds]
    return {
        "e": [atom.GetSymbol() for atom in mol.GetAtoms()],
        "x": [round(value, 3) for value in viewing_positions(mol).ravel().tolist()],
        "b": [number for bond in orders for number in bond],
    }


def _graph(mol: Chem.Mol, faults: Collection[int]) -> Chem.RWMol:
    """Elements, charges, bonds and coordinates alone: labels and aliases of a file may say anything."""
    source = kekulized(mol) or mol
    graph = Chem.RWMol()
    for atom in source.GetAtoms():
        bare = Chem.Atom(atom.GetAtomicNum())
        bare.SetFormalCharge(atom.GetFormalCharge())
        bare.SetNoImplicit(True)
        if atom.GetIdx() in faults:
            bare.SetBoolProp(_MARK, True)
        graph.AddAtom(bare)
    for bond in source.GetBonds():
        graph.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType())
    if source.GetNumConformers() and np.isfinite(source.GetConformer().GetPositions()).all():
        conformer = Chem.Conformer(source.GetNumAtoms())
        conformer.Set3D(True)
        for k, (x, y, z) in enumerate(source.GetConformer().GetPositions().tolist()):
            conformer.SetAtomPosition(k, Point3D(x, y, z))
        graph.AddConformer(conformer, assignId=True)
    return graph


def _flat(graph: Chem.RWMol, valid: bool) -> Chem.Mol:
    settings: Any = Chem.RemoveHsParameters()  # the stubs know no attributes
    if valid:
        Chem.SanitizeMol(graph)
        if graph.GetNumConformers():
            Chem.AssignStereochemistryFrom3D(graph)
        settings.removeDefiningBondStereo = True  # also hydrogens of imines
        flat = Chem.RemoveHs(graph, settings)
        Chem.Kekulize(flat, clearAromaticFlags=True)
    else:
        settings.updateExplicitCount = True
        settings.showWarnings = False
        graph.UpdatePropertyCache(strict=False)
        flat = Chem.RemoveHs(graph, settings, sanitize=False)
        flat.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(flat)
    flat.RemoveAllConformers()
    rdDepictor.Compute2DCoords(flat)
    if valid:
        Chem.WedgeMolBonds(flat, flat.GetConformer())
    return flat
