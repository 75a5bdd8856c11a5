"""The plot of quality against the cost of training."""

from benchmarks.quality import kept
from benchmarks.speedrun import RESULTS, plot


def test_all_results_are_drawn(tmp_path):
    rows = kept(RESULTS)
    assert {"config", "seed", "options", "steps", "core_minutes", "report"} <= rows[0].keys()
    plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
