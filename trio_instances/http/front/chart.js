/* --- Probe latency, as a small chart. ---------------------------------------------------------- */

const PROBES = 60;
const [WIDTH, HEIGHT] = [360, 64];

function paintChart() {
  const probes = selected.events.filter((event) => event.event === "probe.completed").slice(-PROBES);
  const last = probes[probes.length - 1];
  if (last === selected.charted) return;

  selected.charted = last;
  parts.chart.replaceChildren(drawProbes(probes), el("figcaption", {}, probesInWords(probes)));
}

function probesInWords(probes) {
  const latencies = probes.map((probe) => probe.latency).sort((a, b) => a - b);
  const failed = probes.filter((probe) => probe.verdict !== "ok").length;
  const median = latencies[Math.floor(latencies.length / 2)];
  return `${plural(probes.length, "probe")}: median ${milliseconds(median)}, slowest ${milliseconds(latencies[latencies.length - 1])}, `
    + (failed ? `${failed} not passed (×)` : "all passed");
}

// A passed probe is a bar, one that has not passed a cross above its bar: told apart without colour.
function drawProbes(probes) {
  const top = Math.max(...probes.map((probe) => probe.latency), 1e-9);
  const step = WIDTH / PROBES;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": probesInWords(probes), preserveAspectRatio: "none" },
    svg("line", { x1: 0, y1: HEIGHT - 0.5, x2: WIDTH, y2: HEIGHT - 0.5, class: "axis" }));
  probes.forEach((probe, index) => {
    const bad = probe.verdict !== "ok";
    const high = Math.max((probe.latency / top) * (HEIGHT - 14), 1.5);
    const x = WIDTH - (probes.length - index) * step;
    picture.append(svg("rect", { x: x + 1, y: HEIGHT - high - 1, width: step - 2, height: high, class: bad ? "bad" : "ok" },
      svg("title", {}, `${clock.date(probe.at).toLocaleTimeString("en-GB")} ${probe.verdict}, ${milliseconds(probe.latency)}`)));
    if (bad) {
      const [middle, y] = [x + step / 2, HEIGHT - high - 6];
      picture.append(svg("path", { d: `M${middle - 2.4} ${y - 2.4}l4.8 4.8m0 -4.8l-4.8 4.8`, class: "cross" }));
    }
  });
  return picture;
}
