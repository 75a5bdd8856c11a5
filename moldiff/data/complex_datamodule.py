"""Anybody's protein-ligand complexes as a data module."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from moldiff.chem.pocket import RADIUS
from moldiff.data.complexes import complex_table, read_index, split_of
from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.loader import BatchSource
from moldiff.data.pocket_batch import Level
from moldiff.data.pocket_sizes import PocketSizes
from moldiff.data.pocket_table import ComplexTable, PocketTable
from moldiff.data.splits import random_split
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable


class ComplexDataModule(MoleculeDataModule):
    """Batches (`ComplexBatch`) of ligands with the pockets that they are bound to.

    To bring your own complexes, make a folder of them: `moldiff prepare-pocket --protein P.pdb --ligand L.sdf --out
    DIR` for each, or write the files yourself:

        index.csv                    a row for each complex; column `id`, and others as you like. If there is a column
                                     `split` (train, val, test), it is heeded; if not, the split is random. A column
                                     `cluster` tells which proteins are alike (see `per_cluster`)
        complexes/<id>/pocket.pdb    the protein around the ligand, or all of it; PDB format
        complexes/<id>/ligand.sdf    one molecule in the same frame, bond orders and charges as they should be;
                                     hydrogens are dropped

    Ligands have heavy atoms only, under `moldiff.chem.vocabulary.DRUG_VOCABULARY`; `vocabulary` and `statistics` are
    those of the ligands. Neither ligands nor pockets are centred. Complexes that cannot be used are left out with a
    warning that counts and names them.

    Args:
        path: the folder.
        level: what a point of a pocket is: a heavy atom ("atom"), or a residue ("residue").
        batch_size: complexes per batch.
        radius: residues with any atom within this distance of the ligand, in Å, are the pocket.
        per_cluster: at most this many complexes of each cluster (column `cluster`) in an epoch of training, drawn anew
            for each epoch; no limit if not given. It keeps large series on one protein from ruling the training. A
            complex without a cluster counts as one of its own.
        val_fraction, test_fraction: of a random split; not used where index.csv has a split.
        num_workers: processes that gather batches; 0 is fast enough for most uses.
        seed: of the random split and of the order of the training batches.
        limit: keep at most this many complexes of each split.

    Raises (in `setup`):
        FileNotFoundError: if there is no index.csv.
        ValueError: if index.csv or no complex can be used, or nothing is left for training.

    Example:
        >>> data = ComplexDataModule("my_complexes", level="residue", batch_size=16)  # doctest: +SKIP
        >>> next(iter(data.train_dataloader())).pocket.pos.shape  # doctest: +SKIP
        torch.Size([16, 83, 3])
    """

    def __init__(
        self,
        path: str | Path,
        level: Level = "atom",
        batch_size: int = 16,
        radius: float = RADIUS,
        per_cluster: int | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        num_workers: int = 0,
        seed: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, seed, limit)
        if per_cluster is not None and per_cluster < 1:
            raise ValueError(f"Got per_cluster={per_cluster}; expected at least 1, or null for no limit")
        self.path, self.level, self.radius, self.per_cluster = path, level, radius, per_cluster
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self._pockets: PocketTable | None = None
        self._clusters: list[str] = []  # of each row of index.csv

    @property
    def pockets(self) -> PocketTable:
        """The pockets of all rows of index.csv; `index` of a split names the rows of its ligands."""
        self.setup()
        assert self._pockets is not None
        return self._pockets

    @property
    def statistics(self) -> Statistics:
        """Of the ligands of the training split, with their sizes by pocket; a large cluster counts as in an epoch."""
        if self._statistics is None:
            clusters = [self._clusters[row] for row in self.train.index.tolist()]
            most, members = self.per_cluster or len(clusters), Counter(clusters)
            weights = [min(1.0, most / members[cluster]) for cluster in clusters]
            sizes = PocketSizes.of(self.train, self.pockets, weights)
            self._statistics = replace(super().statistics, pocket_sizes=sizes)
        return self._statistics

    def load(self) -> TableSplits:
        """Read the cached tables, or make them, and split them."""
        rows = read_index(self.path)
        self._clusters = [row.get("cluster") or f"id {row['id']}" for row in rows]
        given = split_of(rows)
        table = complex_table(self.path, self.level, self.radius)
        self._pockets = table.pockets
        molecules = table.molecules
        if given is None:
            split = random_split(len(molecules), self.val_fraction, self.test_fraction, self.seed)
            return TableSplits(*(molecules.subset(part.tolist()) for part in (split.train, split.val, split.test)))
        parts = (torch.isin(molecules.index, given[part]).nonzero().flatten() for part in ("train", "val", "test"))
        splits = TableSplits(*(molecules.subset(part) for part in parts))
        if not len(splits.train):
            raise ValueError(f"{self.path}: no complex of the training split can be used")
        return splits

    def _source(self, table: MoleculeTable) -> BatchSource[Any]:
        return ComplexTable(table, self.pockets)

    def _groups(self, table: MoleculeTable) -> tuple[list[str] | None, int]:
        if self.per_cluster is None:
            return None, 1
        return [self._clusters[row] for row in table.index.tolist()], self.per_cluster
