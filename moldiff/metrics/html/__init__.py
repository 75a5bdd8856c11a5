"""A page on files of generated molecules: scores, distributions, a gallery in 2D and 3D, failures with their reasons.

The page is one HTML file that loads nothing: its content security policy forbids the network, and allows no script but
its own two, by their hashes. Strings from molecule files are escaped; drawings hold elements, charges and bonds only.
"""

from moldiff.metrics.html.command import molecule_set, run_report
from moldiff.metrics.html.entries import Entry, MoleculeSet
from moldiff.metrics.html.page import report_page

__all__ = ["Entry", "MoleculeSet", "molecule_set", "report_page", "run_report"]
