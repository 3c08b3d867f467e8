/* --- The table of instances: filtered, sorted, and only as many rows in it as can be seen. ------ */

const ROW = 28; // pixels; the style sheet has the same number
const BEYOND = 8; // rows kept above and below what can be seen, so that scrolling shows no holes
const RESORT = 400; // milliseconds between two sorts, so that a storm of events cannot keep it busy

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const by = (key) => (a, b) => compare(a[key], b[key]);
const byNumber = (value) => (a, b) => value(a) - value(b);

const COLUMNS = [
  { key: "status", title: "Status", sort: byNumber((r) => r.rank), paint: paintStatus },
  { key: "id", title: "Instance", sort: by("natural"), text: (r) => (r.name === r.instance_id ? r.instance_id : `${r.instance_id} (${r.name})`) },
  { key: "type", title: "Type", sort: by("channel_type"), text: (r) => r.channel_type },
  { key: "for", title: "For", right: true, sort: byNumber((r) => -r.since), text: (r, now) => longDuration(now - r.since) },
  { key: "why", title: "Why", sort: by("why"), text: (r) => r.why },
  { key: "next", title: "Next", right: true, sort: byNumber(nextInOrder), text: nextInWords },
  { key: "attempt", title: "Attempts", right: true, sort: byNumber((r) => r.attempt), text: (r) => (r.connected ? "" : String(r.attempt)) },
  { key: "restarts", title: "Restarts", right: true, sort: byNumber((r) => r.restarts), text: (r) => (r.restarts ? String(r.restarts) : "") },
  { key: "probe", title: "Probe", right: true, sort: byNumber((r) => r.probe.latency ?? -1), text: probeInWords },
  { key: "pressure", title: "Pressure", right: true, sort: byNumber((r) => r.fullest?.occupancy ?? -1), text: pressureInWords },
  { key: "who", title: "Who acts", sort: (a, b) => compare(whoOf(a), whoOf(b)), text: (r) => (whoOf(r) === "nobody" ? "" : whoOf(r)) },
];
const BY_KEY = new Map(COLUMNS.map((column) => [column.key, column]));

const filters = { q: "", type: "", status: new Set(), who: new Set(), sort: "status", down: false };
const table = {
  shown: [], // ids would do, but rows spare ten thousand look-ups
  pool: [], // the rows of the document, each used again for whatever scrolls into view
  cursor: null, // the id that the arrow keys stand on
  stale: true,
  sortedAt: 0,
  timer: null,
};

function probeInWords({ probe }) {
  if (probe.verdict === null) return "";
  const latency = probe.latency === null ? "" : milliseconds(probe.latency);
  return probe.verdict === "ok" ? latency : `${probe.verdict}${probe.streak > 1 ? ` ×${probe.streak}` : ""}`;
}

function pressureInWords(row) {
  if (!row.fullest || row.fullest.occupancy === 0) return ""; // nothing is the matter: no ink for it
  return percent(row.fullest.occupancy);
}

function paintStatus(cell, row) {
  if (!cell.firstChild) cell.append(mark(row.status), el("span"));
  set(cell.querySelector("use"), "href", `#m-${row.status}`);
  set(cell, "data-status", row.status);
  say(cell.lastChild, row.status);
}

/* What is shown, and in which order. */

function rowsChanged() {
  table.stale = true;
  const wait = table.sortedAt + RESORT - performance.now();
  if (wait <= 0) repaint("table", "glance");
  else table.timer ??= setTimeout(() => { table.timer = null; repaint("table", "glance"); }, wait);
}

// What the user asks for does not wait.
function viewChanged() {
  table.stale = true;
  table.sortedAt = 0;
  repaint("table", "glance");
}

function matches(row) {
  return (!filters.status.size || filters.status.has(row.status))
    && (!filters.type || row.channel_type === filters.type)
    && (!filters.who.size || filters.who.has(whoOf(row)))
    && (!filters.q || row.text.includes(filters.q.toLowerCase()));
}

function choose() {
  const { sort } = BY_KEY.get(filters.sort);
  const sign = filters.down ? -1 : 1;
  const byId = (a, b) => compare(a.natural, b.natural) || compare(a.instance_id, b.instance_id);
  table.shown = [...fleet.rows.values()].filter(matches).sort((a, b) => sign * sort(a, b) || byId(a, b));
  table.stale = false;
  table.sortedAt = performance.now();
  paintTypes();
  paintHeads();
  const total = fleet.rows.size;
  const all = table.shown.length === total;
  const known = fleet.head !== null; // else nobody knows whether there are any
  say($("shown"), !known ? "" : all ? plural(total, "instance") : `${whole(table.shown.length)} of ${plural(total, "instance")}`);
  $("clear").hidden = !isFiltered();
  $("empty").hidden = table.shown.length > 0 || !known;
  say($("empty"), total ? "No instance fits these filters." : "There is no instance yet.");
  set($("grid"), "aria-rowcount", String(table.shown.length + 1));
}

function isFiltered() {
  return Boolean(filters.q || filters.type || filters.status.size || filters.who.size);
}

function paintTypes() {
  const types = [...new Set([...fleet.rows.values()].map((row) => row.channel_type))].sort();
  if (filters.type && !types.includes(filters.type)) types.push(filters.type);
  const wished = types.join("\n");
  if ($("type").dataset.types !== wished || !$("type").firstChild) {
    $("type").dataset.types = wished;
    $("type").replaceChildren(el("option", { value: "" }, "All types"), ...types.map((type) => el("option", { value: type }, type)));
  }
  $("type").value = filters.type;
}

function makeHeads() {
  $("heads").append(...COLUMNS.map((column) => el("th", { role: "columnheader", scope: "col", class: `c-${column.key}${column.right ? " right" : ""}`, "data-key": column.key },
    el("button", { type: "button", onclick: () => sortBy(column.key) }, column.title, el("span", { class: "arrow", "aria-hidden": "true" })))));
}

function paintHeads() {
  for (const head of $("heads").children) {
    const sorted = head.dataset.key === filters.sort;
    set(head, "aria-sort", sorted ? (filters.down ? "descending" : "ascending") : "none");
    say(head.querySelector(".arrow"), sorted ? (filters.down ? "▼" : "▲") : "");
  }
}

function sortBy(key) {
  filters.down = filters.sort === key && !filters.down;
  filters.sort = key;
  settled();
}

/* What can be seen. */

function visible() {
  const { scrollTop, clientHeight } = $("pane");
  const first = Math.max(Math.floor(scrollTop / ROW) - BEYOND, 0);
  return [first, Math.min(first + Math.ceil(clientHeight / ROW) + 2 * BEYOND, table.shown.length)];
}

painters.set("table", () => {
  if (table.stale) choose();
  const [first, end] = visible();
  const now = clock.now();
  while (table.pool.length < end - first) table.pool.push(makeLine());
  spacers[0].style.height = `${first * ROW}px`;
  spacers[1].style.height = `${(table.shown.length - end) * ROW}px`;
  for (const [index, line] of table.pool.entries()) {
    line.hidden = first + index >= end;
    if (!line.hidden) paintLine(line, first + index, now);
  }
  const at = table.cursor === null ? -1 : table.shown.findIndex((row) => row.instance_id === table.cursor);
  if (at >= first && at < end) set($("grid"), "aria-activedescendant", `row-${at}`);
  else $("grid").removeAttribute("aria-activedescendant");
});

// One cell each: with as many as there are columns, hidden columns would still take their room.
const spacers = [0, 1].map(() => el("tr", { class: "spacer", "aria-hidden": "true" }, el("td")));

function makeLine() {
  const line = el("tr", { role: "row" }, COLUMNS.map((column) => el("td", { role: "gridcell", class: `c-${column.key}${column.right ? " right" : ""}` })));
  spacers[1].before(line);
  return line;
}

function paintLine(line, index, now) {
  const row = table.shown[index];
  line.id = `row-${index}`;
  line.dataset.id = row.instance_id;
  set(line, "aria-rowindex", String(index + 2));
  set(line, "aria-selected", String(row.instance_id === selected.id));
  line.classList.toggle("cursor", row.instance_id === table.cursor);
  line.classList.toggle("attention", whoOf(row) !== "nobody");
  for (const [place, column] of COLUMNS.entries()) {
    const cell = line.children[place];
    if (column.paint) column.paint(cell, row);
    else sayWhole(cell, column.text(row, now));
  }
}

// What a narrow cell cuts off can be read by pointing at it.
function sayWhole(cell, text) {
  if (cell.textContent === text) return;
  cell.textContent = text;
  cell.title = text;
}

/* Moving through it by keys. */

function moveCursor(by_, to = null) {
  if (!table.shown.length) return;
  const at = table.shown.findIndex((row) => row.instance_id === table.cursor);
  const wished = to ?? (at < 0 ? 0 : at + by_);
  const index = Math.min(Math.max(wished, 0), table.shown.length - 1);
  table.cursor = table.shown[index].instance_id;
  const pane = $("pane");
  const [top, bottom] = [index * ROW, (index + 1) * ROW + $("heads").offsetHeight];
  if (top < pane.scrollTop) pane.scrollTop = top;
  else if (bottom > pane.scrollTop + pane.clientHeight) pane.scrollTop = bottom - pane.clientHeight;
  repaint("table");
}

function gridKey(event) {
  const page = Math.max(Math.floor($("pane").clientHeight / ROW) - 2, 1);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  if (event.target !== $("grid") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key in moves) moveCursor(moves[event.key]);
  else if (event.key === "Home") moveCursor(0, 0);
  else if (event.key === "End") moveCursor(0, table.shown.length - 1);
  else if (event.key === "Enter" && table.cursor !== null) openInstance(table.cursor);
  else return;
  event.preventDefault();
}
