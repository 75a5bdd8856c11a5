"""RDKit's log, and who reads it."""

from __future__ import annotations

import sys


def open_log() -> None:
    """Let RDKit's log go to the standard error of now.

    PoseBusters flushes the stream that it went to before; if that has been closed meanwhile (a notebook or a test may
    replace the standard error), the checks that make an InChI would fail for every molecule.
    """
    import rdkit

    rdkit.log_handler.stream = sys.stderr
