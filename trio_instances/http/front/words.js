"use strict";

/* --- Words: how things are said. Nothing here knows of the page or of the endpoint. ----------- */

// Worst first: the order of the table for those who asked for no other.
const STATUSES = [
  "failed", "degraded", "reconnecting", "connecting", "starting", "stopping", "paused", "stopped",
  "connected",
];
const RANK = new Map(STATUSES.map((status, index) => [status, index]));

const WHO = {
  credentials: "Whoever holds the credentials: renew them, then restart it.",
  configuration: "Whoever configures it: correct the configuration, then restart it.",
  operator: "The operator: find out what keeps it from connecting.",
  author: "The author of the channel: this is a mistake in the program.",
  nobody: "Nobody: it goes on by itself.",
};

const CLASSES = {
  recoverable: "a retry may mend it",
  degraded: "quality is lost, and it goes on",
  fatal: "no retry can mend it",
};

const VERB_WORDS = {
  reconnect: ["Reconnect", "Close its connection and make a new one"],
  retry_now: ["Retry now", "Do not wait for the next attempt's time"],
  pause: ["Pause", "Disconnect, and stay disconnected until it is resumed"],
  resume: ["Resume", "Connect again after a pause"],
  drain: ["Drain", "Send what is left, then pause"],
  restart: ["Restart", "Stop the whole instance and start it anew"],
};

// JSON has no infinity: where a number is one, the endpoint writes a text.
function numberOf(value) {
  return typeof value === "string" ? Number(value.replace("inf", "Infinity")) : value;
}

function duration(seconds) {
  const s = Math.max(numberOf(seconds), 0);
  if (!Number.isFinite(s)) return "for ever";
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Whole seconds: what ticks in a hundred rows must not flicker.
function longDuration(seconds) {
  return seconds < 10 ? `${Math.max(Math.floor(seconds), 0)} s` : duration(seconds);
}

function milliseconds(seconds) {
  if (seconds >= 10) return duration(seconds);
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  if (seconds >= 0.001) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${(seconds * 1e6).toFixed(0)} µs`;
}

function whole(number) {
  return number.toLocaleString("en-US");
}

function rate(perSecond) {
  if (perSecond >= 100) return whole(Math.round(perSecond));
  return perSecond >= 0.1 || perSecond === 0 ? perSecond.toFixed(1) : perSecond.toFixed(3);
}

function percent(share) {
  return `${Math.round(share * 100)}\u00a0%`; // never broken between lines
}

function plural(count, one, many = `${one}s`) {
  return `${whole(count)} ${count === 1 ? one : many}`;
}

function causeInWords(cause) {
  const error = [cause.error_type, cause.detail].filter(Boolean).join(": ");
  return error ? `${cause.reason}: ${error}` : cause.reason;
}

// The cause of an instance that is well again is history, and has no place in an overview.
function why(row) {
  if (row.degraded.length && row.status === "degraded") {
    return row.degraded.map((each) => `${each.what}: ${causeInWords(each.why)}`).join("; ");
  }
  if (row.connected && row.silent.length) return silenceInWords(row);
  if (row.cause && row.status !== "connected") return causeInWords(row.cause);
  return placeOf(row) === null ? "" : `in the line of budget ${row.budget.key}`;
}

function silenceInWords(row) {
  return `silent for too long: ${row.silent.map((signal) => (signal === "data" ? "no application event" : "nothing at all arrives")).join(", ")}`;
}

// Which in the line of its connection budget; null where it does not wait there.
function placeOf(row) {
  return row.budget?.place ?? null;
}

// Who stands in line is due already.
function nextInOrder(row) {
  if (placeOf(row) !== null) return placeOf(row) - 1e12;
  return row.connected ? Infinity : numberOf(row.next_retry_at ?? "inf");
}

function nextInWords(row, now) {
  if (placeOf(row) !== null) return `line ${whole(placeOf(row))}`;
  if (row.next_retry_at === null || row.connected) return "";
  const left = numberOf(row.next_retry_at) - now;
  return left <= 0 ? "now" : `in ${longDuration(Math.ceil(left))}`;
}

function standing(row, now) {
  const lasted = duration(now - row.since);
  switch (row.status) {
    case "connected":
      return `Connected for ${lasted}${row.proven ? ", proven" : ", not proven yet"}.`;
    case "reconnecting":
      return `Without a connection for ${lasted}; it goes on trying.`;
    case "connecting":
      return `Makes its first connection, for ${lasted} now.`;
    case "degraded":
      return `Degraded for ${lasted}, and ${row.connected ? "connected" : "not connected"}.`;
    case "failed":
      return `Failed ${lasted} ago. It is parked, and does not try again by itself.`;
    case "paused":
      return `Paused by an operator ${lasted} ago.`;
    case "stopping":
      return `Stopping for ${lasted}.`;
    case "stopped":
      return `Stopped ${lasted} ago.`;
    default:
      return `Starting for ${lasted}.`;
  }
}

function nextStep(row, now) {
  if (row.draining) return "It sends what is left, and pauses then.";
  const attempt = row.attempt + 1; // what the snapshot counts has been made
  if (placeOf(row) !== null) return `Attempt ${attempt} is due, and is number ${row.budget.place} in the line of budget ${row.budget.key}.`;
  if (row.connected && row.silent.length) return `It is ${silenceInWords(row)}.`;
  if (row.connected || row.next_retry_at === null) return "";
  const left = numberOf(row.next_retry_at) - now;
  return left <= 0 ? `Attempt ${attempt} begins now.` : `Attempt ${attempt} begins in ${duration(left)}.`;
}
