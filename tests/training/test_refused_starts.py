"""Runs that cannot start say why, and leave nothing behind."""

import pytest

from moldiff.cli import main


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("fit", ["--ckpt_path", "nosuch.ckpt"], "--ckpt_path nosuch.ckpt: no such file"),
        ("validate", ["--ckpt_path", "nosuch.ckpt"], "--ckpt_path nosuch.ckpt: no such file"),
        ("fit", ["--model.init_from", "nosuch"], "no model 'nosuch'"),
        ("distill", ["--model.teacher", "nosuch"], "no model 'nosuch'"),
    ],
)
def test_a_run_that_cannot_start_leaves_no_folder(tmp_path, root, monkeypatch, capsys, command, options, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(root / "tests")
    config = root / "configs" / ("qm9_fast.yaml" if command == "distill" else "debug.yaml")
    with pytest.raises(SystemExit, match="2"):
        main([command, "--config", str(config), *options])
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tests"]
