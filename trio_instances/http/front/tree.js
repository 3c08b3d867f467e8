/* --- The supervision tree of one instance. ----------------------------------------------------- */

const CHILD_MARKS = {
  running: "connected", starting: "starting", restarting: "reconnecting", stopping: "stopping",
  stopped: "stopped", parked: "failed", removed: "stopped",
};

function paintTree(tree) {
  const children = tree.children.flatMap((child) => child.supervisors);
  parts.tree.replaceChildren(children.length ? el("ul", { class: "tree" }, children.map(supervisorItem)) : el("p", { class: "muted" }, "Nothing of it runs."));
}

function supervisorItem(supervisor) {
  const limit = `${supervisor.strategy}, at most ${plural(supervisor.max_restarts, "restart")} in ${duration(supervisor.period)}`;
  return el("li", { class: "supervisor" },
    el("span", { class: "muted" }, limit),
    el("ul", {}, supervisor.children.map((child) => childItem(child, supervisor.at))));
}

function childItem(child, now) {
  const facts = [
    `${child.state} ${longDuration(now - child.since)}`,
    child.incarnation > 1 ? `run ${child.incarnation}` : "",
    child.restarts ? `restarted ${child.restarts}×` : "",
    child.essential ? "" : "not essential",
  ];
  const item = el("li", { "data-status": CHILD_MARKS[child.state] },
    el("div", { class: "child" }, mark(CHILD_MARKS[child.state] ?? "stopped"), el("b", {}, child.name), el("span", { class: "muted" }, facts.filter(Boolean).join(" · "))));
  if (child.waiting_at) item.append(el("div", { class: "more" }, "waits at ", el("code", {}, child.waiting_at)));
  if (child.last_cause) item.append(el("div", { class: "more" }, "last failure ", el("code", {}, causeInWords(child.last_cause))));
  if (child.supervisors.length) item.append(el("ul", {}, child.supervisors.map(supervisorItem)));
  return item;
}
