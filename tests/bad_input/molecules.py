"""Broken files of molecules: SDF, XYZ, .npz, SMILES."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.bad_input.case import FIXTURES, Case, Content, bomb, cut, no_text

SDF = b"".join(record + b"$$$$\n" for record in (FIXTURES / "qm9_200.sdf").read_bytes().split(b"$$$$\n")[4:6])
XYZ = b"3\nwater\nO 0.0 0.0 0.117\nH 0.0 0.757 -0.469\nH 0.0 -0.757 -0.469\n"
TRICKS = (
    "../../../../tmp/moldiff-escaped",
    "/etc/passwd",
    "C:\\windows\\x",
    "<script>alert(1)</script>",
    "%s%n" * 50,
    "A" * 100_000,
)


def evaluate(kind: str, name: str, file: str, content: Content, named: str = "", **more: Any) -> Case:
    """`moldiff evaluate` of one file."""
    arguments = ("evaluate", "--molecules", file, "--reference", "null", "--metrics", "basic")
    return Case(f"evaluate {kind}: {name}", arguments, {file: content}, named or file, **more)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _sdf()
    yield from _packed()
    yield from _xyz()
    yield from _npz()
    yield from _smiles()
    yield from _other_commands()


def _molfile(
    name: str = "water", counts: str = "  3  2", atoms: str = "", bonds: str = "", tail: str = "M  END"
) -> str:
    atoms = atoms or "".join(
        f"{x:10.4f}{0:10.4f}{0.1:10.4f} {e:<3} 0  0\n" for e, x in (("O", 0), ("H", 0.96), ("H", -0.96))
    )
    bonds = bonds or "  1  2  1  0\n  1  3  1  0\n"
    return f"{name}\n  x\n\n{counts}  0  0  0  0  0  0  0  0999 V2000\n{atoms}{bonds}{tail}\n$$$$\n"


def _sdf() -> Iterator[Case]:
    for name, content in {**cut(SDF, 12), **no_text(SDF)}.items():
        yield evaluate("SDF", name, "x.sdf", content)
    line = "{:>10}    0.0000    0.1000 {:<3} 0  0\n"
    rest = line.format("0.9600", "H") + line.format("-0.9600", "H")
    records = {
        "more atoms than there are": _molfile(counts="999999"),
        "negative counts": _molfile(counts=" -3 -2"),
        "counts in words": _molfile(counts="  a  b"),
        "zero atoms": _molfile(counts="  0  0", atoms="\n", bonds="\n"),
        "coordinate NaN": _molfile(atoms=line.format("nan", "O") + rest),
        "coordinate inf": _molfile(atoms=line.format("inf", "O") + rest),
        "coordinate 1e400": _molfile(atoms=line.format("1e400", "O") + rest),
        "coordinate in words": _molfile(atoms=line.format("here", "O") + rest),
        "element Xx": _molfile(atoms=line.format("0.0000", "Xx") + rest),
        "element <b>": _molfile(atoms=line.format("0.0000", "<b>") + rest),
        "bond with atom 0": _molfile(bonds="  1  0  1  0\n  1  3  1  0\n"),
        "bond with atom 99": _molfile(bonds="  1 99  1  0\n  1  3  1  0\n"),
        "bond with itself": _molfile(bonds="  1  1  1  0\n  1  3  1  0\n"),
        "bond twice": _molfile(bonds="  1  2  1  0\n  2  1  1  0\n"),
        "charge of atom 77": _molfile(tail="M  CHG  1  77   1\nM  END"),
        "no M  END": _molfile(tail=""),
        "V3000 without atoms": _molfile().replace("V2000", "V3000"),
        "V9000": _molfile().replace("V2000", "V9000"),
        "delimiters only": "$$$$\n" * 3,
    }  # fmt: skip
    for name, text in records.items():
        yield evaluate("SDF", name, "x.sdf", text.encode(), skips=r"record.* 1\b")
        yield evaluate("SDF, second record", name, "x.sdf", (_molfile() + text).encode(), skips=r"record.* 2\b")
    judged = {  # known to RDKit, and not to the strict rule
        **{f"element {e}": _molfile(atoms=line.format("0.0", e) + rest) for e in ("R#", "*", "D")},
        "bond of order 77": _molfile(bonds="  1  2 77  0\n  1  3  1  0\n"),
        "charge 999999": _molfile(tail="M  CHG  1   1 999999\nM  END"),
    }
    for name, text in judged.items():
        yield evaluate("SDF", name, "x.sdf", text.encode(), skips="molecules requested")
    same = _molfile(atoms=line.format("0.0000", "O") + 2 * line.format("0.0000", "H"))
    yield evaluate("SDF", "atoms on top of each other", "x.sdf", same.encode(), skips="molecules")


def _packed() -> Iterator[Case]:
    whole = gzip.compress(SDF)
    for name, content in {**cut(whole, 5), "not packed": SDF, "wrong checksum": whole[:-8] + bytes(8)}.items():
        yield evaluate("SDF.gz", name, "x.sdf.gz", content)
    yield evaluate("SDF.gz", "bomb", "x.sdf.gz", bomb)
    yield evaluate("SDF.gz", "packed noise", "x.sdf.gz", gzip.compress(bytes(range(256)) * 9))


def _xyz() -> Iterator[Case]:
    for name, content in {**cut(XYZ.rstrip(), 7), **no_text(XYZ)}.items():
        yield evaluate("XYZ", name, "x.xyz", content)
    texts = {
        "count 10^15": XYZ.replace(b"3\n", b"1000000000000000\n", 1),
        "count of 5000 digits": XYZ.replace(b"3\n", b"9" * 5000 + b"\n", 1),
        "count -3": XYZ.replace(b"3\n", b"-3\n", 1),
        "count 3.0": XYZ.replace(b"3\n", b"3.0\n", 1),
        "count too small": XYZ.replace(b"3\n", b"2\n", 1),
        "count too large": XYZ.replace(b"3\n", b"4\n", 1),
        "count ³": XYZ.replace(b"3\n", "³\n".encode(), 1),
        "element Xx": XYZ.replace(b"O ", b"Xx "),
        "element 0": XYZ.replace(b"O ", b"0 "),
        "element 119": XYZ.replace(b"O ", b"119 "),
        "element of 5000 digits": XYZ.replace(b"O ", b"9" * 5000 + b" "),
        "element *": XYZ.replace(b"O ", b"* "),
        "coordinate NaN": XYZ.replace(b"0.757", b"nan"),
        "coordinate inf": XYZ.replace(b"0.757", b"inf"),
        "coordinate -1e999": XYZ.replace(b"0.757", b"1e999"),
        "coordinate 1e300": XYZ.replace(b"0.757", b"1e300"),
        "coordinate in words": XYZ.replace(b"0.757", b"there"),
        "decimal commas": XYZ.replace(b".", b","),
        "two columns": XYZ.replace(b"0.757 -0.469", b"0.757"),
        "an SDF file": SDF,
    }  # fmt: skip
    for name, content in texts.items():
        yield evaluate("XYZ", name, "x.xyz", content)
    yield evaluate("XYZ", "zero atoms", "x.xyz", b"0\nnothing\n" + XYZ, skips=r"record.* 1\b")
    yield evaluate("XYZ", "atoms on top of each other", "x.xyz", XYZ.replace(b"-0.757", b"0.757"), skips="molecules")
    yield evaluate("XYZ", "all atoms in one place", "x.xyz", b"9\n\n" + b"C 1 1 1\n" * 9, skips="molecules")
    yield evaluate("XYZ", "1000 atoms", "x.xyz", _cloud(1000), skips="molecules")


def _cloud(count: int) -> bytes:
    points = np.random.default_rng(0).uniform(0, 12, (count, 3))
    return (f"{count}\n\n" + "".join(f"C {x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in points)).encode()


def _saved(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _npz() -> Iterator[Case]:
    positions, numbers = np.arange(9.0).reshape(3, 3), np.array([8, 1, 1])
    good = {"positions": positions, "numbers": numbers, "num_atoms": np.array([3])}
    for name, content in {
        **cut(_saved(**good), 6),
        **no_text(b"plain text"),
        "a zip file": _zipped("a.txt", b"x"),
    }.items():
        yield evaluate("npz", name, "x.npz", content)
    wrong: dict[str, dict[str, Any]] = {
        "other names": {"pos": positions, "z": numbers},
        "no sizes": {"positions": positions, "numbers": numbers},
        "sizes too small": {**good, "num_atoms": np.array([2])},
        "negative sizes": {**good, "num_atoms": np.array([-1, 4])},
        "sizes of 10^18": {**good, "num_atoms": np.array([2**62, 2**62, 2**62, 2**62, 3])},
        "sizes in words": {**good, "num_atoms": np.array(["three"])},
        "fractional sizes": {**good, "num_atoms": np.array([1.5, 1.5])},
        "no molecules": {"num_atoms": numbers[:0], "numbers": numbers[:0], "positions": positions[:0]},
        "two columns": {**good, "positions": positions[:, :2]},
        "four dimensions": {**good, "positions": positions[None, None], "numbers": numbers[None, None]},
        "single numbers": {"positions": np.float64(1), "numbers": np.int64(6), "num_atoms": np.int64(1)},
        "too few positions": {**good, "positions": positions[:2]},
        "coordinate NaN": {**good, "positions": np.full((3, 3), np.nan)},
        "coordinate inf": {**good, "positions": np.full((3, 3), np.inf)},
        "complex coordinates": {**good, "positions": positions * 1j},
        "coordinates in words": {**good, "positions": np.full((3, 3), "here")},
        "dates": {**good, "positions": np.full((3, 3), np.datetime64("2020-01-01"))},
        "element 0": {**good, "numbers": np.array([0, 1, 1])},
        "element 119": {**good, "numbers": np.array([119, 1, 1])},
        "element -6": {**good, "numbers": np.array([-6, 1, 1])},
        "element 6.5": {**good, "numbers": np.array([6.5, 1, 1])},
        "element NaN": {**good, "numbers": np.array([np.nan, 1, 1])},
        "element 2^63": {**good, "numbers": np.array([2**63, 1, 1], dtype=np.uint64)},
        "Python objects": {**good, "positions": np.array([[object()] * 3] * 3, dtype=object)},
    }  # fmt: skip
    wrong["Python objects"]["positions"] = np.array([[None] * 3] * 3, dtype=object)
    for name, arrays in wrong.items():
        yield evaluate("npz", name, "x.npz", lambda arrays=arrays: _saved(**arrays))
    yield evaluate(
        "npz", "bomb", "x.npz", lambda: _saved(**{**good, "positions": np.zeros(110_000_000, dtype=np.int8)})
    )
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)})
    yield evaluate("npz", "an array of 10^12 rows", "x.npz", _zipped("positions.npy", header.getvalue() + bytes(64)))
    yield evaluate("npz", "a path as name", "x.npz", _zipped("../../tmp/moldiff-escaped.npy", b"\x93NUMPY"))


def _zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def _smiles() -> Iterator[Case]:
    for name in ("blank", "UTF-16", "zero bytes", "noise"):
        yield evaluate(
            "SMILES", name, "x.smi", no_text(b"CCO\nC1CC1\n")[name], skips=r"record.* 1\b" if name != "blank" else ""
        )
    yield evaluate("SMILES", "empty", "x.smi", b"")
    lines = {
        "no SMILES": b"hello", "an open ring": b"C1CC", "open brackets": b"C(" * 2_000, "closed brackets": b"C)",
        "an unknown element": b"[Xx]", "five bonds": b"C(C)(C)(C)(C)C", "90,000 atoms": b"C" * 90_000,
        "1,000 fragments": b".".join([b"C"] * 1_000),
        "a charge of 10^9": b"[C+999999999]", "30,000 fragments": b".".join([b"C"] * 30_000),
        "an isotope": b"[99999999999C]",
    }  # fmt: skip
    yield evaluate("SMILES", "1,999 atoms", "x.smi", b"C" * 1_999, skips="1,999|1999")
    for name, line in lines.items():
        yield evaluate("SMILES", name, "x.smi", b"CCO\n" + line + b"\n", skips=r"record.* 2\b|50\.0")


def _other_commands() -> Iterator[Case]:
    report = ("report", "--molecules", "x.sdf", "--out", "x.html", "--reference", "null", "--metrics", "basic")
    bad = {**cut(SDF, 2), "blank": b"\n \n", "UTF-16": SDF.decode().encode("utf-16")}
    for name, content in bad.items():
        yield Case(f"report: {name}", report, {"x.sdf": content}, "x.sdf")
        against = ("evaluate", "--molecules", "good.sdf", "--reference", "x.sdf", "--metrics", "basic")
        yield Case(f"reference: {name}", against, {"x.sdf": content, "good.sdf": SDF}, "x.sdf")
        fix = ("sample", "--model", "model", "--num_samples", "1", "--out", "new.sdf", "--fix", "x.sdf")
        yield Case(f"fix: {name}", fix, {"x.sdf": content}, "x.sdf", needs_model=True)
    fix = ("sample", "--model", "model", "--num_samples", "1", "--out", "new.sdf", "--fix", "x.sdf")
    line = "{:>10}    0.0000    0.1000 {:<3} 0  0\n"
    fragments = {
        "zero atoms": _molfile(counts="  0  0", atoms="\n", bonds="\n"),
        "no valence left": _molfile(),
        "coordinate 1e9": _molfile(counts="  1  0", atoms=line.format("999999999", "C"), bonds="\n"),
        "gold": _molfile(counts="  1  0", atoms=line.format("0.0", "Au"), bonds="\n"),
    }
    for name, text in fragments.items():
        yield Case(f"fix: {name}", fix, {"x.sdf": text.encode()}, "", needs_model=True)
    for name, content in {
        "latin-1": b"\xe9\xe8\n",
        "UTF-16": "CCO\n".encode("utf-16"),
        "noise": bytes(range(256)),
    }.items():
        arguments = ("evaluate", "--molecules", "good.sdf", "--reference", "x.smi", "--metrics", "basic")
        yield Case(f"reference of SMILES: {name}", arguments, {"x.smi": content, "good.sdf": SDF}, "x.smi")
    for trick in TRICKS:
        text = _molfile(name=trick) + ">  <" + trick[:50] + f">\n{trick[:1000]}\n\n"
        yield Case(
            f"report: title {trick[:30]!r}",
            report,
            {"x.sdf": text.replace("$$$$\n", "", 1).encode() + b"$$$$\n"},
            skips="Written to x.html",
        )
    for name in ("x.mol2", "x", "x.sdf/", "x.sdf.zip", "x.SDF.GZ.exe"):
        yield Case(
            f"evaluate: a file called {name}",
            ("evaluate", "--molecules", name),
            {name.strip("/") + ("/y" if "/" in name else ""): SDF},
            "x",
        )
    yield Case("evaluate: two files", ("evaluate", "--molecules", "a.sdf", "b.sdf"), {"a.sdf": SDF}, "b.sdf")
    yield Case("evaluate: a name with a zero byte", ("evaluate", "--molecules", "a\0.sdf"), {}, "sdf")
