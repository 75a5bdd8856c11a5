"""All data modules in one place: who imports this can name any of them in a config by its short name."""

from moldiff.data.datamodule import MoleculeDataModule
from moldiff.data.druglike_datamodule import DrugLikeDataModule
from moldiff.data.qm9_datamodule import QM9DataModule
from moldiff.data.sdf_datamodule import SDFDataModule

__all__ = ["DrugLikeDataModule", "MoleculeDataModule", "QM9DataModule", "SDFDataModule"]
