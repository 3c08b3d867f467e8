/* --- One instance. ----------------------------------------------------------------------------- */

const SETTLE = 300; // milliseconds that events are gathered for before it is read again
const LOOK = 4000; // milliseconds after which it is read again anyway: silence and queues go on

const selected = { id: null };
let parts = {}; // the elements of the panel that is shown

function openInstance(id, { focus = true } = {}) {
  if (selected.id !== id) {
    Object.assign(selected, {
      id, row: null, gone: false, events: [], position: null, early: [], newest: null, charted: null,
      all: false, readAt: 0, timer: null, answer: "",
    });
    table.cursor = id;
    makePanel();
    readDetails();
    readEvents();
  }
  document.body.classList.add("opened");
  $("details").hidden = false;
  $("lately").hidden = true;
  if (focus) parts.head.focus();
  repaint("table", "details");
  settled({ entry: true });
}

function closeInstance() {
  if (selected.id === null) return;
  selected.id = null;
  document.body.classList.remove("opened");
  $("details").hidden = true;
  $("lately").hidden = false;
  $("grid").focus();
  repaint("table");
  settled();
}

/* Reading it. An answer for what is not shown any more is dropped. */

async function readDetails() {
  const { id } = selected;
  selected.readAt = performance.now();
  const named = encodeURIComponent(id);
  try {
    const [{ instances }, tree] = await Promise.all([read(`/instances?id=${named}`), read(`/tree?instance=${named}`)]);
    if (selected.id !== id) return;
    selected.gone = !instances.length;
    selected.row = instances[0] ?? selected.row;
    paintTree(tree);
  } catch (error) {
    if (selected.id === id) selected.gone = error.status === 404;
  }
  repaint("details");
}

async function readEvents() {
  const { id } = selected;
  if (!addressable(id)) return;
  selected.position = null;
  try {
    const answer = await read(pathOf(id, `/events?limit=${KEPT}`));
    if (selected.id !== id) return;
    selected.position = numberIn(answer.position);
    selected.events = answer.events;
    // What came by the stream meanwhile may be in the answer as well.
    for (const { event, number } of selected.early.splice(0)) if (number > selected.position) selected.events.push(event);
    repaintTimeline();
  } catch {
    // It is gone, or the connection is: either is said elsewhere.
  }
}

function detailsEvent(event, number) {
  if (selected.id === null || event.instance_id !== selected.id) return;
  if (selected.position === null) selected.early.push({ event, number });
  else if (number > selected.position) selected.events.push(event);
  if (selected.events.length > KEPT) selected.events.splice(0, selected.events.length - KEPT);
  selected.timer ??= setTimeout(() => { selected.timer = null; if (selected.id !== null) readDetails(); }, SETTLE);
  repaint("details");
}

function lookAgain() {
  if (selected.id !== null && live.phase === "live" && performance.now() - selected.readAt > LOOK) readDetails();
}

/* The panel: made once for each instance, so that what is focused or marked in it stays so. */

function makePanel() {
  parts = {
    head: el("h2", { id: "d-id", tabindex: "-1" }, selected.id),
    sub: el("p", { class: "muted" }),
    status: el("p", { class: "status" }),
    next: el("p", { class: "next" }),
    cause: el("div"),
    act: el("p", { class: "act" }),
    verbs: el("div", { class: "buttons" }),
    answer: el("p", { class: "answer", role: "status" }),
    facts: el("dl", { class: "facts" }),
    chart: el("figure", {}),
    tree: el("div"),
    timeline: el("ol", { class: "timeline" }),
    noEvents: el("p", { class: "muted" }, "None is kept."),
  };
  parts.verbs.append(...verbButtons());
  parts.probes = panelSection("Probe latency", parts.chart);
  const all = el("input", { type: "checkbox", onchange: (event) => { selected.all = event.target.checked; repaintTimeline(); } });
  $("details").replaceChildren(
    el("header", {}, parts.head, el("button", { type: "button", class: "close", "aria-label": "Close the instance", onclick: closeInstance }, "Close")),
    parts.sub, parts.status, parts.next, parts.cause, parts.act, parts.verbs, parts.answer, parts.facts, parts.probes,
    panelSection("Supervision tree", parts.tree),
    panelSection("Events", el("label", {}, all, " with passed probes"), parts.noEvents, parts.timeline));
  $("details").scrollTop = 0;
}

function panelSection(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

painters.set("details", () => {
  if (selected.id === null) return;
  paintTimeline();
  parts.probes.hidden = !selected.events.some((event) => event.event === "probe.completed");
  if (!parts.probes.hidden) paintChart();
  if (selected.gone) say(parts.status, "There is no such instance any more.");
  if (selected.row === null || selected.gone) return;
  paintStanding(selected.row, clock.now());
  paintFacts(selected.row, clock.now());
});

function paintStanding(row, now) {
  say(parts.sub, [row.name === row.instance_id ? "" : row.name, row.channel_type].filter(Boolean).join(" · "));
  if (!parts.status.firstElementChild) parts.status.replaceChildren(mark(row.status), el("b"), el("span"));
  const [shape, word, words] = parts.status.children;
  set(shape.firstChild, "href", `#m-${row.status}`);
  set(parts.status, "data-status", row.status);
  say(word, row.status);
  say(words, standing(row, now));
  say(parts.next, nextStep(row, now));
  const acts = whoOf(row);
  say(parts.act, row.cause || acts !== "nobody" ? `Who must act: ${WHO[acts]}` : "");
  set(parts.act, "data-acts", String(acts !== "nobody"));
  paintCause(row, now);
}

function paintCause(row, now) {
  const key = JSON.stringify([row.cause, row.degraded, row.connected]);
  if (parts.cause.dataset.key === key) return;
  parts.cause.dataset.key = key;
  const boxes = row.degraded.map((each) => causeBox(each.why, `Degraded: ${each.what}, since ${clock.date(each.since).toLocaleTimeString("en-GB")}`));
  const told = row.degraded.some((each) => JSON.stringify(each.why) === JSON.stringify(row.cause));
  if (row.cause && !told) boxes.push(causeBox(row.cause, row.connected ? "Why it was last disconnected" : "Why it is not connected"));
  parts.cause.replaceChildren(...boxes);
}

function causeBox(cause, title) {
  const hints = [
    `${cause.failure_class}: ${CLASSES[cause.failure_class] ?? ""}`,
    cause.retry_after === null ? "" : `the other side asked to wait ${duration(cause.retry_after)}`,
    cause.resumable ? "its session can be resumed" : "",
    cause.planned ? "it was planned" : "",
  ];
  const error = [cause.error_type, cause.detail].filter(Boolean).join(": ");
  return el("div", { class: "cause", "data-class": cause.failure_class },
    el("h3", {}, title), el("p", {}, el("code", {}, cause.reason), error ? ` ${error}` : ""), el("p", { class: "muted" }, hints.filter(Boolean).join("; ")));
}

function paintFacts(row, now) {
  const ago = (seconds) => (seconds === null ? "never" : `${longDuration(seconds + now - row.at)} ago`);
  const facts = [
    ["Started", `${longDuration(row.uptime + now - row.at)} ago`],
    ["Generation", whole(row.generation)],
    ["Reconnects", `${whole(row.reconnects)} of ${plural(row.reconnect_attempts, "attempt")}`],
    ["Restarts", whole(row.restarts) + (row.last_restart_reason ? `, last for ${row.last_restart_reason}` : "")],
    ["Children", row.children_total === 0 ? "none now" : `${row.children_running} of ${row.children_total} running` + (row.children_parked ? `, ${row.children_parked} parked` : "")],
    ["Last frame", ago(row.since_frame)],
    ["Last event", ago(row.since_event)],
    ["Silent", row.silent.join(", ")],
    ["Probe", row.probe.verdict === null ? "none yet" : `${row.probe.verdict} ×${row.probe.streak}, ${milliseconds(row.probe.latency)}`],
    ["Failures in a row", row.failures_in_a_row ? whole(row.failures_in_a_row) : ""],
    ["Rotation", row.rotate_at === null ? "" : `in ${longDuration(numberOf(row.rotate_at) - now)}`],
    ["Budget", row.budget ? row.budget.key : ""],
    ...row.queues.map((queue) => [`Queue ${queue.name}`, `${whole(queue.used)} of ${whole(numberOf(queue.capacity))}, ${percent(queue.occupancy)}`]),
  ].filter(([, value]) => value !== "");
  const key = facts.map(([name]) => name).join("\n");
  if (parts.facts.dataset.key !== key) {
    parts.facts.dataset.key = key;
    parts.facts.replaceChildren(...facts.map(([name]) => el("div", {}, el("dt", {}, name), el("dd"))));
  }
  facts.forEach(([, value], index) => say(parts.facts.children[index].lastChild, value));
}

/* Verbs. */

function verbButtons() {
  if (!about.grants_verbs) {
    return [el("p", { class: "muted" }, "This page can only look: the endpoint was started without a token, so nobody can act here.")];
  }
  if (!addressable(selected.id)) return [el("p", { class: "muted" }, "No address leads to an instance of this id, so nobody can act here.")];
  return about.verbs.map((verb) => {
    const [label, title] = VERB_WORDS[verb] ?? [verb, ""];
    return el("button", { type: "button", title, "data-verb": verb, onclick: () => press(verb) }, label);
  });
}

async function press(verb) {
  const { id } = selected;
  if (verb === "restart" && !(await confirmRestart(id))) return;
  for (const button of parts.verbs.children) button.disabled = true;
  const shown = parts;
  say(shown.answer, "Asking …");
  say(shown.answer, await act(id, verb));
  for (const button of shown.verbs.children) button.disabled = false;
  if (selected.id === id) shown.verbs.querySelector(`[data-verb="${verb}"]`).focus();
}

function confirmRestart(id) {
  say($("confirm-head"), `Restart ${id}?`);
  say($("confirm-why"), "It is stopped in good order, within its children's time for that, and started anew. Its counters begin at nought.");
  say($("confirm-yes"), "Restart it");
  return asked($("confirm"));
}
