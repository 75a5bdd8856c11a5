"""Broken files of proteins, pockets and complexes: PDB, mmCIF, index.csv."""

import gzip
from collections.abc import Iterator

import gemmi

from tests.bad_input.case import COMPLEX, Case, Content, bomb, cut, no_text

PDB = (COMPLEX / "pocket.pdb").read_bytes()
LIGAND = (COMPLEX / "ligand.sdf").read_bytes()
_ATOM = b"""x


  1  0  0  0  0  0  0  0  0  0999 V2000
    1.0000    0.0000    1.0000 C   0  0
M  END
$$$$
"""
_FIRST = PDB.splitlines(keepends=True)[0]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _proteins()
    yield from _ligands()
    yield from _other_commands()


def prepare(name: str, file: str, content: Content, ligand: Content = LIGAND, named: str = "", skips: str = "") -> Case:
    """`moldiff prepare-pocket` of a protein and a ligand."""
    arguments = ("prepare-pocket", "--protein", file, "--ligand", "ligand.sdf", "--out", "out")
    return Case(f"prepare-pocket: {name}", arguments, {file: content, "ligand.sdf": ligand}, named or file, skips)


def _with(line: bytes) -> bytes:
    """The pocket with another first line."""
    return PDB.replace(_FIRST, line, 1)


def _moved(x: str) -> bytes:
    return _with(_FIRST[:30] + x.rjust(8).encode() + _FIRST[38:])


def _cif() -> bytes:
    text: str = gemmi.read_pdb_string(PDB.decode()).make_mmcif_document().as_string()
    return text.encode()


def _proteins() -> Iterator[Case]:
    lines = PDB.splitlines(keepends=True)
    atoms = [line for line in lines if line.startswith(b"ATOM")]
    within = sum(map(len, lines[:20])) + 40  # in the coordinates of an atom
    pdb: dict[str, Content] = {
        "empty": b"",
        "cut off in an atom": PDB[:within],
        "cut off in the first atom": PDB[:40],
        **no_text(PDB),
        "a ligand": LIGAND,
        "an mmCIF file": _cif(),
        "coordinate NaN": _moved("nan"),
        "coordinate inf": _moved("inf"),
        "coordinate 1e99": _moved("1e99999"),
        "coordinate in words": _moved("here"),
        "atoms twice": PDB.replace(b"END\n", b"") * 2,
        "waters only": b"".join(b"HETATM" + line[6:17] + b"HOH" + line[20:] for line in atoms),
        "hydrogens only": b"".join(line[:12] + b" H  " + line[16:76] + b" H\n" for line in atoms),
        "short lines": b"".join(line[:50] + b"\n" for line in lines),
    }  # fmt: skip
    for name, content in pdb.items():
        yield prepare(f"PDB, {name}", "p.pdb", content)
    yield prepare(
        "PDB, far away", "p.pdb", PDB.replace(b"\nATOM ", b"\nATOM ").replace(_FIRST, _FIRST), _shifted(LIGAND), "A"
    )
    cif = _cif()
    start = cif.index(b"_atom_site.")
    for name, content in {**cut(cif[start:], 3), "blank": b" \n", "UTF-16": cif.decode().encode("utf-16")}.items():
        yield prepare(f"mmCIF, {name}", "p.cif", content)
    for end in (start - 1, start + 30, len(cif) * 3 // 4, len(cif) - 60):
        yield prepare(f"mmCIF, cut off at {end} of {len(cif)}", "p.cif", cif[:end].rstrip()[:-9])
    other = {
        "no blocks": b"# nothing\n",
        "a block only": b"data_x\n",
        "two blocks of one name": b"data_x\n_a.b 1\ndata_x\n",
        "half a loop": b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1\n",
        "an open text": b"data_x\n_a.b\n;never closed\n",
        "unknown coordinates": cif.replace(b"ATOM 1 ", b"ATOM ? ", 1).replace(lines[0][30:38].strip(), b"?", 1),
        "coordinate NaN": cif.replace(lines[0][30:38].strip(), b"nan", 1),
        "no coordinates": cif.replace(b"_atom_site.Cartn_x", b"_atom_site.nothing"),
    }
    for name, content in other.items():
        yield prepare(f"mmCIF, {name}", "p.cif", content)
    packed = gzip.compress(PDB)
    for name, content in {**cut(packed, 3), "not packed": PDB, "bomb": bomb}.items():
        yield prepare(f"PDB.gz, {name}", "p.pdb.gz", content)


def _shifted(sdf: bytes) -> bytes:
    """A molecule 700 Å away."""
    lines = sdf.decode().split("\n")
    count = int(lines[3][:3])
    for k in range(4, 4 + count):
        lines[k] = f"{float(lines[k][:10]) + 700:10.4f}{lines[k][10:]}"
    return "\n".join(lines).encode()


def _ligands() -> Iterator[Case]:
    ligands = {
        **cut(LIGAND, 4),
        **no_text(LIGAND),
        "two molecules": LIGAND * 2,
        "no atoms": b"x\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n",
        "hydrogen only": _ATOM.replace(b"C ", b"H "),
        "a dummy atom": LIGAND.replace(b" C  ", b" R# ", 1),
        "an unknown element": LIGAND.replace(b" C  ", b" Xx ", 1),
        "coordinate NaN": LIGAND.replace(LIGAND.split(b"\n")[4][:10], b"       nan", 1),
    }
    for name, content in ligands.items():
        yield prepare(f"ligand, {name}", "p.pdb", PDB, content, "ligand")


def _other_commands() -> Iterator[Case]:
    wrong = {
        "--center": ("nan,0,0", "1,2", "1,2,3,4", "a,b,c", "inf,0,0", "1e999,0,0"),
        "--residues": ("A:99999", "nonsense", "../x", ":"),
    }
    for option, values in wrong.items():
        for value in values:
            arguments = ("prepare-pocket", "--protein", "p.pdb", f"{option}={value}", "--out", "out")
            yield Case(f"prepare-pocket: {option} {value}", arguments, {"p.pdb": PDB})
    whole = ("prepare-pocket", "--protein", "p.pdb", "--ligand", "ligand.sdf", "--out", "out")
    files: dict[str, Content] = {"p.pdb": PDB, "ligand.sdf": LIGAND}
    for options in (
        "--id=../../escaped",
        "--id=/tmp/escaped",
        "--id=a/b",
        "--id=.",
        "--id=a\nb",
        "--radius=nan",
        "--radius=-1",
        "--radius=0",
        "--split=all",
    ):
        yield Case(f"prepare-pocket: {options!r}", (*whole, options), files)
    indices = {
        "without id": b"name\nx\n",
        "empty": b"",
        "UTF-16": "id\n".encode("utf-16"),
        "a field of 200,000": b'id,"' + b"x" * 200_000 + b'"\n',
    }
    for name, content in indices.items():
        yield Case(f"prepare-pocket: index.csv {name}", whole, {**files, "out/index.csv": content}, "index.csv")
    score = ("evaluate", "--molecules", "ligand.sdf", "--pocket", "p.pdb", "--fast")
    bad = {
        "empty": b"",
        **no_text(PDB),
        "coordinate NaN": _moved("nan"),
        "coordinate in words": _moved("here"),
        "a ligand": LIGAND,
    }
    for name, content in bad.items():
        yield Case(f"evaluate --pocket: {name}", score, {**files, "p.pdb": content}, "p.pdb")
        site = (
            "sample",
            "--model",
            "pocket_model",
            "--num_samples",
            "1",
            "--out",
            "new.sdf",
            "--pocket",
            "p.pdb",
            "--center=1,2,3",
        )
        yield Case(f"sample --pocket: {name}", site, {"p.pdb": content}, "p.pdb", needs_model=True)
    for name, content in {
        **cut(LIGAND, 2),
        "UTF-16": no_text(LIGAND)["UTF-16"],
        "an unknown element": LIGAND.replace(b" C  ", b" Xx ", 1),
    }.items():
        reference = (*score[:2], "ligand.sdf", *score[3:], "--reference_ligand", "bad.sdf")
        yield Case(
            f"evaluate --reference_ligand: {name}", reference, {**files, "bad.sdf": content}, "reference|bad.sdf"
        )
        site = (
            "sample",
            "--model",
            "pocket_model",
            "--num_samples",
            "1",
            "--out",
            "new.sdf",
            "--pocket",
            "p.pdb",
            "--reference_ligand",
            "bad.sdf",
        )
        yield Case(
            f"sample --reference_ligand: {name}", site, {"p.pdb": PDB, "bad.sdf": content}, "bad.sdf", needs_model=True
        )
