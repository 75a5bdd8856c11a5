"""torch gets the cores that nothing else uses."""

import warnings

import pytest
import torch

from moldiff.diffusion import process_settings
from moldiff.diffusion.process_settings import choose_threads


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(process_settings.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_an_idle_machine_is_used_whole():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_threads(busy=0.2) == 4
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(("busy", "threads"), [(1.0, 3), (2.6, 1), (4.0, 1), (7.0, 1)])
def test_busy_cores_are_left_alone(busy, threads):
    with pytest.warns(UserWarning, match=f"of 4 cores are busy with other work: using {threads} of them"):
        assert choose_threads(busy) == threads
    assert torch.get_num_threads() == threads


def test_the_variable_is_obeyed(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with pytest.warns(UserWarning, match="many times slower than OMP_NUM_THREADS=1"):
        assert choose_threads(busy=3.0) == 4
    torch.set_num_threads(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_threads(busy=2.0) == 2


def test_the_load_is_measured():
    busy = process_settings._busy_cores([0], seconds=0.02)
    assert 0 <= busy <= 1.5


def test_idle_cores_and_waiting_for_a_disk_do_not_count(monkeypatch):
    """Of 100 ticks each, core 0 works for 30, core 1 for all, and core 2, which is not ours, for all."""
    looks = iter(
        (
            "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 5 0 0 7 3 0 0 0 0 0\n"
            "cpu1 1 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\nintr 5",
            "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 15 5 5 47 33 2 4 4 0 0\n"
            "cpu1 61 10 20 0 0 5 5 0 0 0\ncpu2 100 0 0 0 0 0 0 0 0 0\nintr 5",
        )
    )
    monkeypatch.setattr(process_settings.Path, "read_text", lambda self: next(looks))
    assert process_settings._busy_cores([0, 1, 3], seconds=0.0) == pytest.approx(0.3 + 1.0)


def test_the_load_is_that_of_the_time_between_two_looks(monkeypatch):
    seen = []
    monkeypatch.setattr(process_settings, "_times", lambda cores: seen.append("look") or {})
    monkeypatch.setattr(process_settings.time, "sleep", seen.append)
    process_settings._busy_cores([0], seconds=0.25)
    assert seen == ["look", 0.25, "look"]


def test_where_the_load_cannot_be_seen_cores_count_as_idle(monkeypatch):
    def absent(self):
        raise FileNotFoundError(self)

    monkeypatch.setattr(process_settings.Path, "read_text", absent)
    assert process_settings._busy_cores([0, 1], seconds=0.0) == 0.0
