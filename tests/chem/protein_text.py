"""Lines of PDB and mmCIF files for tests."""

from collections.abc import Iterable


def atom(
    name: str,
    residue: str,
    number: int,
    xyz: tuple[float, float, float],
    chain: str = "A",
    altloc: str = " ",
    code: str = " ",
    occupancy: float = 1.0,
    element: str | None = None,
    record: str = "ATOM",
) -> str:
    """One PDB line; the element is the first letter of the name unless it is given."""
    element = name.lstrip("0123456789")[0] if element is None else element
    place = f"{name:<4}" if len(name) == 4 or len(element) == 2 else f" {name:<3}"
    x, y, z = (f"{value:8.3f}" for value in xyz)
    return (
        f"{record:<6}{1:5d} {place}{altloc}{residue:>3} {chain}{number:4d}{code}   {x}{y}{z}"
        f"{occupancy:6.2f}{0.0:6.2f}          {element:>2}"
    )


def backbone(residue: str, number: int, x: float = 0.0, **options: object) -> list[str]:
    """N, CA, C and O of a residue; those of a neighbour 3.8 Å further on are bonded to it."""
    places = {"N": (x, 0.0, 0.0), "CA": (x + 1.3, 0.6, 0.0), "C": (x + 2.5, 0.0, 0.0), "O": (x + 2.5, -1.2, 0.0)}
    return [atom(name, residue, number, xyz, **options) for name, xyz in places.items()]  # type: ignore[arg-type]


def pdb(*lines: str | Iterable[str], end: bool = True) -> str:
    """A PDB file."""
    flat = [line for part in lines for line in ([part] if isinstance(part, str) else part)]
    return "\n".join([*flat, *(["END"] if end else [])]) + "\n"


CIF_COLUMNS = [
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num",
]  # fmt: skip


def cif(*rows: str) -> str:
    """An mmCIF file of one loop of atoms."""
    return "\n".join(["data_test", "#", "loop_", *(f"_atom_site.{name}" for name in CIF_COLUMNS), *rows, "#"]) + "\n"
