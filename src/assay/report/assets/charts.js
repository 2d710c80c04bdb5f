// Charts: drawn by Vega-Lite from the rows that the page holds; each has its table and its CSV.

const MOST_ROWS = 500;
const drawings = new Map(); // element -> what draws it again

// Vega's expressions are interpreted, not compiled, so that the page may forbid the evaluation of strings.
const EMBED = { actions: false, ast: true, defaultStyle: false, renderer: "svg", tooltip: { disableDefaultStyle: true } };

async function draw(place, drawing, records, height) {
  const isNarrow = place.clientWidth < 560;
  const config = themed(DATA.theme);
  document.documentElement.dataset.drawn = isDark() ? "dark" : "light"; // for the paper, which cannot draw again
  const spec = {
    ...themed(drawing),
    datasets: { rows: records },
    width: "container",
    ...(height ? { height } : {}),
    autosize: { type: "fit-x", contains: "padding" },
    config: {
      ...config,
      font: getComputedStyle(document.body).fontFamily,
      legend: { ...config.legend, columns: isNarrow ? 2 : 5, labelLimit: isNarrow ? 150 : 320 },
      axis: { ...config.axis, labelLimit: isNarrow ? 110 : 240 },
    },
  };
  drawings.get(place)?.view?.finalize();
  const again = () => draw(place, drawing, records, height);
  drawings.set(place, { again });
  const { view } = await vegaEmbed(place, spec, EMBED);
  drawings.set(place, { again, view });
  return view;
}

let isStale = false; // charts were out of sight when all were drawn again

async function drawAll() {
  isStale = false;
  for (const [place, { again }] of [...drawings]) {
    if (!place.isConnected) drawings.delete(place);
    else if (place.clientWidth) await again();
    else isStale = true;
  }
}

function records(chart) {
  const kept = chart.drawn ? chart.drawn.map((place) => chart.rows[place]) : chart.rows;
  return kept.map((row) => Object.fromEntries(row.map((cell, n) => [chart.columns[n].field, cell])));
}

async function setUpCharts() {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    // Room for every chart at once, so that nothing moves under a reader while they are drawn.
    figure.querySelector(".plot").style.minHeight = `${(DATA.charts[figure.dataset.chart].height ?? 200) + 75}px`;
  }
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const chart = DATA.charts[figure.dataset.chart];
    const place = figure.querySelector(".plot");
    figure.querySelector("[data-do=csv]").addEventListener("click", () => {
      download(`${figure.dataset.chart}.csv`, chart.columns.map((one) => one.title), chart.rows);
    });
    figure.querySelector("[data-do=table]").addEventListener("click", (event) => toggleTable(figure, chart, event.currentTarget));
    const view = await draw(place, chart.drawing, records(chart), chart.height);
    place.style.minHeight = "";
    if (chart.has_samples) listenForPoints(figure, place, chart, view);
    await new Promise((resume) => setTimeout(resume)); // lets the page answer between two charts
  }
  document.documentElement.dataset.charts = "drawn";
}

function toggleTable(figure, chart, button) {
  const rows = figure.querySelector(".rows");
  if (!rows.hasChildNodes()) {
    const units = chart.columns.map((one) => one.unit);
    const some = chart.rows.slice(0, MOST_ROWS).map((row) => (chart.has_samples ? withLink(row) : row));
    rows.append(table(figure.querySelector("h3").textContent, chart.columns.map((one) => one.title), some, units));
    if (chart.rows.length > MOST_ROWS) {
      rows.append(el("p", { class: "words" }, `The first ${MOST_ROWS} of ${chart.rows.length.toLocaleString("en")} rows; the CSV has all of them.`));
    }
  }
  rows.hidden = !rows.hidden;
  button.setAttribute("aria-expanded", String(!rows.hidden));
}

// Charts with samples begin with run, task, round and index.
function withLink([run, task, round, index, ...rest]) {
  const address = sampleAddress(run, task, round, index);
  return [run, address ? el("a", { href: address }, visible(String(task))) : task, round, index, ...rest];
}

function listenForPoints(figure, place, chart, first) {
  const peek = figure.querySelector(".peek");
  const listen = (view) =>
    view.addEventListener("click", (_, item) => {
      const one = item?.datum;
      if (one?.index === undefined) return;
      const address = sampleAddress(one.run, one.task, one.round, one.index);
      if (address) peek.replaceChildren(...peekAt(address));
    });
  place.classList.add("clickable");
  listen(first);
  const { again } = drawings.get(place);
  const redraw = async () => {
    listen(await again());
    drawings.get(place).again = redraw;
  };
  drawings.get(place).again = redraw;
}
