"""Reading BinaryCIF (Sehnal et al. 2020): tables of columns, packed with MessagePack."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}

_MOST = 1_000_000_000  # values in a column; the PDB has 10 million atoms of ligands

Table = Mapping[str, NDArray[Any]]


def read_bcif(path: str | Path, columns: Mapping[str, tuple[str, ...]]) -> dict[str, Table]:
    """The named columns of the named tables (`{"_chem_comp_atom": ("comp_id", ...)}`) of a file's first block.

    Numbers that the file marks as absent become NaN (the column is then of floats), texts become "".

    Raises:
        ModuleNotFoundError: if msgpack is not installed.
        ValueError: if the file is no BinaryCIF file or lacks a table or column.
    """
    try:
        import msgpack
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "BinaryCIF is read with msgpack, which is not installed: pip install msgpack"
        ) from error
    try:
        (block, *_) = msgpack.unpackb(Path(path).read_bytes(), max_array_len=10_000_000)["dataBlocks"]
        tables = {table["name"]: {c["name"]: c for c in table["columns"]} for table in block["categories"]}
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        raise ValueError(f"{path} is no BinaryCIF file, or it is cut off ({error}); copy it again") from error
    missing = [f"{name}.{c}" for name, wanted in columns.items() for c in wanted if c not in tables.get(name, {})]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; expected a dictionary of chemical components")
    try:
        return {name: {c: _column(tables[name][c]) for c in wanted} for name, wanted in columns.items()}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{path} is damaged: a column cannot be decoded ({error}); copy it again") from error


def _column(column: Mapping[str, Any]) -> NDArray[Any]:
    values = _decode(column["data"]["data"], column["data"]["encoding"])
    if column.get("mask") is None:
        return values
    absent = _decode(column["mask"]["data"], column["mask"]["encoding"]) != 0
    return np.where(absent, np.array("" if values.dtype.kind == "U" else np.nan), values)


def _decode(data: Any, encodings: list[Mapping[str, Any]]) -> NDArray[Any]:
    """Undo the encodings, the last one first."""
    for encoding in reversed(encodings):
        data = _DECODERS[encoding["kind"]](data, encoding)
    return np.asarray(data)


# One decoder for each kind of encoding; each takes the data and the parameters of the encoding.


def _byte_array(data: bytes, encoding: Mapping[str, Any]) -> NDArray[Any]:
    return np.frombuffer(data, dtype=_TYPES[encoding["type"]])


def _fixed_point(data: NDArray[Any], encoding: Mapping[str, Any]) -> NDArray[Any]:
    return np.asarray(data / float(encoding["factor"]))


def _interval(data: NDArray[Any], encoding: Mapping[str, Any]) -> NDArray[Any]:
    step = (encoding["max"] - encoding["min"]) / (encoding["numSteps"] - 1)
    return np.asarray(encoding["min"] + data * float(step))


def _run_length(data: NDArray[Any], encoding: Mapping[str, Any]) -> NDArray[Any]:
    if data[1::2].sum(dtype=np.float64) > _MOST:
        raise ValueError(f"a run of more than {_MOST:,} values")
    return np.repeat(data[::2], data[1::2])


def _delta(data: NDArray[Any], encoding: Mapping[str, Any]) -> NDArray[Any]:
    return np.asarray(np.cumsum(data, dtype=np.int64) + encoding["origin"])


def _integer_packing(data: NDArray[Any], encoding: Mapping[str, Any]) -> NDArray[Any]:
    """A number is the sum of entries up to and including the first that is not at the end of the range."""
    limits = np.iinfo(data.dtype)
    go_on = (data == limits.max) | ((data == limits.min) & (not encoding["isUnsigned"]))
    ends = np.flatnonzero(~go_on)
    sums = np.cumsum(data, dtype=np.int64)[ends]
    return np.diff(sums, prepend=0)


def _string_array(data: bytes, encoding: Mapping[str, Any]) -> NDArray[Any]:
    offsets = _decode(encoding["offsets"], encoding["offsetEncoding"]).tolist()
    text = encoding["stringData"]
    words = np.array([text[a:b] for a, b in pairwise(offsets)] + [""])  # -1 = absent
    return np.asarray(words[_decode(data, encoding["dataEncoding"])])


_DECODERS: dict[str, Any] = {
    "ByteArray": _byte_array,
    "FixedPoint": _fixed_point,
    "IntervalQuantization": _interval,
    "RunLength": _run_length,
    "Delta": _delta,
    "IntegerPacking": _integer_packing,
    "StringArray": _string_array,
}
