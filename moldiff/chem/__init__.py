"""Molecules and protein pockets: arrays, vocabularies, valence, bond lengths, files, pictures. Without torch."""

from moldiff.chem.arrays import MoleculeArrays, from_mol, pair_indices, sanitized, to_mol
from moldiff.chem.bond_lengths import edm_bond_orders
from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.force_field import relax
from moldiff.chem.perception import perceive_bonds
from moldiff.chem.picture import grid_picture
from moldiff.chem.pocket import Pocket, select_pocket
from moldiff.chem.protein_files import read_pocket, write_pocket_pdb
from moldiff.chem.view import movie_3d, view_3d
from moldiff.chem.vocabulary import DRUG_VOCABULARY, Vocabulary

__all__ = [
    "DRUG_VOCABULARY",
    "MoleculeArrays",
    "MoleculeWriter",
    "Pocket",
    "Vocabulary",
    "edm_bond_orders",
    "from_mol",
    "grid_picture",
    "movie_3d",
    "pair_indices",
    "perceive_bonds",
    "read_molecules",
    "read_pocket",
    "relax",
    "sanitized",
    "select_pocket",
    "to_mol",
    "view_3d",
    "write_pocket_pdb",
]
