"""Which molecules are distinct, and which are new: canonical SMILES and compact sets of their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HASH_BYTES = 5


@dataclass(frozen=True)
class HashSet:
    """A set of strings of which only truncated hashes are kept.

    40 bits of BLAKE2b are kept of each string. A string that is not in a set of M strings is taken for a member with
    probability M / 2^40, which is 1e-7 for the 100,000 training molecules of QM9.
    """

    hashes: NDArray[np.uint64]  # (M,) sorted, distinct

    @classmethod
    def of(cls, strings: Iterable[str]) -> HashSet:
        """The set of these strings."""
        return cls(np.unique(_hashes(list(strings))))

    @classmethod
    def from_bytes(cls, data: bytes) -> HashSet:
        """Undo `to_bytes`.

        Raises:
            ValueError: if `data` is not a sorted list of hashes.
        """
        if len(data) % HASH_BYTES:
            raise ValueError(f"Got {len(data)} bytes of hashes; expected a multiple of {HASH_BYTES}")
        hashes = _to_integers(np.frombuffer(data, dtype=np.uint8).reshape(-1, HASH_BYTES))
        if (hashes[1:] <= hashes[:-1]).any():
            raise ValueError("Got hashes out of order; expected a sorted list: the data is damaged")
        return cls(hashes)

    def to_bytes(self) -> bytes:
        """The sorted hashes, `HASH_BYTES` big-endian bytes each."""
        return self.hashes.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - HASH_BYTES :].tobytes()

    def __len__(self) -> int:
        """Number of strings."""
        return len(self.hashes)

    def contains(self, strings: Sequence[str]) -> NDArray[np.bool_]:
        """For each of K strings whether it is in the set, (K,)."""
        wanted = _hashes(strings)
        if len(self) == 0:
            return np.zeros(len(wanted), dtype=bool)
        place = np.minimum(np.searchsorted(self.hashes, wanted), len(self) - 1)
        return np.asarray(self.hashes[place] == wanted)


def _hashes(strings: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(s.encode(), digest_size=HASH_BYTES).digest() for s in strings)
    return _to_integers(np.frombuffer(digests, dtype=np.uint8).reshape(-1, HASH_BYTES))


def _to_integers(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    padded = np.zeros((len(digests), 8), dtype=np.uint8)
    padded[:, 8 - HASH_BYTES :] = digests
    return padded.view(">u8").astype(np.uint64).ravel()
