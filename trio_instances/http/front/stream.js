/* --- The stream of events, and being honest about it. ------------------------------------------ */

const SILENT = 8; // seconds without a sign of life after which it is said; there is one every five
const DEAD = 13; // ... and after which the connection is given up for a new one
const DELAYS = [0.5, 1, 2, 4, 5]; // seconds before each try to come back; the last one repeats

const live = {
  phase: "starting", // starting, live, lost, stopped, locked: no token is given
  heardAt: performance.now(), // when anything arrived
  lastId: null, // where to go on; null: read everything anew
  why: "",
  retryAt: null,
  wake: () => {}, // ends the wait for the next try
};

/* The endpoint's clock. What arrives has been on its way, so the largest difference is the truest;
   while nothing is heard the clock stands still, as what it would count is not known to be so. */
const clock = {
  ahead: -Infinity,
  anew: false, // another run of the endpoint has another clock
  stoodAt: null,
  hear(at) {
    const ahead = at - performance.now() / 1000;
    clock.ahead = clock.anew ? ahead : Math.max(clock.ahead, ahead);
    clock.anew = false;
  },
  now() { return clock.stoodAt ?? clock.ahead + performance.now() / 1000; },
  date(at) { return new Date(Date.now() - (clock.now() - at) * 1000); },
};

function silence() {
  return (performance.now() - live.heardAt) / 1000;
}

function setPhase(phase, reason = "") {
  if (phase === "live") clock.stoodAt = null;
  else clock.stoodAt ??= clock.now();
  live.phase = phase;
  live.why = reason;
  repaint("live", "table", "details");
}

async function follow(listener) {
  for (let failures = 0; ; failures += 1) {
    try {
      if (live.lastId === null) await listener.readAll();
      await readStream(listener, () => { failures = 0; });
      if (live.phase !== "stopped") setPhase("lost", "the endpoint ended the stream");
    } catch (error) {
      await handleLoss(error);
    }
    await waitToRetry(DELAYS[Math.min(failures, DELAYS.length - 1)]);
  }
}

async function handleLoss(error) {
  if (error.status === 400) live.lastId = null; // it knows nothing of the id: begin anew
  if (error.status === 401) {
    await unlock();
    return;
  }
  // A bye comes before the end; what ends after it says nothing new.
  if (live.phase !== "stopped") setPhase("lost", error instanceof Refused ? error.message : "");
}

// Nothing is to be had without the token, so nothing is tried until one is given.
async function unlock() {
  const wrong = token.get() === null ? "" : "That was not the endpoint's token. ";
  token.forget();
  while (!(await askToken(`${wrong}This endpoint shows itself only to those who have its token.`))) {
    setPhase("locked");
    await new Promise((resolve) => { live.wake = resolve; });
  }
  setPhase("starting");
}

async function waitToRetry(seconds) {
  live.retryAt = performance.now() + seconds * 1000;
  await new Promise((resolve) => { live.wake = resolve; setTimeout(resolve, seconds * 1000); });
  live.retryAt = null;
}

async function readStream(listener, onOpen) {
  const abort = new AbortController();
  const began = performance.now();
  const quiet = () => Math.min(silence(), (performance.now() - began) / 1000);
  const watch = setInterval(() => { if (quiet() > DEAD) abort.abort(); }, 1000);
  try {
    const headers = { "last-event-id": live.lastId };
    const response = await ask("/events", { headers, signal: abort.signal });
    clock.anew = true;
    onOpen();
    for await (const frame of frames(response.body)) take(frame, listener);
  } finally {
    clearInterval(watch);
    abort.abort();
  }
}

async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    live.heardAt = performance.now();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    yield* parts.map(parseFrame);
  }
}

function parseFrame(text) {
  const frame = { event: "message", data: "", id: null };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) frame[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return frame;
}

function take(frame, listener) {
  if (frame.id !== null) live.lastId = frame.id;
  const data = frame.data ? JSON.parse(frame.data) : {};
  if (data.at !== undefined) clock.hear(data.at);
  if (frame.event === "bye") setPhase("stopped", data.why);
  else if (live.phase !== "live") setPhase("live");
  if (frame.event === "gap") listener.gap(data);
  if (frame.event === "message" && data.event) listener.event(data, numberIn(frame.id));
}

// An id is a run and a number; the number says what came first.
function numberIn(id) {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

/* What is said of the connection. */

const HAPPENED = {
  lost: "The connection to the endpoint is lost.",
  stopped: "The endpoint has stopped.",
  locked: "The endpoint shows nothing without its token.",
};

painters.set("live", () => {
  const silent = live.phase === "live" && silence() > SILENT;
  const shown = silent ? "lost" : live.phase;
  set(document.body, "data-live", shown);
  say($("live"), { live: "Live", starting: "Reading …", lost: "Not live", stopped: "Stopped", locked: "Not live" }[shown]);
  $("banner").hidden = shown === "live" || shown === "starting";
  // What has happened is said by itself, once; how many seconds ago that was must not be.
  say($("banner-what"), $("banner").hidden ? "" : silent ? "Nothing is heard from the endpoint." : HAPPENED[shown]);
  if ($("banner").hidden) return;

  const locked = shown === "locked";
  say($("retry"), locked ? "Give a token" : "Try now");
  $("retry").hidden = live.retryAt === null && !locked;
  if (locked) {
    say($("banner-more"), fleet.head ? "What you see is how it was when the endpoint was last heard." : "");
    return;
  }

  const heard = `Last heard ${longDuration(silence())} ago.`;
  const next = live.retryAt === null ? " Trying …" : ` Next try in ${longDuration((live.retryAt - performance.now()) / 1000 + 1)}.`;
  const reason = live.why ? ` (${live.why})` : "";
  say($("banner-more"), `${heard} What you see is how it was then.${silent ? "" : next}${reason}`);
});
