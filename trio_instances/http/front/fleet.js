/* --- The fleet: one row for each instance, and which of them must be read again. --------------- */

const FIELDS = [
  "instance_id", "name", "channel_type", "status", "since", "connected", "proven", "attempt",
  "next_retry_at", "restarts", "who_must_act", "needs_attention", "pressure", "queues", "cause",
  "degraded", "probe", "silent", "budget",
].filter((field) => about.fields.includes(field));

const BATCH = 100; // instances asked for at once
const MAX_PATH = 6000; // characters; servers and proxies take few more in a line
const PACE = 200; // milliseconds between two questions, so that a storm of events is a few of them
const EVERY = 3000; // milliseconds after which the head is read again, as budgets go on in silence
const RATES_OVER = 10; // seconds over which a budget's rate is counted

const fleet = {
  rows: new Map(),
  head: null,
  dirty: new Set(), // ids that events named since they were read
  pumping: false,
  askedAt: 0,
  granted: new Map(), // by a budget's key: how much it had granted, and when
};

function makeRow(row) {
  row.rank = RANK.get(row.status) ?? 0;
  row.fullest = row.queues.reduce((worst, queue) => (worst && worst.occupancy >= queue.occupancy ? worst : queue), null);
  row.why = why(row);
  row.natural = row.instance_id.replace(/\d+/g, (digits) => digits.padStart(16, "0")); // bot-2 before bot-10
  row.text = `${row.instance_id}\n${row.name}\n${row.why}`.toLowerCase();
  return row;
}

function takeHead(head) {
  fleet.head = head;
  fleet.askedAt = performance.now();
  clock.hear(head.at);
  for (const budget of head.budgets) {
    const seen = fleet.granted.get(budget.key) ?? [];
    seen.push({ at: head.at, granted: budget.granted });
    while (seen.length > 2 && seen[1].at < head.at - RATES_OVER) seen.shift();
    fleet.granted.set(budget.key, seen);
  }
  repaint("glance");
}

// Counted from what was granted between two looks; null before the second look.
function grantedPerSecond(key) {
  const seen = fleet.granted.get(key);
  const [first, last] = [seen[0], seen[seen.length - 1]];
  return last.at > first.at ? (last.granted - first.granted) / (last.at - first.at) : null;
}

async function readAllInstances() {
  fleet.dirty.clear(); // what is named from here on is newer than what is read
  const { instances, ...head } = await read(`/instances?fields=${FIELDS.join(",")}`);
  live.lastId ??= head.position;
  fleet.rows = new Map(instances.map((row) => [row.instance_id, makeRow(row)]));
  fleet.granted.clear(); // another run counts from nought
  takeHead(head);
  rowsChanged();
}

/* Reading again what events named: a batch at a time, and never two questions at once. */

function readAgain(id) {
  fleet.dirty.add(id);
  pump();
}

async function pump() {
  if (fleet.pumping || live.phase !== "live") return;
  fleet.pumping = true;
  try {
    while (fleet.dirty.size) {
      // Many batches cost the endpoint more than all at once.
      if (fleet.dirty.size > 5 * BATCH && fleet.dirty.size > fleet.rows.size / 4) await readAllInstances();
      else await readBatch(nextBatch());
      await new Promise((resolve) => { setTimeout(resolve, PACE); });
    }
  } catch {
    // The stream will notice as well, and says it; what is left is read when it is back.
  } finally {
    fleet.pumping = false;
  }
}

function nextBatch() {
  const batch = [];
  let length = 0;
  for (const id of fleet.dirty) {
    length += encodeURIComponent(id).length + 4;
    if (batch.length && (batch.length === BATCH || length > MAX_PATH)) break;
    batch.push(id);
  }
  return batch;
}

async function readBatch(batch) {
  for (const id of batch) fleet.dirty.delete(id);
  try {
    const query = batch.map((id) => `id=${encodeURIComponent(id)}`).join("&");
    const { instances, ...head } = await read(`/instances?fields=${FIELDS.join(",")}&${query}`);
    const gone = new Set(batch);
    for (const row of instances) {
      gone.delete(row.instance_id);
      fleet.rows.set(row.instance_id, makeRow(row));
    }
    for (const id of gone) fleet.rows.delete(id);
    takeHead(head);
    rowsChanged();
  } catch (error) {
    for (const id of batch) fleet.dirty.add(id);
    throw error;
  }
}

// The head alone: an empty id names nobody.
async function readHead() {
  if (live.phase !== "live" || fleet.pumping || performance.now() - fleet.askedAt < EVERY) return;
  fleet.askedAt = performance.now();
  try {
    const { instances: _, ...head } = await read("/instances?fields=instance_id&id=");
    takeHead(head);
  } catch {
    // The stream will notice as well.
  }
}

/* An event names an instance. What it says itself is shown at once, and the rest is read. */

function fleetEvent(event) {
  const id = event.instance_id;
  if (id === null) return;

  const row = fleet.rows.get(id);
  if (event.event === "probe.completed" && row) {
    // Hundreds of these come every second to a large fleet, and they say all there is to know.
    const same = row.probe.verdict === event.verdict;
    Object.assign(row.probe, { verdict: event.verdict, latency: event.latency, streak: event.streak });
    rowsChanged();
    if (same) return;
  }
  if (event.event === "status.changed" && row) {
    Object.assign(row, { status: event.status, since: event.at });
    makeRow(row);
    rowsChanged();
  }
  readAgain(id);
}
