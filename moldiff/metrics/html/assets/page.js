"use strict";
(() => {
  const molecules = JSON.parse(document.getElementById("molecules").textContent);
  const filters = document.getElementById("filters");
  const MOST = 8; // browsers give a page few 3D canvases at a time: the one that was opened first is closed
  const open = [];

  function atomsOf(molecule) {
    const atoms = molecule.e.map((elem, k) => ({
      elem, serial: k, x: molecule.x[3 * k], y: molecule.x[3 * k + 1], z: molecule.x[3 * k + 2],
      bonds: [], bondOrder: [], hetflag: true,
    }));
    for (let k = 0; k < molecule.b.length; k += 3) {
      const [i, j, order] = molecule.b.slice(k, k + 3);
      atoms[i].bonds.push(j); atoms[i].bondOrder.push(order);
      atoms[j].bonds.push(i); atoms[j].bondOrder.push(order);
    }
    return atoms;
  }

  function close(solid) {
    const at = open.indexOf(solid);
    if (at >= 0) open.splice(at, 1);
    const canvas = solid.querySelector("canvas");
    const context = canvas && (canvas.getContext("webgl2") || canvas.getContext("webgl"));
    const losing = context && context.getExtension("WEBGL_lose_context");
    solid.viewer.clear();
    if (losing) losing.loseContext();
    const card = solid.closest(".card");
    solid.remove();
    card.querySelector(".view").hidden = false;
    card.querySelector(".back").hidden = true;
  }

  function show(view) {
    const card = view.closest(".card");
    while (open.length >= MOST) close(open[0]);
    const solid = document.createElement("div");
    solid.className = "solid";
    view.after(solid);
    view.hidden = true;
    let viewer = null;
    try {
      viewer = $3Dmol.createViewer(solid, { backgroundColor: "white", antialias: true });
    } catch { /* told below */ }
    if (!viewer) {
      solid.textContent = "This browser shows no 3D graphics (WebGL).";
      return;
    }
    viewer.addModel().addAtoms(atomsOf(molecules[view.dataset.molecule]));
    viewer.setStyle({}, { stick: { radius: 0.13 }, sphere: { scale: 0.23 } });
    viewer.zoomTo();
    viewer.zoom(1.25);
    viewer.render();
    solid.viewer = viewer;
    open.push(solid);
    card.querySelector(".back").hidden = false;
  }

  function filter() {
    const least = Number(filters.elements.least.value || 0);
    const most = Number(filters.elements.most.value || 1);
    const any = least <= 0 && most >= 1;
    const wants = (name) => Boolean(filters.elements[name] && filters.elements[name].checked);
    let shown = 0;
    const cards = document.querySelectorAll("#gallery .card");
    for (const card of cards) {
      const qed = card.dataset.qed === "" ? NaN : Number(card.dataset.qed);
      card.hidden = (wants("valid") && card.dataset.valid !== "1") || (wants("novel") && card.dataset.novel !== "1")
        || !(any || (qed >= least && qed <= most));
      if (!card.hidden) shown += 1;
    }
    document.getElementById("shown").textContent = `${shown} of ${cards.length} shown`;
  }

  document.addEventListener("click", (event) => {
    const view = event.target.closest(".view");
    if (view && view.dataset.molecule) show(view);
    const back = event.target.closest(".back");
    if (back) close(back.closest(".card").querySelector(".solid"));
  });
  filters.addEventListener("input", filter);
  filters.addEventListener("reset", () => setTimeout(filter));
  filters.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
