// Small pieces that the other scripts use. Text of samples only ever becomes text nodes.

const DATA = JSON.parse(document.getElementById("data").textContent);

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// Characters that reorder, hide or break text, and halves of surrogate pairs, are shown by their number.
const HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u115f\\u180e\\u200b-\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\u3164\\ufeff\\ufff9-\\ufffc]|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]",
  "g",
);
const LONGEST_LINE = 2000;

function visible(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(el("span", { class: "ctl", title: "a character that does not show" }, `U+${code}`));
    from = found.index + found[0].length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

function visibleLine(line) {
  if (line.length <= LONGEST_LINE) return visible(line);
  const more = `[... ${(line.length - LONGEST_LINE).toLocaleString("en")} more characters]`;
  return [...visible(line.slice(0, LONGEST_LINE)), el("span", { class: "ctl" }, more)];
}

const FORMATS = {
  text: (value) => String(value),
  count: (value) => Number(value).toLocaleString("en"),
  share: (value) => `${(100 * value).toFixed(Math.abs(value) < 0.0995 && value !== 0 ? 1 : 0)}%`,
  ratio: (value) => `${Number(value).toPrecision(3)}x`,
  number: (value) => Number(value).toPrecision(3),
  seconds: (value) => Number(value).toLocaleString("en", { maximumFractionDigits: 1 }),
};

function shown(value, unit) {
  if (value === null || value === undefined) return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? FORMATS[unit](value) : String(value);
}

// A cell that a spreadsheet would take for a formula gets an apostrophe before it.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function download(name, columns, rows) {
  const text = [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function table(caption, columns, rows, units) {
  const head = columns.map((name, n) => el("th", { scope: "col", class: isNumeric(units[n]) ? "n" : null }, name));
  const body = rows.map((row) =>
    el("tr", {}, row.map((cell, n) => el("td", { class: isNumeric(units[n]) ? "n" : null }, cell instanceof Node ? cell : visible(shown(cell, units[n]))))),
  );
  const made = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, made);
}

function isNumeric(unit) {
  return unit !== "text" && unit !== undefined;
}

// -- colours ---------------------------------------------------------------------------------------------------

const THEMES = ["system", "light", "dark"];
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : systemDark.matches;
}

// The drawing with every colour of the light theme replaced by its partner in the dark one.
function themed(value) {
  if (!isDark()) return value;
  if (typeof value === "string") return DATA.dark[value] ?? value;
  if (Array.isArray(value)) return value.map(themed);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
  return value;
}

function setUpTheme() {
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    const now = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % THEMES.length];
    if (now === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    button.lastElementChild.textContent = now;
    button.setAttribute("aria-label", `Colours: ${now === "system" ? "as the system" : now}`);
    drawAll();
  });
  systemDark.addEventListener("change", () => drawAll());
}
