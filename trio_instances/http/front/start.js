/* --- The page: what leads to what. -------------------------------------------------------------- */

const TICK = 250; // milliseconds; what counts seconds is told with tenths below ten of them

/* The address keeps the view, so that it can be sent to a colleague, and survives a reload. */

function viewInWords() {
  const view = new URLSearchParams();
  if (selected.id !== null) view.set("instance", selected.id);
  for (const key of ["status", "who"]) if (filters[key].size) view.set(key, [...filters[key]].join(","));
  for (const key of ["type", "q"]) if (filters[key]) view.set(key, filters[key]);
  if (filters.sort !== "status" || filters.down) view.set("sort", (filters.down ? "-" : "") + filters.sort);
  return `#${view}`;
}

// An instance that is opened is a step one can go back from; a filter is not.
function settled({ entry = false } = {}) {
  const view = viewInWords();
  if (view !== location.hash && !(view === "#" && !location.hash)) {
    if (entry) history.pushState(null, "", view);
    else history.replaceState(null, "", view);
  }
  viewChanged();
}

function readView() {
  const view = new URLSearchParams(location.hash.slice(1));
  const words = (key) => new Set((view.get(key) ?? "").split(",").filter(Boolean));
  filters.status = new Set([...words("status")].filter((status) => RANK.has(status)));
  filters.who = new Set([...words("who")].filter((who) => who in WHO));
  filters.type = view.get("type") ?? "";
  filters.q = view.get("q") ?? "";
  const sort = view.get("sort") ?? "status";
  filters.down = sort.startsWith("-");
  filters.sort = BY_KEY.has(sort.replace("-", "")) ? sort.replace("-", "") : "status";
  $("q").value = filters.q;
  if (view.get("instance") === null) closeInstance();
  else openInstance(view.get("instance"), { focus: false });
  viewChanged();
}

/* Filters. */

function toggle(key, value) {
  if (!filters[key].delete(value)) filters[key].add(value);
  $("pane").scrollTop = 0;
  settled();
}

function filterBy(key, value) {
  filters[key] = value;
  $("pane").scrollTop = 0;
  settled();
}

function clearFilters() {
  Object.assign(filters, { q: "", type: "", status: new Set(), who: new Set() });
  $("q").value = "";
  settled();
}

/* Keys. */

function pageKey(event) {
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    $("q").focus();
    $("q").select();
  } else if (event.key === "Escape") {
    escape(event);
  } else if (event.target === $("q") && (event.key === "ArrowDown" || event.key === "Enter")) {
    event.preventDefault();
    $("grid").focus();
    moveCursor(0, 0);
  }
}

// One thing at a time: the filter's text, then the instance, then the filters.
function escape(event) {
  if (event.target === $("q") && filters.q) {
    $("q").value = "";
    filterBy("q", "");
  } else if (selected.id !== null) closeInstance();
  else if (isFiltered()) clearFilters();
  else $("grid").focus();
}

/* What the stream brings. */

const listener = {
  async readAll() {
    await readAllInstances();
    await readLately();
  },
  event(event, number) {
    fleetEvent(event);
    detailsEvent(event, number);
    latelyEvent(event, number);
  },
  async gap({ missed, why: reason }) {
    const what = missed === null ? "Events were missed" : `${plural(missed, "event")} ${missed === 1 ? "was" : "were"} missed`;
    notice(`${what}: ${reason}. Everything was read anew at ${new Date().toLocaleTimeString("en-GB")}.`);
    await readAnew();
  },
};

async function readAnew() {
  try {
    await listener.readAll();
    if (selected.id !== null) await Promise.all([readDetails(), readEvents()]);
  } catch {
    live.lastId = null; // the stream is about to end as well, and begins anew then
  }
}

function notice(text) {
  say($("notice-text"), text);
  $("notice").hidden = false;
}

function tick() {
  repaint("live", "table", "details");
  if (live.phase === "live") pump();
  readHead();
  lookAgain();
}

// What is looked at, and what is under pressure, changes without an event.
function lookAtVisible() {
  if (live.phase !== "live" || document.hidden) return;
  const [first, end] = visible();
  for (const row of table.shown.slice(first, end)) fleet.dirty.add(row.instance_id);
}

function start() {
  document.title = `${about.runtime} · operations`;
  say($("runtime"), about.runtime);
  say($("access"), about.grants_verbs ? "" : "look only: no token is configured");
  makeHeads();
  $("rows").append(...spacers);
  $("q").addEventListener("input", () => filterBy("q", $("q").value.trim()));
  $("type").addEventListener("change", () => filterBy("type", $("type").value));
  $("clear").addEventListener("click", clearFilters);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("retry").addEventListener("click", () => live.wake());
  $("notice-close").addEventListener("click", () => { $("notice").hidden = true; });
  $("pane").addEventListener("scroll", () => repaint("table"), { passive: true });
  $("rows").addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-id]");
    if (line) openInstance(line.dataset.id);
  });
  $("grid").addEventListener("keydown", gridKey);
  document.addEventListener("keydown", pageKey);
  window.addEventListener("resize", () => repaint("table"));
  window.addEventListener("online", () => { if (live.phase !== "locked") live.wake(); });
  window.addEventListener("hashchange", readView);
  window.addEventListener("popstate", readView);
  readView();
  setInterval(tick, TICK);
  setInterval(lookAtVisible, 5000);
  follow(listener);
}

start();
