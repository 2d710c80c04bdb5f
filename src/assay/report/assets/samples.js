// The pages of tasks and samples, made when they are asked for.

const PAGE_ROWS = 50;
const MOST_DIFF_LINES = 700;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const E = Object.fromEntries(DATA.evaluation_fields.map((name, place) => [name, place]));
const STATUS_CLASS = { faster: "good", correct: "good", wrong_output: "bad", runtime_error: "bad", build_error: "bad", parse_error: "bad", timeout: "bad", rejected: "bad", slower: "bad" };

function sampleAddress(run, task, round, index) {
  const r = DATA.runs.findIndex((one) => one.run === run);
  const t = r < 0 ? -1 : DATA.runs[r].tasks.findIndex((one) => one.key === task);
  if (t < 0) return null;
  const { samples } = DATA.runs[r].tasks[t];
  const row = samples.index.findIndex((one, n) => one === index && samples.round[n] === round);
  return row < 0 ? null : `#/task/${r}/${t}/${row}`;
}

function sampleAt(r, t, row) {
  const task = DATA.runs[r].tasks[t];
  const sample = Object.fromEntries(Object.entries(task.samples).map(([name, column]) => [name, column[row]]));
  const program = sample.program < 0 ? null : task.programs[sample.program];
  return { r, t, row, task, ...sample, program, look: program?.look ?? null, text: task.texts[row] };
}

function chip(word) {
  return word ? el("span", { class: `chip ${STATUS_CLASS[word] ?? ""}` }, String(word).replaceAll("_", " ")) : null;
}

function interval(look) {
  if (!look || look[E.ratio] === null) return "-";
  const [ratio, low, high] = [look[E.ratio], look[E.low], look[E.high]].map((one) => Number(one).toPrecision(3));
  return `${ratio}x [${low}, ${high}]`;
}

// -- the page of a task ------------------------------------------------------------------------------------------

function taskPage(r, t) {
  const run = DATA.runs[r];
  const task = run.tasks[t];
  const columns = { status: task.samples.status.map((one) => one ?? "not evaluated"), round: task.samples.round.map(String) };
  columns.verdict = task.samples.program.map((one) => task.programs[one]?.look?.[E.verdict] ?? "none");
  const rows = columns.status.map((_, row) => row);
  const counts = el("p", { class: "hint", role: "status" });
  const list = el("div");
  const pick = (name, label) => {
    const options = [...new Set(columns[name])].sort().map((one) => el("option", { value: one }, one.replaceAll("_", " ")));
    return el("label", {}, label, el("select", { name, "aria-label": label, on: { change: refresh } }, el("option", { value: "" }, "all"), options));
  };
  const search = el("input", { type: "search", name: "find", size: 16, "aria-label": "in code, text or error", on: { input: refresh } });
  const order = el("select", { name: "order", "aria-label": "order", on: { change: refresh } }, ["drawn", "fastest first", "most surprising first", "least surprising first"].map((one) => el("option", {}, one)));
  const filters = el("form", { class: "filters", "aria-label": "Filter samples", on: { submit: (event) => event.preventDefault() } });
  filters.append(pick("status", "status"), pick("verdict", "verdict"), pick("round", "round"), el("label", {}, "in code, text or error", search), el("label", {}, "order", order));
  let first = 0;

  function matches(row) {
    for (const name of ["status", "verdict", "round"]) {
      const wanted = filters.elements[name].value;
      if (wanted && columns[name][row] !== wanted) return false;
    }
    const wanted = search.value.toLowerCase();
    if (!wanted) return true;
    const one = sampleAt(r, t, row);
    const parts = [one.program?.hash, one.program?.source, one.text?.text, one.text?.failure, one.look?.[E.error], one.look?.[E.flags]];
    return parts.some((part) => part?.toLowerCase().includes(wanted));
  }

  function sorted(kept) {
    const ratio = (row) => task.programs[task.samples.program[row]]?.look?.[E.ratio] ?? -1;
    const surprisal = (row) => task.samples.surprisal[row];
    if (order.value === "fastest first") return kept.sort((a, b) => ratio(b) - ratio(a));
    if (order.value.endsWith("surprising first")) {
      const sign = order.value.startsWith("most") ? -1 : 1;
      return kept.sort((a, b) => sign * ((surprisal(a) ?? sign * 1e9) - (surprisal(b) ?? sign * 1e9)));
    }
    return kept;
  }

  function refresh() {
    first = 0;
    show();
  }

  function show() {
    const kept = sorted(rows.filter(matches));
    counts.textContent = `${kept.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} samples`;
    list.replaceChildren(sampleTable(r, t, kept.slice(first, first + PAGE_ROWS)), pager(kept.length));
  }

  function pager(n) {
    const go = (to) => () => ((first = to), show());
    if (n <= PAGE_ROWS) return el("p");
    const back = el("button", { type: "button", disabled: first === 0, on: { click: go(Math.max(0, first - PAGE_ROWS)) } }, "Earlier");
    const on = el("button", { type: "button", disabled: first + PAGE_ROWS >= n, on: { click: go(first + PAGE_ROWS) } }, "Later");
    return el("p", { class: "pager" }, back, `${first + 1} to ${Math.min(n, first + PAGE_ROWS)}`, on);
  }

  show();
  const csv = () => download("samples.csv", [...Object.keys(task.samples), "hash", ...DATA.evaluation_fields], rows.map((row) => csvRow(sampleAt(r, t, row))));
  return el("div", { class: "view" },
    crumbs(r, t), el("h1", { tabindex: -1 }, visible(task.key)), el("p", {}, visible(task.name)),
    task.warnings.map((one) => el("p", { class: "note" }, visible(one))),
    el("details", {}, el("summary", {}, "Reference program"), codeBlock(task.reference)),
    task.prompt ? el("details", {}, el("summary", {}, "Prompt"), codeBlock(task.prompt, true)) : null,
    controlList(task), el("h2", {}, "Samples"), filters, counts, list,
    el("p", { class: "tools" }, el("button", { type: "button", on: { click: csv } }, "CSV of all samples of this task")),
  );
}

function csvRow(one) {
  return [...Object.keys(one.task.samples).map((name) => (name === "program" ? "" : one[name])), one.program?.hash, ...(one.look ?? []).map((cell) => (Array.isArray(cell) ? JSON.stringify(cell) : cell))];
}

function crumbs(r, t, row) {
  const run = DATA.runs[r];
  const parts = [el("a", { href: "#top" }, "Report"), row === undefined ? el("span", {}, visible(run.run)) : el("a", { href: `#/task/${r}/${t}` }, visible(run.tasks[t].key))];
  if (row !== undefined) {
    if (row > 0) parts.push(el("a", { href: `#/task/${r}/${t}/${row - 1}` }, "Previous sample"));
    if (row + 1 < run.tasks[t].samples.index.length) parts.push(el("a", { href: `#/task/${r}/${t}/${row + 1}` }, "Next sample"));
  }
  return el("nav", { class: "crumbs", "aria-label": "Where this is" }, parts);
}

function controlList(task) {
  const copies = task.controls.map((one) => el("li", {}, chip(one[E.verdict] ?? one[E.status]), ` ${interval(one)}`, `, raw rule ${shown(one[E.raw], "ratio")}`));
  return copies.length ? el("details", {}, el("summary", {}, `Identical copies of the reference (${copies.length})`), el("ul", {}, copies)) : null;
}

function sampleTable(r, t, rows) {
  const cells = rows.map((row) => {
    const one = sampleAt(r, t, row);
    const link = el("a", { href: `#/task/${r}/${t}/${row}` }, `${one.round}.${one.index}`);
    return [link, chip(one.status ?? "not evaluated"), chip(one.look?.[E.verdict]) ?? "", interval(one.look), one.surprisal, one.tokens, one.program ? one.program.hash.slice(0, 8) : "-"];
  });
  return table("Samples, by round and draw", ["sample", "status", "verdict", "speedup", "surprisal", "tokens", "program"], cells, ["text", "text", "text", "text", "number", "count", "text"]);
}

// -- the page of a sample ----------------------------------------------------------------------------------------

function samplePage(r, t, row) {
  const one = sampleAt(r, t, row);
  const failure = one.text?.failure || one.look?.[E.error];
  const title = el("h1", { tabindex: -1 }, `Sample ${one.index} of round ${one.round} `, chip(one.status ?? "not evaluated"), " ", chip(one.look?.[E.verdict]));
  const page = el("div", { class: "view" }, crumbs(r, t, row), title, facts(one));
  if (failure) page.append(el("h2", {}, one.program ? "What went wrong" : "Why no program was found"), codeBlock(failure, true));
  if (one.look && one.look[E.ratio] !== null) page.append(el("h2", {}, "Timing"), timing(one));
  page.append(el("h2", {}, "Code"), ...code(one), el("h2", {}, "Surprisal of each token"), ...heat(one));
  return page;
}

function peekAt(address) {
  const [r, t, row] = address.split("/").slice(2).map(Number);
  const one = sampleAt(r, t, row);
  const head = el("p", {}, el("a", { href: address }, visible(`${one.task.key}, sample ${one.index}`)), " ", chip(one.status), " ", chip(one.look?.[E.verdict]), ` ${interval(one.look)}`);
  return [head, one.program?.source ? codeBlock(one.program.source) : missing(one)];
}

function facts(one) {
  const pairs = [["run", DATA.runs[one.r].run], ["program", one.program ? `candidates/${one.program.hash}.py` : null], ["tokens", one.tokens], ["surprisal", one.surprisal === null ? null : `${shown(one.surprisal, "number")} nats a token`], ["reward", one.reward], ["ended by", one.text?.stop]];
  const look = one.look;
  if (look) {
    pairs.push(["speedup", interval(look)], ["raw rule's ratio", look[E.raw] === null ? null : shown(look[E.raw], "ratio")]);
    pairs.push(["measured again", one.program.again ? `${one.program.again[E.verdict] ?? one.program.again[E.status]} ${interval(one.program.again)}` : null]);
    pairs.push(["margin", look[E.margin] === null ? null : shown(look[E.margin], "share")], ["smallest gain it would see", look[E.effect] === null ? null : shown(look[E.effect], "share")]);
    pairs.push(["timed", look[E.pairs] === null ? null : `${look[E.pairs]} pairs in ${look[E.replicates]} fresh processes`]);
    pairs.push(["candidate, reference", look[E.candidate_ms] === null ? null : `${look[E.candidate_ms]} ms, ${look[E.reference_ms]} ms (medians)`]);
    pairs.push(["flags", look[E.flags] || null], ["judged on", DATA.runs[one.r].places[look[E.where]]], ["evaluation took", `${shown(look[E.seconds], "seconds")} s`]);
  }
  const twins = one.program ? one.task.samples.program.filter((p) => p === one.task.samples.program[one.row]).length - 1 : 0;
  if (twins) pairs.push(["same program", `in ${twins} other ${twins === 1 ? "sample" : "samples"}, which share this evaluation`]);
  const kept = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, kept.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, visible(String(value)))]));
}

function timing(one) {
  const looks = [["first look", one.look], ["measured again", one.program.again], ["identical copy", one.task.controls.find((copy) => copy[E.ratio] !== null)]];
  const rows = [];
  for (const [look, found] of looks) {
    if (!found || found[E.ratio] === null) continue;
    rows.push({ kind: "interval", look, ratio: found[E.ratio], low: found[E.low], high: found[E.high] });
    (found[E.log_ratios] ?? []).forEach((replicate, n) => replicate.forEach((log, pair) => {
      if (log !== null) rows.push({ kind: "pair", look, replicate: n + 1, pair: pair + 1, ratio: Math.exp(log) });
    }));
  }
  const hasPairs = rows.some((row) => row.kind === "pair");
  const place = el("div", { class: "plot", role: "img", "aria-label": rows.filter((row) => row.kind === "interval").map((row) => `${row.look}: ${row.ratio}`).join("; ") });
  later.push(() => draw(place, hasPairs ? DATA.timing_of_pairs : DATA.timing, rows, 40 * looks.filter(([, found]) => found).length + (hasPairs ? 60 : 0)));
  const said = hasPairs
    ? "Each small mark is one timed pair, reference over candidate, a colour for each fresh process; the line is the interval of all of them."
    : "The lines are the intervals over fresh processes; this run did not keep its single pairs.";
  const cells = looks.filter(([, found]) => found && found[E.ratio] !== null).map(([look, found]) => [
    look, found[E.ratio], found[E.low], found[E.high], found[E.pairs], found[E.replicates], found[E.reference_ms], found[E.candidate_ms], ...(found[E.witness] ?? [null, null, null]),
  ]);
  const columns = ["look", "ratio", "low", "high", "pairs", "processes", "reference ms", "candidate ms", "bare pairs", "saved, judge's clock", "standard error"];
  const units = ["text", "ratio", "ratio", "ratio", "count", "count", "number", "number", "count", "share", "share"];
  const data = table("Measurements", columns, cells, units);
  const witnessed = looks.filter(([, found]) => found?.[E.witness]).map(([look, found]) => el("p", { class: "words" }, witnessWords(look, found)));
  return el("div", {}, place, el("p", { class: "words" }, said), witnessed, el("details", {}, el("summary", {}, "Table"), data));
}

// What the judge's own clock saw beside what the timed processes claim, both as a share of the reference's time.
function witnessWords(look, found) {
  const [pairs, seen, error] = found[E.witness];
  const saved = (value) => `${shown(Math.abs(value), "share")} ${value < 0 ? "more" : "less"} time`;
  return `Witness, ${look}: the process that ran the program claims ${saved(1 - 1 / found[E.ratio])} than the reference; in ${shown(pairs, "count")} pairs of bare calls the judge's own clock saw ${saved(seen)} (standard error ${shown(error, "share")}).`;
}

function missing(one) {
  return el("p", { class: "hint" }, one.program ? `This code is left out of the page to keep it small: see candidates/${one.program.hash}.py in the run.` : "No program was found in this completion.");
}

// -- code --------------------------------------------------------------------------------------------------------

function codeBlock(text, isWrapped = false, signs = null) {
  const lines = signs ?? text.replace(/\n$/, "").split("\n").map((line) => [" ", line]);
  const names = { "+": "add", "-": "del" };
  const items = lines.map(([sign, line]) => el("li", { "data-sign": signs ? sign : null, class: names[sign] }, visibleLine(line), line === "" ? "\u00a0" : ""));
  return el("div", { class: isWrapped ? "code wrap" : "code", tabindex: 0, role: "region", "aria-label": "code", dir: "ltr" }, el("ol", {}, items));
}

function code(one) {
  if (!one.program?.source) return [missing(one), one.text ? codeBlock(one.text.text, true) : null].filter(Boolean);
  const views = { "Difference to the reference": () => diffBlock(one.task.reference, one.program.source), Program: () => codeBlock(one.program.source) };
  if (one.text) views["Completion as it was drawn"] = () => codeBlock(one.text.text, true);
  const place = el("div");
  const buttons = Object.keys(views).map((name) => el("button", { type: "button", "aria-pressed": "false", on: { click: () => choose(name) } }, name));
  function choose(name) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === name)));
    place.replaceChildren(views[name]());
  }
  choose(Object.keys(views)[0]);
  return [el("p", { class: "tools" }, buttons), place];
}

// A reference makes its own inputs; a program does not, and that is no difference worth showing.
function withoutInputMakers(reference, program) {
  return /^def get_(init_)?inputs\b/m.test(program) ? reference : reference.split(/^def get_(?:init_)?inputs\b/m)[0];
}

function diffBlock(reference, after) {
  const before = withoutInputMakers(reference, after);
  const lines = difference(...[before, after].map((text) => text.replace(/\n+$/, "").split("\n")));
  if (!lines) return el("div", {}, el("p", { class: "hint" }, "Too long to compare line by line; the program alone:"), codeBlock(after));
  const [added, removed] = ["+", "-"].map((sign) => lines.filter((line) => line[0] === sign).length);
  const said = added + removed ? `${added} lines only in the program (+), ${removed} only in the reference (-), its input makers left out.` : "Line by line the same as the reference.";
  return el("div", {}, el("p", { class: "hint" }, said), codeBlock("", false, lines));
}

// Longest common subsequence of lines (Hunt and McIlroy 1976), the quadratic form; null where that would be slow.
function difference(a, b) {
  if (a.length > MOST_DIFF_LINES || b.length > MOST_DIFF_LINES) return null;
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) (lines.push([" ", a[i]]), i++, j++);
    else if (i < a.length && (j === b.length || best[i + 1][j] >= best[i][j + 1])) lines.push(["-", a[i++]]);
    else lines.push(["+", b[j++]]);
  }
  return lines;
}

// -- surprisal by token ------------------------------------------------------------------------------------------

const HOTTEST = 6; // nats at which the colour is full: one chance in 400

function unpacked(one) {
  const { surprisals, pieces, text } = one.text;
  const value = (place) => DIGITS.indexOf(surprisals[place]) * DIGITS.length + DIGITS.indexOf(surprisals[place + 1]);
  const nats = Array.from({ length: surprisals.length / 2 }, (_, n) => value(2 * n) / 100);
  if (pieces === null) return nats.map((nat) => ({ nat, piece: null }));
  const characters = Array.from(text);
  let [at, from] = [0, 0];
  return nats.map((nat) => {
    let length = DIGITS.indexOf(pieces[at++]);
    if (length === DIGITS.length - 1) length = DIGITS.indexOf(pieces[at++]) * DIGITS.length + DIGITS.indexOf(pieces[at++]);
    const piece = characters.slice(from, from + length).join("");
    from += length;
    return { nat, piece };
  });
}

function heat(one) {
  if (!one.text) return [el("p", { class: "hint" }, "The tokens of this sample are left out of the page to keep it small.")];
  if (!one.text.surprisals) return [el("p", { class: "hint" }, "The completion is empty.")];
  const tokens = unpacked(one);
  const hasText = tokens.some((token) => token.piece);
  const place = el("div", { class: hasText ? "heat" : "heat cells", tabindex: 0, role: "img", "aria-label": "The completion, each token shaded by its surprisal; the numbers are in the table below." });
  tokens.forEach((token, n) => {
    const made = el("span", { class: "t", title: `token ${n + 1}: ${token.nat.toFixed(2)} nats` }, hasText ? visible(token.piece) : []);
    made.style.backgroundColor = shade(token.nat);
    place.append(made);
  });
  const scale = el("p", { class: "scale" }, "0");
  for (const nat of [0, 1.5, 3, 4.5, 6]) {
    const box = el("i");
    box.style.backgroundColor = shade(nat);
    scale.append(box);
  }
  scale.append(`${HOTTEST} nats and more`);
  const rows = tokens.map((token, n) => [n + 1, token.piece === null ? "-" : JSON.stringify(token.piece), token.nat.toFixed(2)]);
  const data = el("details", {}, el("summary", {}, `Table of ${tokens.length} tokens`), table("Surprisal by token", ["token", "text", "nats"], rows, ["count", "text", "text"]));
  const note = hasText ? null : el("p", { class: "hint" }, "The texts of the tokens are not known where this page was made: one cell a token, in order.");
  return [place, note, scale, data].filter(Boolean);
}

function shade(nat) {
  return `rgb(213 94 0 / ${(0.7 * Math.min(1, nat / HOTTEST)).toFixed(3)})`;
}
