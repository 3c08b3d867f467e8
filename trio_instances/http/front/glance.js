/* --- The fleet at a glance. ------------------------------------------------------------------- */

const BUDGETS_SHOWN = 4;
const BREAKERS = {
  closed: "breaker closed",
  open: "breaker open: all wait",
  canary: "breaker open: one goes first",
};

function countRows() {
  const counts = { total: 0, attention: 0, status: new Map(), who: new Map(), level: new Map(), worst: null };
  for (const row of fleet.rows.values()) {
    counts.total += 1;
    add(counts.status, row.status);
    add(counts.level, row.pressure);
    const acts = whoOf(row);
    if (acts !== "nobody") {
      counts.attention += 1;
      add(counts.who, acts);
    }
    if (row.fullest && (!counts.worst || row.fullest.occupancy > counts.worst.fullest.occupancy)) counts.worst = row;
  }
  return counts;
}

function add(counter, key) {
  counter.set(key, (counter.get(key) ?? 0) + 1);
}

// Somebody has to look at each of these, even where the cause does not say who.
function whoOf(row) {
  if (row.who_must_act !== "nobody") return row.who_must_act;
  return row.needs_attention ? "operator" : "nobody";
}

painters.set("glance", () => {
  if (!fleet.head) return;

  const counts = countRows();
  const well = counts.status.get("connected") ?? 0;
  say($("sum"), `${plural(counts.total, "instance")}, ${whole(well)} connected`);
  paintStatuses(counts);
  paintWho(counts);
  paintBudgets();
  paintPressure(counts);
});

/* Buttons that filter are kept, and only their texts change: a click must not miss one. */
const chips = new Map();

function chip(place, key, label, press) {
  if (!chips.has(`${place} ${key}`)) {
    const count = el("b");
    const button = el("button", { type: "button", class: "chip", "aria-pressed": "false", "data-status": key, onclick: press },
      place === "chips" ? mark(key) : "", el("span", {}, label), count);
    chips.set(`${place} ${key}`, { button, count });
    $(place).append(button);
  }
  return chips.get(`${place} ${key}`);
}

function paintStatuses(counts) {
  const bar = $("bar");
  for (const status of STATUSES) {
    const count = counts.status.get(status) ?? 0;
    const { button, count: figure } = chip("chips", status, status, () => toggle("status", status));
    button.hidden = count === 0 && !filters.status.has(status);
    set(button, "aria-pressed", String(filters.status.has(status)));
    say(figure, whole(count));
    const part = bar.querySelector(`[data-status="${status}"]`) ?? bar.appendChild(el("i", { "data-status": status }));
    part.style.flexGrow = count;
    part.hidden = count === 0;
  }
}

function paintWho(counts) {
  for (const who of ["credentials", "configuration", "operator", "author"]) {
    const count = counts.who.get(who) ?? 0;
    const { button, count: figure } = chip("who", who, who, () => toggle("who", who));
    button.hidden = count === 0 && !filters.who.has(who);
    set(button, "aria-pressed", String(filters.who.has(who)));
    set(button, "title", WHO[who]);
    say(figure, whole(count));
  }
  if (!$("who-none")) $("who").append(el("p", { id: "who-none", class: "muted" }));
  const none = counts.who.size === 0;
  say($("who-none"), none ? "Nobody: all go on by themselves." : counts.attention ? `${plural(counts.attention, "instance needs", "instances need")} attention.` : "");
}

function worry(budget) {
  return (budget.breaker && budget.breaker !== "closed" ? 1e9 : 0) + budget.waiting;
}

function paintBudgets() {
  const { budgets, attempts_per_second: perSecond } = fleet.head;
  say($("attempts"), `${rate(perSecond)} a second`);
  const worst = [...budgets].sort((a, b) => worry(b) - worry(a) || (a.key < b.key ? -1 : 1));
  const lines = worst.slice(0, BUDGETS_SHOWN).map(budgetLine);
  if (!budgets.length) lines.push(el("p", { class: "muted" }, "No budget limits them."));
  if (worst.length > BUDGETS_SHOWN) lines.push(el("p", { class: "muted" }, `and ${plural(worst.length - BUDGETS_SHOWN, "more budget")}`));
  $("budgets").replaceChildren(...lines);
}

function budgetLine(budget) {
  const used = grantedPerSecond(budget.key);
  const allowed = budget.attempts_per_second;
  const open = budget.breaker !== null && budget.breaker !== "closed";
  const facts = [
    `${used === null ? "…" : rate(used)} of ${rate(allowed)} a second`,
    `${whole(budget.waiting)} waiting`,
    `${whole(budget.in_flight)} under way`,
    `${whole(budget.granted)} granted`,
    budget.left_today === null ? "" : `${whole(budget.left_today)} left today`,
  ].filter(Boolean);
  const breaker = budget.breaker === null ? "" : el("span", { class: open ? "tag bad" : "tag" }, BREAKERS[budget.breaker] ?? budget.breaker);
  return el("div", { class: "budget" },
    el("code", { title: budget.key }, budget.key), breaker,
    meter((used ?? 0) / allowed, facts[0], (used ?? 0) > allowed * 0.9 ? "warn" : "normal"),
    el("span", { class: "facts" }, facts.join(" · ")));
}

function paintPressure({ level, worst }) {
  if (!worst || worst.fullest.occupancy === 0) {
    $("pressure").replaceChildren(el("p", { class: "muted" }, worst ? "Every queue is empty." : "No queue is watched."));
    return;
  }
  const { name, occupancy } = worst.fullest;
  const link = el("button", { type: "button", class: "link", onclick: () => openInstance(worst.instance_id) }, `${name} of ${worst.instance_id}`);
  const levels = ["shed", "degraded", "warn"].filter((each) => level.has(each)).map((each) => `${level.get(each)} ${each}`);
  $("pressure").replaceChildren(
    meter(occupancy, percent(occupancy), worst.pressure),
    el("p", {}, link, `: ${percent(occupancy)}`),
    el("p", { class: "muted" }, levels.length ? levels.join(" · ") : "all normal"));
}
