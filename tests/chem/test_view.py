"""Molecules in 3D in a notebook: nothing is loaded, what a file says cannot run, and a browser draws them."""

import builtins
import hashlib
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import py3Dmol
import pytest
from matplotlib.image import imread
from rdkit import Chem
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.support.ui import WebDriverWait

from moldiff.chem.view import movie_3d, view_3d, viewer_asset

Embed = Callable[[str], Chem.Mol]
VIEWER_SHA256 = "f7cc78921ae72e7623e89cdd111434f58c2efddd2ffda1cd212644b406fb8016"
HOSTILE = "</script><script>window.hacked = 1</script>"


def test_the_viewer_is_the_published_one() -> None:
    assert hashlib.sha256(viewer_asset("3Dmol-min.js").encode()).hexdigest() == VIEWER_SHA256
    assert VIEWER_SHA256 in viewer_asset("3Dmol-README.txt")
    assert "University of Pittsburgh" in viewer_asset("3Dmol-LICENSE.txt")


def test_only_the_viewer_that_is_inside_is_loaded(embed: Embed) -> None:
    text = view_3d([embed("CCO"), embed("C#N")]).write_html()
    assert re.findall(r"loadScriptAsync\('(.{28})", text) == ["data:text/javascript;base64,"]
    assert "https://" not in text


def test_the_grid_keeps_the_places_of_failures(embed: Embed) -> None:
    broken = embed("C")
    broken.GetConformer().SetAtomPosition(0, (np.nan, 0.0, 0.0))
    text = view_3d([embed("CCO"), None, broken, Chem.MolFromSmiles("C"), embed("O")], columns=2).write_html()
    assert "{rows: 3, cols: 2, control_all: false}" in text
    assert re.findall(r"viewergrid_\d+\[(\d)\]\[(\d)\]\.addModel", text) == [("0", "0"), ("2", "0")]


def test_texts_of_a_file_stay_outside(embed: Embed) -> None:
    mol = embed("CCO")
    mol.SetProp("_Name", HOSTILE)
    mol.SetProp("note", HOSTILE)
    mol.GetAtomWithIdx(0).SetProp("dummyLabel", HOSTILE)
    for view in (view_3d([mol]), movie_3d([mol])):
        assert "hacked" not in view.write_html()


def test_a_browser_draws_them(embed: Embed, browser: webdriver.Chrome, tmp_path: Path) -> None:
    red = embed("OO")  # 3Dmol.js draws oxygen in red
    inked = shown(browser, view_3d([red, None], columns=2, size=200), tmp_path)
    assert inked[:200, :200].any()
    assert not inked[:200, 210:].any()


def test_a_film_shows_each_frame(embed: Embed, browser: webdriver.Chrome, tmp_path: Path) -> None:
    """A frame has elements and bonds of its own: hydrogen peroxide, and four atoms of nitrogen apart."""
    first = embed("OO")
    second = Chem.RWMol(first)
    for bond in first.GetBonds():
        second.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    for atom in second.GetAtoms():
        atom.SetAtomicNum(7)
    shown(browser, movie_3d([first, second], size=200, interval_ms=100), tmp_path)
    seen = set()

    def both(_: webdriver.Chrome) -> bool:
        seen.add(bool(red_pixels(browser).any()))
        return seen == {True, False}

    patient(browser).until(both)


def patient(browser: webdriver.Chrome) -> WebDriverWait[webdriver.Chrome]:
    """Waits, and asks again where a busy browser gave up a screenshot of a page that was just being drawn."""
    return WebDriverWait(browser, 60, poll_frequency=0.05, ignored_exceptions=[TimeoutException])


def shown(browser: webdriver.Chrome, view: py3Dmol.view, folder: Path) -> np.ndarray:
    """Where there is red on a page with this view; nobody complains and nothing came from elsewhere."""
    (folder / "view.html").write_text(f"<!DOCTYPE html><body style='margin: 0'>{view.write_html()}", encoding="utf-8")
    browser.get((folder / "view.html").as_uri())
    patient(browser).until(lambda b: red_pixels(b).any())
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    return red_pixels(browser)


def red_pixels(browser: webdriver.Chrome) -> np.ndarray:
    image = imread(BytesIO(browser.get_screenshot_as_png()))
    return np.asarray((image[..., 0] > 0.5) & (image[..., 1] < 0.2) & (image[..., 2] < 0.2))


def test_errors(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no molecules to show"):
        view_3d([])
    with pytest.raises(ValueError, match="no frames"):
        movie_3d([])
    with pytest.raises(ValueError, match=r"Frame 1 of 2 has .* another number of atoms"):
        movie_3d([embed("C"), embed("CC")])
    load = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "py3Dmol":
            raise ModuleNotFoundError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'moldiff\[notebooks\]'"):
        view_3d([embed("C")])
