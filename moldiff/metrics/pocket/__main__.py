"""The reports of many pockets in one table: `python -m moldiff.metrics.pocket REPORT.json ...`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from moldiff.metrics.pocket.report import PocketReport
from moldiff.metrics.pocket.summary import PocketSummary


def main() -> None:
    """Read the JSON files of `moldiff evaluate --pocket --out` and print mean and median over pockets."""
    parser = argparse.ArgumentParser(prog="python -m moldiff.metrics.pocket", description=main.__doc__)
    parser.add_argument("reports", type=Path, nargs="+", help="one JSON file per pocket")
    reports = []
    for path in parser.parse_args().reports:
        try:
            reports.append(PocketReport.from_dict(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            parser.error(f"{path}: {error}")
    sys.stdout.write(f"{PocketSummary.of(reports)}\n")


if __name__ == "__main__":
    main()
