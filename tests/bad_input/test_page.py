"""The report's page escapes whatever a file says in names, labels and properties (more: tests/metrics/html)."""

from pathlib import Path

import pytest

from moldiff.cli import main
from tests.metrics.html.parsed import HOSTILE, Page

ALIAS = f"""{HOSTILE}
  x

  2  1  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.1000    0.2000 C   0  0
    1.5000    0.1000    0.2000 R#  0  0
  1  2  1  0
A    2
{HOSTILE}
M  RGP  1   2   1
M  STY  1   1 DAT
M  SLB  1   1   1
M  SAL   1  1   1
M  SDT   1 {HOSTILE[:30]:<30}  {HOSTILE}
M  SDD   1     0.0000    0.0000    DR    ALL  1       6
M  SED   1 {HOSTILE}
M  END
>  <{HOSTILE[:20]}>
{HOSTILE}

$$$$
"""


@pytest.mark.parametrize("name", ["<script>window.hacked=1<!-- &.sdf", '" onclick="hacked=1".sdf', "'@DATA@'.sdf"])
def test_hostile_names_and_labels(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(ALIAS)
    main(
        [
            "report",
            "--molecules",
            name,
            "--molecules",
            name,
            "--out",
            "x.html",
            "--reference",
            "null",
            "--metrics",
            "basic",
        ]
    )
    page = Page((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert len(page.all("script")) == 3
    assert page.all("img") == []
    assert [e.tag for e in page.elements for attribute in e.attributes if attribute.startswith("on")] == []
    assert name in next(e.text for e in page.all("title"))
