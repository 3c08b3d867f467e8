/* --- The document. Ids, causes and texts come from outside: they only ever become text. -------- */

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

// Makes an element; what is given as a text becomes a text node, never markup.
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  return fill(made, attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

// Writing what is there already would still cost layout, and a screen reader might say it again.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function mark(status) {
  const use = svg("use", { href: `#m-${status}` });
  return svg("svg", { class: "mark", "aria-hidden": "true" }, use);
}

// A bar whose text says the same; its width is set by script, as the policy forbids style in markup.
function meter(share, label, level = "normal") {
  const inner = el("i");
  inner.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return el("span", { class: "meter", "data-level": level, title: label, "aria-hidden": "true" }, inner);
}

/* What has changed is painted once a frame, however many events a frame brings. */
const painters = new Map();
const wanted = new Set();

function repaint(...names) {
  if (!wanted.size) requestAnimationFrame(paint);
  for (const name of names) wanted.add(name);
}

function paint() {
  const names = [...wanted];
  wanted.clear();
  for (const name of names) painters.get(name)();
}

/* A dialog gives true when its form is sent. The forms send nothing to anybody. */
function asked(dialog) {
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const end = (answer) => { if (dialog.open) dialog.close(); resolve(answer); };
    form.onsubmit = (event) => { event.preventDefault(); end(true); };
    dialog.querySelector(".cancel").onclick = () => end(false);
    dialog.onclose = () => end(false);
    dialog.showModal();
  });
}
