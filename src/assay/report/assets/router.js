// What is shown follows the address: sections of the report, the page of a task, or that of a sample.

const later = []; // pictures to draw once their page is in the document

async function route({ isFirst = false } = {}) {
  const overview = document.getElementById("overview");
  const place = document.getElementById("task");
  const parts = location.hash.split("/");
  const numbers = parts.slice(2).map(Number);
  const task = parts[1] === "task" ? DATA.runs[numbers[0]]?.tasks[numbers[1]] : null;
  const isSample = task && numbers.length > 2 && numbers[2] in task.samples.index;
  document.getElementById("nav").classList.remove("open");
  document.getElementById("menu").setAttribute("aria-expanded", "false");
  markCurrent(task ? `#/task/${numbers[0]}/${numbers[1]}` : location.hash || "#top");
  overview.hidden = Boolean(task);
  place.hidden = !task;
  place.replaceChildren();
  if (!task) {
    const section = document.getElementById(location.hash.slice(1) || "top");
    const drawn = showCharts();
    if (!isFirst || location.hash) section?.scrollIntoView();
    await drawn;
    if (isFirst && location.hash) section?.scrollIntoView({ behavior: "instant" });
    return;
  }
  place.append(isSample ? samplePage(...numbers) : taskPage(...numbers));
  window.scrollTo({ top: 0, behavior: "instant" });
  place.querySelector("h1").focus({ preventScroll: true });
  for (const act of later.splice(0)) await act();
}

// Charts need a width, so they wait until the report is on the screen, and are drawn again if the colours have changed.
let charts = null;

async function showCharts() {
  const isLater = charts !== null;
  charts ??= setUpCharts();
  await charts;
  if (isLater && isStale) await drawAll();
}

function markCurrent(address) {
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.getAttribute("href") === address) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function followReading() {
  const seen = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) seen.set(entry.target.id, entry.isIntersecting);
    const first = [...seen].find(([, isIn]) => isIn);
    if (first && !document.getElementById("overview").hidden) markCurrent(`#${first[0]}`);
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const section of document.querySelectorAll("#overview > section")) {
    seen.set(section.id, false);
    watcher.observe(section);
  }
}

function setUpMenu() {
  const [menu, nav] = [document.getElementById("menu"), document.getElementById("nav")];
  menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(nav.classList.toggle("open"))));
}

setUpTheme();
setUpMenu();
followReading();
addEventListener("hashchange", () => route());
addEventListener("beforeprint", () => document.querySelectorAll("#overview details").forEach((one) => (one.open = true)));
let width = innerWidth;
addEventListener("resize", () => {
  if ((width < 600) !== (innerWidth < 600)) drawAll(); // legends change their columns; the rest fits by itself
  width = innerWidth;
});
route({ isFirst: true });
