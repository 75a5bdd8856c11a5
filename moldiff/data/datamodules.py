"""All data modules in one place: who imports this can name any of them in a config by its short name."""

from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.datamodule import MoleculeDataModule
from moldiff.data.druglike_datamodule import DrugLikeDataModule
from moldiff.data.mixed_datamodule import MixedDataModule
from moldiff.data.qm9_datamodule import QM9DataModule
from moldiff.data.sdf_datamodule import SDFDataModule
from moldiff.data.shard_datamodule import ShardDataModule

__all__ = [
    "ComplexDataModule",
    "DrugLikeDataModule",
    "MixedDataModule",
    "MoleculeDataModule",
    "QM9DataModule",
    "SDFDataModule",
    "ShardDataModule",
]
