"""A whole data set in flat tensors, from which padded batches are gathered without a Python loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays, pair_indices
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.tensor_file import load_tensors, save_tensors

if TYPE_CHECKING:
    from torch_geometric.data import Data

FORMAT_VERSION = 1
_NOTHING = np.empty(0)


def _no_keys() -> Tensor:
    return torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True, eq=False)
class MoleculeTable:
    """M molecules with A atoms and Q packed pairs (see `moldiff.chem.arrays`) in all.

    Molecule m owns the atoms `ptr[m]:ptr[m+1]` and the pairs `pair_ptr[m]:pair_ptr[m+1]`.
    """

    vocabulary: Vocabulary
    pos: Tensor  # (A, 3) float32, Å
    atom_types: Tensor  # (A,) int8, index into vocabulary.elements
    charges: Tensor  # (A,) int8, index into vocabulary.charges
    bond_types: Tensor  # (Q,) int8, bond order
    ptr: Tensor  # (M+1,) int64
    pair_ptr: Tensor  # (M+1,) int64
    index: Tensor  # (M,) int64, the number of each molecule in its source
    properties: Mapping[str, Tensor] = field(default_factory=dict)  # name -> (M,) float64; NaN = unknown
    smiles: Sequence[str] = ()  # canonical, without stereo and hydrogens; empty = unknown
    keys: Tensor = field(default_factory=_no_keys)  # (M,) int64, see moldiff.chem.connectivity; empty = unknown
    metadata: Mapping[str, Any] = field(default_factory=dict)  # source, what was left out, units; JSON types

    @classmethod
    def from_arrays(
        cls,
        molecules: Sequence[MoleculeArrays],
        index: Sequence[int] | None = None,
        properties: Mapping[str, Iterable[float]] | None = None,
        smiles: Sequence[str] = (),
        vocabulary: Vocabulary | None = None,
        metadata: Mapping[str, Any] | None = None,
        keys: Sequence[int] = (),
    ) -> MoleculeTable:
        """Pack molecules whose bonds are known; the vocabulary is found in them unless it is given.

        Raises:
            ValueError: if there is no molecule and no vocabulary, bonds are missing, or a given vocabulary lacks an
                element or charge.
        """
        if not molecules and vocabulary is None:
            raise ValueError("Got no molecules; a MoleculeTable needs at least one, or a vocabulary")
        bond_orders = [m.bond_orders for m in molecules if m.bond_orders is not None]
        if len(bond_orders) < len(molecules):
            raise ValueError(f"Got {len(molecules) - len(bond_orders)} molecules without bonds; perceive them first")
        numbers = np.concatenate([_NOTHING, *(m.atomic_numbers for m in molecules)]).astype(np.int64)
        charges = np.concatenate([_NOTHING, *(m.charges for m in molecules)]).astype(np.int64)
        vocabulary = vocabulary or Vocabulary.from_values(np.unique(numbers).tolist(), np.unique(charges).tolist())
        sizes = np.array([len(m) for m in molecules], dtype=np.int64)
        positions = [m.positions for m in molecules]
        return cls(
            vocabulary=vocabulary,
            pos=torch.from_numpy(np.concatenate([_NOTHING.reshape(0, 3), *positions]).astype(np.float32)),
            atom_types=torch.from_numpy(vocabulary.element_index(numbers).astype(np.int8)),
            charges=torch.from_numpy(vocabulary.charge_index(charges).astype(np.int8)),
            bond_types=torch.from_numpy(np.concatenate([_NOTHING, *bond_orders]).astype(np.int8)),
            ptr=offsets(torch.from_numpy(sizes)),
            pair_ptr=offsets(torch.from_numpy(sizes * (sizes - 1) // 2)),
            index=torch.arange(len(molecules)) if index is None else torch.as_tensor(list(index), dtype=torch.int64),
            properties={k: torch.as_tensor(np.asarray(v, dtype=np.float64)) for k, v in (properties or {}).items()},
            smiles=list(smiles),
            keys=torch.as_tensor(list(keys), dtype=torch.int64),
            metadata=metadata or {},
        )

    @classmethod
    def concatenate(cls, tables: Sequence[MoleculeTable], metadata: Mapping[str, Any] | None = None) -> MoleculeTable:
        """The molecules of several tables of one vocabulary, one table after another.

        What not all of them know (a property, SMILES, keys) is left out.

        Raises:
            ValueError: if there is no table, or the vocabularies differ.
        """
        if len({table.vocabulary for table in tables}) != 1:
            raise ValueError(
                f"Got {len(tables)} tables with vocabularies {', '.join(str(t.vocabulary) for t in tables)}; "
                "expected at least one table, and one vocabulary"
            )
        full = [table for table in tables if len(table)] or list(tables)
        flat = ("pos", "atom_types", "charges", "bond_types", "index")
        names = set.intersection(*(set(table.properties) for table in full))
        return cls(
            vocabulary=tables[0].vocabulary,
            **{name: torch.cat([getattr(table, name) for table in full]) for name in flat},
            ptr=offsets(torch.cat([table.ptr.diff() for table in full])),
            pair_ptr=offsets(torch.cat([table.pair_ptr.diff() for table in full])),
            properties={name: torch.cat([table.properties[name] for table in full]) for name in sorted(names)},
            smiles=[text for t in full for text in t.smiles] if all(len(t.smiles) == len(t) for t in full) else (),
            keys=torch.cat([t.keys for t in full]) if all(len(t.keys) == len(t) for t in full) else _no_keys(),
            metadata=metadata or {},
        )

    def __len__(self) -> int:
        """Number of molecules M."""
        return len(self.index)

    @property
    def sizes(self) -> Tensor:
        """Number of atoms of each molecule, (M,) int64."""
        return self.ptr.diff()

    def batch(self, indices: Sequence[int] | Tensor) -> MolBatch:
        """The molecules at the places `indices` (B,), padded to the largest of them."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        starts, sizes = self.ptr[rows], self.ptr[rows + 1] - self.ptr[rows]
        width = int(sizes.max()) if len(rows) else 0
        atoms, mask = padded(starts, sizes, width, len(self.pos))
        pairs, pair_mask = padded(
            self.pair_ptr[rows], sizes * (sizes - 1) // 2, width * (width - 1) // 2, len(self.bond_types)
        )
        return MolBatch(
            pos=self.pos[atoms].where(
                mask[..., None], 0
            ),  # no product: padding may show an atom whose place is no number
            atom_types=self.atom_types[atoms].long() * mask,
            charges=self.charges[atoms].long() * mask,
            bond_types=(self.bond_types[pairs].long() if len(self.bond_types) else pairs) * pair_mask,
            mask=mask,
            properties={name: values[rows].float() for name, values in self.properties.items()},
            index=self.index[rows],
        )

    def __getitems__(self, indices: Sequence[int]) -> MolBatch:
        """What a `DataLoader` with a batch sampler calls."""
        return self.batch(indices)

    def __getitem__(self, i: int) -> MolBatch:
        """A batch of one molecule."""
        return self.batch([range(len(self))[i]])

    def molecule(self, i: int) -> MoleculeArrays:
        """One molecule as numpy arrays, with values in place of class indices."""
        i = range(len(self))[i]
        atoms, pairs = slice(self.ptr[i], self.ptr[i + 1]), slice(self.pair_ptr[i], self.pair_ptr[i + 1])
        return MoleculeArrays(
            atomic_numbers=np.array(self.vocabulary.atomic_numbers)[self.atom_types[atoms].numpy()],
            positions=self.pos[atoms].numpy().astype(np.float64),
            charges=np.array(self.vocabulary.charges)[self.charges[atoms].numpy()],
            bond_orders=self.bond_types[pairs].numpy().copy(),
        )

    def data(self, i: int) -> Data:
        """One molecule as a PyG `Data`: `z`, `pos`, `formal_charges`, `edge_index` both ways, `edge_attr` = order."""
        from torch_geometric.data import Data

        molecule = self.molecule(i)
        assert molecule.bond_orders is not None
        place = np.flatnonzero(molecule.bond_orders)
        a, b = (torch.from_numpy(side[place]) for side in pair_indices(len(molecule)))
        orders = torch.from_numpy(molecule.bond_orders[place]).long()
        extra: dict[str, Any] = {name: values[i : i + 1 or None] for name, values in self.properties.items()}
        if self.smiles:
            extra["smiles"] = self.smiles[i]
        return Data(
            z=torch.from_numpy(molecule.atomic_numbers),
            pos=torch.from_numpy(molecule.positions).float(),
            formal_charges=torch.from_numpy(molecule.charges),
            edge_index=torch.stack([torch.cat([a, b]), torch.cat([b, a])]),
            edge_attr=torch.cat([orders, orders]),
            idx=self.index[i : i + 1 or None],
            **extra,
        )

    def subset(self, indices: Sequence[int] | Tensor) -> MoleculeTable:
        """A table of the molecules at the places `indices`, in that order, with the same vocabulary and metadata."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return MoleculeTable(
            vocabulary=self.vocabulary,
            pos=_take(self.pos, self.ptr, rows),
            atom_types=_take(self.atom_types, self.ptr, rows),
            charges=_take(self.charges, self.ptr, rows),
            bond_types=_take(self.bond_types, self.pair_ptr, rows),
            ptr=offsets(self.sizes[rows]),
            pair_ptr=offsets(self.pair_ptr.diff()[rows]),
            index=self.index[rows],
            properties={name: values[rows] for name, values in self.properties.items()},
            smiles=[self.smiles[i] for i in rows.tolist()] if self.smiles else (),
            keys=self.keys[rows] if len(self.keys) else self.keys,
            metadata=self.metadata,
        )

    def recoded(self, vocabulary: Vocabulary) -> MoleculeTable:
        """The same molecules in the classes of another vocabulary.

        Raises:
            ValueError: if it lacks an element, charge or bond order that occurs in them.
        """
        if vocabulary == self.vocabulary:
            return self
        if len(self.bond_types) and self.bond_types.max() >= len(vocabulary.bond_orders):
            raise ValueError(f"Got bond order {self.bond_types.max()}; expected one of {vocabulary.bond_orders}")
        numbers = np.array(self.vocabulary.atomic_numbers)[self.atom_types.numpy()]
        charges = np.array(self.vocabulary.charges)[self.charges.numpy()]
        return replace(
            self,
            vocabulary=vocabulary,
            atom_types=torch.from_numpy(vocabulary.element_index(numbers).astype(np.int8)),
            charges=torch.from_numpy(vocabulary.charge_index(charges).astype(np.int8)),
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file with a format version and a checksum, atomically."""
        header = {"vocabulary": self.vocabulary.to_dict(), "metadata": dict(self.metadata)}
        save_tensors(path, "table", FORMAT_VERSION, self._tensors(), header)

    @classmethod
    def load(cls, path: str | Path) -> MoleculeTable:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            TableFileError: if the file is cut off, damaged, or of another version.
        """
        tensors, header = load_tensors(path, "table", FORMAT_VERSION)
        smiles = bytes(tensors.pop("smiles").numpy()).decode()
        properties = {k.removeprefix("property."): tensors.pop(k) for k in list(tensors) if k.startswith("property.")}
        return cls(
            vocabulary=Vocabulary.from_dict(header["vocabulary"]),
            properties=properties,
            smiles=smiles.split("\n") if smiles else (),
            metadata=header["metadata"],
            **tensors,
        )

    @classmethod
    def mapped(cls, path: str | Path) -> MoleculeTable:
        """The same without SMILES and without a look at the checksum: the file is mapped, and read when it is needed.

        Raises:
            FileNotFoundError: if there is no such file.
            TableFileError: if the file is cut off or of another version.
        """
        tensors, header = load_tensors(path, "table", FORMAT_VERSION, mapped=True)
        del tensors["smiles"]
        names = [name for name in tensors if name.startswith("property.")]
        properties = {name.removeprefix("property."): tensors.pop(name) for name in names}
        vocabulary = Vocabulary.from_dict(header["vocabulary"])
        return cls(vocabulary, properties=properties, smiles=(), metadata=header["metadata"], **tensors)

    def _tensors(self) -> dict[str, Tensor]:
        names: tuple[str, ...] = ("pos", "atom_types", "charges", "bond_types", "ptr", "pair_ptr", "index")
        if len(self.keys):
            names = (*names, "keys")
        text = np.frombuffer("\n".join(self.smiles).encode(), dtype=np.uint8).copy()
        return {
            **{name: getattr(self, name).contiguous() for name in names},
            **{f"property.{name}": values.contiguous() for name, values in self.properties.items()},
            "smiles": torch.from_numpy(text),
        }


def offsets(lengths: Tensor) -> Tensor:
    """(M,) lengths to (M+1,) offsets."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def padded(starts: Tensor, lengths: Tensor, width: int, total: int) -> tuple[Tensor, Tensor]:
    """Places (B, width) of the entries of each row in the flat tensor, and the mask of the real ones."""
    steps = torch.arange(width)
    return (starts[:, None] + steps).clamp_(max=max(total - 1, 0)), steps < lengths[:, None]


def _take(values: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    """The entries of the given rows, one row after another. Slices are copied since they are faster than any gather."""
    array = values.numpy()
    parts = [array[first:last] for first, last in zip(ptr[rows].tolist(), ptr[rows + 1].tolist(), strict=True)]
    return torch.from_numpy(np.concatenate([array[:0], *parts]))
