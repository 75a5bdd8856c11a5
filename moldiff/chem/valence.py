"""How many bonds an atom may have, by EDM's rule and by the strict rule."""

from __future__ import annotations

EDM_VALENCES: dict[int, frozenset[int]] = {
    1: frozenset({1}),  # H
    5: frozenset({3}),  # B
    6: frozenset({4}),  # C
    7: frozenset({3}),  # N
    8: frozenset({2}),  # O
    9: frozenset({1}),  # F
    13: frozenset({3}),  # Al
    14: frozenset({4}),  # Si
    15: frozenset({3, 5}),  # P
    16: frozenset({4}),  # S (sic: thioethers are unstable under EDM's rule)
    17: frozenset({1}),  # Cl
    33: frozenset({3}),  # As
    35: frozenset({1}),  # Br
    53: frozenset({1}),  # I
    80: frozenset({1, 2}),  # Hg
    83: frozenset({3, 5}),  # Bi
}
"""Atomic number -> sums of bond orders that EDM calls stable (Hoogeboom et al. 2022), which knows no formal charges."""

STRICT_VALENCES: dict[tuple[int, int], frozenset[int]] = {
    (1, 0): frozenset({1}),  # H
    (5, 0): frozenset({3}),  # B
    (5, -1): frozenset({4}),
    (6, 0): frozenset({4}),  # C
    (6, 1): frozenset({3}),
    (6, -1): frozenset({3}),
    (7, 0): frozenset({3}),  # N
    (7, 1): frozenset({4}),
    (7, -1): frozenset({2}),
    (8, 0): frozenset({2}),  # O
    (8, 1): frozenset({3}),
    (8, -1): frozenset({1}),
    (9, 0): frozenset({1}),  # F
    (9, -1): frozenset({0}),
    (13, 0): frozenset({3}),  # Al
    (13, -1): frozenset({4}),
    (14, 0): frozenset({4}),  # Si
    (15, 0): frozenset({3, 5}),  # P
    (15, 1): frozenset({4}),
    (15, -1): frozenset({2, 6}),
    (16, 0): frozenset({2, 4, 6}),  # S
    (16, 1): frozenset({3, 5}),
    (16, -1): frozenset({1}),
    (17, 0): frozenset({1}),  # Cl
    (17, -1): frozenset({0}),
    (33, 0): frozenset({3, 5}),  # As
    (33, 1): frozenset({4}),
    (34, 0): frozenset({2, 4, 6}),  # Se
    (34, 1): frozenset({3}),
    (34, -1): frozenset({1}),
    (35, 0): frozenset({1}),  # Br
    (35, -1): frozenset({0}),
    (53, 0): frozenset({1, 3, 5}),  # I
    (53, 1): frozenset({2}),
    (53, -1): frozenset({0}),
}
"""(atomic number, formal charge) -> sums of Kekulé bond orders of a closed-shell atom, hydrogens counted as atoms.

The usual octet valences, with the expanded ones of P, S, As, Se and I as RDKit's periodic table has them. What is not
listed (metals, doubly charged atoms) is not valid under the strict rule.
"""
