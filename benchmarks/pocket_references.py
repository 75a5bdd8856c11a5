"""The reference ligands of a set of pockets under moldiff's own protocol: the figures that designs stand next to.

    python -m benchmarks.pocket_references FOLDER --out benchmarks/results/pocket_references.json

FOLDER holds one folder per complex with `pocket.pdb` and `ligand.sdf`. Finished complexes are kept in the file `--out`
with the ending .partial; a run that was interrupted goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from moldiff.chem.files import read_molecules
from moldiff.metrics.pocket import PocketReport, PocketScores, PocketSummary, pocket_scorer, read_protein, sanitized


def score_reference(folder: Path, dock: bool, fast: bool) -> dict[str, Any]:
    """Scores of the ligand of one complex, with the seconds that they and the preparation of the pocket took."""
    start = time.perf_counter()
    (ligand,) = read_molecules(folder / "ligand.sdf")
    mol = sanitized(ligand)
    scorer, _ = pocket_scorer(read_protein(folder / "pocket.pdb"), [mol], (), dock, fast)
    prepared = time.perf_counter()
    scores = scorer.score(ligand)
    return {
        "id": folder.name,
        "scores": scores.to_dict(),
        "prepare_s": round(prepared - start, 2),
        "score_s": round(time.perf_counter() - prepared, 2),
    }


def main() -> None:
    """Score all complexes of a folder and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ids", type=Path, help="a file with the names of the complexes to take, one a line")
    parser.add_argument("--dock", action="store_true", help="dock as well")
    parser.add_argument("--fast", action="store_true", help="leave out what needs 50 conformers of each ligand")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    names = args.ids.read_text().split() if args.ids else sorted(path.name for path in args.folder.iterdir())
    partial = args.out.with_name(args.out.name + ".partial")
    rows = [json.loads(line) for line in partial.read_text().splitlines()] if partial.exists() else []
    done = {row["id"] for row in rows}
    for name in tqdm([name for name in names if name not in done], "complexes"):
        rows.append(score_reference(args.folder / name, args.dock, args.fast))
        with partial.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    reports = [PocketReport(row["id"], (PocketScores.from_dict(row["scores"]),)) for row in rows]
    summary = PocketSummary.of(reports)
    seconds = {key: round(sum(row[key] for row in rows) / len(rows), 2) for key in ("prepare_s", "score_s")}
    table = {
        "num_complexes": len(rows),
        "dock": args.dock,
        "fast": args.fast,
        "seconds_per_ligand": seconds,
        **summary.to_dict(),
    }
    args.out.write_text(json.dumps(table, indent=1) + "\n")
    partial.unlink()
    print(summary)


if __name__ == "__main__":
    main()
