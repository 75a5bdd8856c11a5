"""The folder layout of CrossDocked2020 that papers on structure-based design use ("crossdocked_pocket10").

`<target>/<name>_pocket10.pdb` stands beside `<target>/<name>.sdf`, and `split_by_name.pt` holds the lists of pairs of
their names for training and test (Luo et al. 2021, https://arxiv.org/abs/2203.10446; Peng et al. 2022,
https://arxiv.org/abs/2205.07249). `index.pkl` and LMDB files of pickled dictionaries are not read: a pickle may run any
program.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path, PurePosixPath

import torch
from rdkit import Chem
from tqdm import tqdm

from moldiff.chem.arrays import to_mol
from moldiff.chem.protein_files import read_pocket
from moldiff.data.complex_folder import add_complex
from moldiff.data.complexes import INDEX, read_ligand
from moldiff.data.sdf import LeftOut, summary

_PARTS = {"train": "train", "val": "val", "valid": "val", "test": "test"}

_logger = logging.getLogger(__name__)


def read_split(path: str | Path) -> list[tuple[str, str, str]]:
    """Part ("train", "val" or "test"), name of the pocket's file and name of the ligand's file of each pair.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds anything but a dictionary from parts to lists of pairs of names; it is read without
            running what a pickle may hold.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the list of pairs, split_by_name.pt")
    try:
        parts = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises many kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: got no plain PyTorch file ({reason}); expected lists of names") from error
    found = []
    for part, pairs in parts.items() if isinstance(parts, dict) else ():
        for pair in pairs if part in _PARTS and isinstance(pairs, list | tuple) else ():
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
                raise ValueError(f"{path}: got {pair!r}; expected pairs of names (pocket, ligand)")
            if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in pair):
                raise ValueError(f"{path}: got {pair!r}; expected names within the folder")
            found.append((_PARTS[part], pair[0], pair[1]))
    if not found:
        raise ValueError(f"{path}: got no pairs; expected a dictionary with lists 'train' and 'test'")
    return found


def convert_pocket10(folder: str | Path, split_file: str | Path, out: str | Path) -> Path:
    """Write the pairs of a split as a folder of complexes, for `ComplexDataModule`.

    The ids are the names of the ligands' files with `/` replaced by `.`; the names of the targets become `cluster`.
    Pairs that cannot be used are left out with a warning. All is written to `out` with the ending `.partial`, which is
    renamed at the end.

    Args:
        folder: where the targets' folders are.
        split_file: split_by_name.pt.
        out: the folder to make.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: if the folder or the split file does not exist.
        FileExistsError: if `out` or its partial folder exists.
        ValueError: if the split file cannot be used, or no pair can be.
    """
    folder, out = Path(folder), Path(out)
    partial = out.with_name(f"{out.name}.partial")
    for path in (out, partial):
        if path.exists():
            raise FileExistsError(f"{path} exists; move it away, or choose another name")
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected <target>/<name>_pocket10.pdb in it")
    pairs = read_split(split_file)
    left_out: list[LeftOut] = []
    for number, (part, pocket, ligand) in enumerate(tqdm(pairs, "Converting complexes", disable=None), 1):
        try:
            _convert(folder, part, pocket, ligand, partial)
        except (ValueError, FileNotFoundError) as error:
            left_out.append(LeftOut(ligand, number, str(error).replace(f"{folder}/", "")))
    if left_out:
        _logger.warning("%s", summary(left_out, len(pairs)))
    if not (partial / INDEX).exists():
        shutil.rmtree(partial, ignore_errors=True)
        raise ValueError(f"{folder}: no pair of {split_file} can be used. {summary(left_out, len(pairs))}")
    os.rename(partial, out)
    return out


def _convert(folder: Path, part: str, pocket: str, ligand: str, out: Path) -> None:
    protein = read_pocket(folder / pocket)
    arrays, _ = read_ligand(folder / ligand)
    mol = to_mol(arrays, hydrogens=False)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol)
    name = ligand.removesuffix(".sdf").replace("/", ".")
    mol.SetProp("_Name", name)
    row = {
        "split": part,
        "source": "CrossDocked2020",
        "cluster": PurePosixPath(ligand).parent.name,
        "smiles": Chem.MolToSmiles(mol),
        "num_heavy_atoms": len(arrays),
        "num_pocket_residues": protein.num_residues,
        "min_distance": f"{protein.distances(arrays.positions).min():.3f}",
    }
    add_complex(out, name, protein, mol, row)
