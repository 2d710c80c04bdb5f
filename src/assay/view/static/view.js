// Follows runs that are going on, and filters the list. Texts go in as text, never as markup.
"use strict";

const EVERY_MS = 2000;

function cellsByRun() {
  const cells = new Map();
  for (const place of document.querySelectorAll("[data-run]")) {
    cells.set(place.dataset.run, place);
  }
  return cells;
}

function put(place, cell, text) {
  const found = place.querySelector(`[data-cell="${cell}"]`);
  if (found && found.textContent !== text) {
    found.textContent = text;
    return true;
  }
  return false;
}

function show(place, run) {
  const found = run.found;
  if (!found) {
    return;
  }
  const planned = found.samples_planned;
  let isChanged = put(place, "samples", planned ? `${found.samples} of ${planned}` : `${found.samples}`);
  for (const cell of ["programs", "rounds", "wins", "evaluations", "state"]) {
    isChanged = put(place, cell, String(found[cell])) || isChanged;
  }
  put(place, "tokens", found.tokens.toLocaleString("en-US"));
  put(place, "seconds", found.seconds.toFixed(0));
  put(place, "changed", found.changed);
  const state = place.querySelector('[data-cell="state"]');
  if (state) {
    state.className = `state-${found.state}`;
  }
  const progress = place.querySelector('[data-cell="progress"]');
  if (progress) {
    progress.max = planned || found.samples || 1;
    progress.value = found.samples;
  }
  const reload = document.getElementById("reload");
  if (isChanged && reload && !document.getElementById("runs")) {
    reload.classList.remove("hidden");
  }
}

async function follow() {
  const cells = cellsByRun();
  const list = document.getElementById("runs");
  if (!document.hidden && (list || cells.size)) {
    const one = cells.keys().next().value;
    const address = list ? "/api/runs" : `/api/run?run=${encodeURIComponent(one)}`;
    try {
      const answer = await fetch(address, { cache: "no-store" });
      const runs = answer.ok ? (await answer.json()).runs : [];
      for (const run of runs) {
        const place = cells.get(run.name);
        if (place) {
          show(place, run);
        } else if (list) {
          document.getElementById("reload").classList.remove("hidden"); // a new run has begun
        }
      }
    } catch {
      // the server has ended; the page stays as it is
    }
  }
  setTimeout(follow, EVERY_MS);
}

function filterRows() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  const rows = document.querySelectorAll("#runs tbody tr[data-run]");
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const isShown = words.every((word) => text.includes(word));
    row.classList.toggle("hidden", !isShown);
    shown += isShown ? 1 : 0;
  }
  document.getElementById("shown").textContent = words.length ? `${shown} of ${rows.length} shown` : "";
}

function countTicks() {
  const ticked = document.querySelectorAll('#runs input[name="run"]:checked').length;
  document.getElementById("compare").disabled = ticked < 2;
}

if (document.getElementById("runs")) {
  document.getElementById("filter").addEventListener("input", filterRows);
  document.getElementById("runs").addEventListener("change", countTicks);
  filterRows();
  countTicks();
}
if (document.querySelector("[data-run]") || document.getElementById("runs")) {
  setTimeout(follow, EVERY_MS);
}
