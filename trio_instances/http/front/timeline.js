/* --- Timelines: what happened, newest first; to one instance, and lately to anybody. ------------ */

const KEPT = 400; // events of the instance that is shown
const LATELY = 60; // events of the whole fleet

// What one cannot see in a row of the table, or should not have to look for there.
const NOTABLE = [
  "breaker.*", "hook.*", "loop.*", "runtime.*", "sink.*", "supervisor.*",
  "instance.failed", "instance.needs_attention", "child.stuck",
];

// With `times` it stands among those of others, and says whose it is.
function eventLine(event, times = 0) {
  const line = el("li", { "data-level": event.level },
    el("time", {}, clock.date(event.at).toLocaleTimeString("en-GB")),
    event.level === "INFO" || event.level === "DEBUG" ? "" : el("span", { class: "level" }, event.level === "ERROR" ? "error" : "warning"),
    el("b", {}, event.event), " ");
  if (times > 1) line.append(`${times} times, last: `);
  if (times && event.instance_id !== null) {
    line.append(el("button", { type: "button", class: "link", onclick: () => openInstance(event.instance_id) }, event.instance_id), " ");
  }
  line.append(el("span", { class: "words" }, wordsOf(event)));
  return line;
}

// The line for people begins with the name and the instance, which stand beside it already.
function wordsOf(event) {
  let words = event.line.slice(event.event.length + 1);
  const id = event.instance_id;
  if (id !== null && words.startsWith(`${id} `)) words = words.slice(id.length + 1);
  return words === id ? "" : words;
}

/* Lately. */

const lately = { shown: [], position: null, early: [] };

// What was before the page was opened, or before a gap, of the same names.
async function readLately() {
  Object.assign(lately, { position: null, early: [] });
  const answer = await read(`/lately?limit=${LATELY}&${NOTABLE.map((name) => `event=${name}`).join("&")}`);
  lately.position = numberIn(answer.position);
  lately.shown = [];
  answer.events.forEach(showLately);
  for (const { event, number } of lately.early.splice(0)) latelyEvent(event, number);
  repaint("lately");
}

function latelyEvent(event, number) {
  if (!isNotable(event.event)) return;
  if (lately.position === null) lately.early.push({ event, number });
  else if (number > lately.position) showLately(event);
  repaint("lately");
}

function isNotable(name) {
  return NOTABLE.some((each) => (each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : name === each));
}

function showLately(event) {
  const { shown } = lately;
  const before = shown[0];
  // What one instance does again and again is one thing that happens.
  const again = before && before.event.event === event.event && before.event.instance_id === event.instance_id;
  if (again) shown[0] = { event, times: before.times + 1 };
  else shown.unshift({ event, times: 1 });
  shown.length = Math.min(shown.length, LATELY);
}

painters.set("lately", () => {
  $("lately-none").hidden = lately.shown.length > 0 || lately.position === null;
  $("lately-list").replaceChildren(...lately.shown.map(({ event, times }) => eventLine(event, times)));
});

/* One instance. */

function paintTimeline() {
  const shown = selected.events.filter((event) => selected.all || event.event !== "probe.completed" || event.verdict !== "ok");
  const list = parts.timeline;
  // From the newest on, until one that is there already; what is too old falls off at the end.
  const fresh = [];
  for (let i = shown.length - 1; i >= 0 && shown[i] !== selected.newest; i -= 1) fresh.push(eventLine(shown[i]));
  if (fresh.length) selected.newest = shown[shown.length - 1];
  list.prepend(...fresh);
  while (list.children.length > shown.length) list.lastChild.remove();
  parts.noEvents.hidden = shown.length > 0;
}

function repaintTimeline() {
  selected.newest = null;
  parts.timeline.replaceChildren();
  repaint("details");
}
