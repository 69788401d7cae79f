// The curves of one run, or of several over one another: Plotly.react on one figure, so that zoom and legend stay.

import { ask } from "./feed.js";
import { el, keep, kept } from "./dom.js";
import { plain } from "./words.js";

const FEW_POINTS = 30; // below this a line alone would hide where the points are
const NARROW_PX = 620;
const ZOOM_MS = 200;
const REST = 100, MOST_REST_MS = 10000; // times as long as a drawing takes, which leaves a training CPU in peace
const FIRST_MS = 20; // the first drawings take longer than those that follow, and are looked at the most
let plotly = null, figures = null;

export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = el("script", { src: new URL("../plotly.min.js", import.meta.url).href, onload: () => resolve(window.Plotly), onerror: reject });
    document.head.append(script);
  });
  return plotly;
}

function loadFigures() {
  figures ??= ask("figures").then(({ value }) => value);
  return figures;
}

// An exponential mean that starts unbiased and leaves gaps where they are.
export function smoothed(values, share) {
  if (!share) return values;
  let mean = 0, weight = 0;
  return values.map((value) => {
    if (value == null) return null;
    mean = share * mean + (1 - share) * value;
    weight = share * weight + (1 - share);
    return mean / weight;
  });
}

// Resolves once the browser has laid out and drawn what was changed.
const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

export class Charts {
  // `beside` stands in the toolbar; `onStep` hears which step was clicked.
  constructor(element, { note = "", beside = null, onStep = null, flops = false } = {}) {
    this.beside = beside;
    this.onStep = onStep;
    this.offersFlops = flops; // where runs say how many a token takes
    this.unit = "nats"; // or "bits", a byte
    this.view = kept("view", { log: false, smooth: 0.6, x: "step" });
    this.curves = [];
    this.plot = el("div", { class: "lt-plot", role: "img", "aria-label": "Charts of loss, learning rate, gradient norm, tokens per second and memory", hidden: true });
    this.empty = el("p", { class: "lt-empty" }, note);
    element.replaceChildren(this.toolbar(), el("div", { class: "lt-plot-box" }, this.plot, this.empty));
    this.resized = new ResizeObserver(() => this.draw(true));
    this.resized.observe(this.plot);
    this.dark = new MutationObserver(() => this.draw(true));
    this.dark.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }

  toolbar() {
    const set = (name, read) => (event) => { this.view[name] = read(event.target); keep("view", this.view); this.draw(true); };
    const log = el("input", { type: "checkbox", onchange: set("log", (t) => t.checked) });
    log.checked = this.view.log;
    const smooth = el("input", { type: "range", min: 0, max: 0.98, step: 0.02, "aria-label": "smoothing", oninput: set("smooth", (t) => Number(t.value)) });
    smooth.value = this.view.smooth;
    const x = el("select", { "aria-label": "horizontal axis", onchange: set("x", (t) => t.value) },
      [["step", "step"], ["tokens_seen", "tokens"], ["elapsed_s", "time"], ...(this.offersFlops ? [["flops", "FLOPs"]] : [])].map(([value, label]) => el("option", { value, selected: this.view.x === value }, label)));
    return el("div", { class: "lt-toolbar" },
      el("label", {}, log, " log"), el("label", {}, "smooth ", smooth), el("label", {}, "x ", x),
      this.beside ?? null, el("span", { class: "lt-spring" }),
      el("button", { type: "button", class: "lt-link", onclick: () => this.png() }, "PNG"),
      el("button", { type: "button", class: "lt-link", onclick: () => this.csv() }, "CSV"));
  }

  say(note) { this.empty.textContent = note; }

  // runs: [{curve, name, colour}]
  show(runs) {
    const key = [this.unit, ...runs.map((run) => run.runId)].join(), others = key !== this.key; // prettier-ignore
    this.key = key;
    this.runs = runs;
    return this.draw(others);
  }

  // What a hand has changed is drawn at once; new points wait until the CPU has rested.
  async draw(now = false) {
    if (!this.runs || this.drawing || (this.resting && !now)) { this.again = Boolean(this.runs); this.urgent ||= now; return; }
    this.drawing = true;
    this.urgent = false;
    let began = performance.now();
    const points = this.runs.some((run) => run.curve.length > 0);
    if (points && !this.plot.dataset.points) this.say("Drawing …");
    try {
      const [Plotly, described] = await Promise.all([loadPlotly(), loadFigures()]);
      began = performance.now();
      const drawn = this.runs.some((run) => run.curve.length > 0);
      this.empty.hidden = drawn;
      this.plot.hidden = !drawn;
      if (!drawn) { delete this.plot.dataset.points; delete this.plot.dataset.step; }
      const width = this.plot.clientWidth;
      if (drawn && width > 0) {
        await Plotly.react(this.plot, this.traces(described), this.layout(described, width), { responsive: false, displaylogo: false, displayModeBar: false, doubleClick: "reset+autosize", scrollZoom: false });
        if (!this.following) {
          this.following = true;
          this.plot.on("plotly_relayout", (change) => this.zoomed(change));
        }
        if (this.onStep && !this.listening) {
          this.listening = true;
          this.plot.on("plotly_click", ({ points: [at] }) => {
            const axis = this.axis(described);
            this.onStep(stepAt(this.runs[0], axis, at.x));
          });
        }
        this.plot.dataset.points = Math.max(...this.runs.map((run) => run.curve.length));
        this.plot.dataset.step = Math.max(...this.runs.map((run) => run.curve.columns?.step.at(-1) ?? 0));
        await painted(); // it costs as much as the script
      }
    } finally {
      this.drawing = false;
    }
    if (this.urgent) return this.draw(true);
    // A slow machine draws less often, so that the page's buttons answer at once.
    const took = performance.now() - began, usual = Math.min(took, this.took ?? FIRST_MS); // prettier-ignore
    this.took = took;
    this.resting = true;
    clearTimeout(this.waking);
    this.waking = setTimeout(() => {
      this.resting = false;
      if (this.again) { this.again = false; this.draw(); }
    }, Math.min(MOST_REST_MS, REST * usual));
  }

  axis(described) {
    return [...described.x_axes, ...(this.offersFlops ? [FLOPS] : [])].find((axis) => axis.column === this.view.x) ?? described.x_axes[0];
  }

  traces(described) {
    const axis = this.axis(described);
    const several = this.runs.length > 1;
    const ink = getComputedStyle(document.body).getPropertyValue("--lt-ink").trim() || "#222";
    const used = new Map();
    return this.runs.flatMap((run, place) => {
      const columns = run.curve.shown;
      if (!columns) return [];
      const same = used.get(run.colour) ?? 0; // two runs of one colour differ in their dashes
      used.set(run.colour, same + 1);
      const dash = ["solid", "dash", "dot", "dashdot"][same % 4];
      const x = across(run, columns, axis);
      const drawn = described.panels.flatMap((panel, i) => panel.traces.flatMap((trace) =>
        this.trace(trace, columns, x, { run, several, ink, dash, axes: axesOf(i), first: i === 0, divide: panel.divide ?? 1 })));
      const band = run.curve.band ? this.band(run, columns, x) : [];
      return run.letter ? [...band, ...drawn, this.letter(run, columns, x, place)] : drawn;
    });
  }

  // Between the lowest and the highest of the runs whose mean is drawn.
  band(run, columns, x) {
    const share = this.unit === "bits" ? inBits(columns, "train_loss").map((value, i) => value / columns.train_loss[i]) : null;
    const [low, high] = run.curve.band.train_loss.map((side) => side.map((value, i) => (value == null ? null : share ? value * share[i] : value)));
    const base = { ...axesOf(0), type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: run.runId };
    return [{ ...base, x, y: low }, { ...base, x, y: high, fill: "tonexty", fillcolor: `${run.colour}33` }];
  }

  // The run's letter on its loss, so that a curve is found without its colour; each a little before the last one's.
  letter(run, columns, x, place) {
    const y = this.unit === "bits" ? inBits(columns, "val_loss") : columns.val_loss;
    const known = y.flatMap((value, i) => (value == null || x[i] == null ? [] : [i]));
    const at = known[Math.max(0, known.length - 1 - (place % 8))];
    return { ...axesOf(0), type: "scatter", mode: "text", x: [x[at]], y: [y[at]], text: [run.letter], textposition: "top center", textfont: { color: run.colour, size: 13, weight: 700 },
      hoverinfo: "skip", showlegend: false, legendgroup: run.runId, cliponaxis: false };
  }

  // Stretches of steps that someone should look at, behind the loss and the series that shows it: [{from, to, series, colour}].
  shade(regions) {
    this.regions = regions;
    return this.draw(true);
  }

  shapes(described, axis) {
    const columns = this.runs[0].curve.columns;
    if (!this.regions?.length || !columns || this.runs.length > 1) return [];
    const x = across(this.runs[0], columns, axis), at = (step) => x[Math.max(0, columns.step.findLastIndex((s) => s <= step))]; // prettier-ignore
    const panels = (series) => described.panels.flatMap((panel, i) => (i === 0 || panel.traces.some(({ column }) => column === series) ? [i] : []));
    return this.regions.flatMap(({ from, to, colour, series }) => panels(series).map((i) => ({ type: "rect", layer: "below", xref: axesOf(i).xaxis, yref: `${axesOf(i).yaxis} domain`, x0: at(from), x1: at(to), y0: 0, y1: 1, fillcolor: colour, opacity: 0.16, line: { width: 1, color: colour, dash: "dot" } })));
  }

  // Brings a stretch of steps into sight, with some room on both sides.
  async lookAt(fromStep, toStep) {
    const [Plotly, described] = await Promise.all([loadPlotly(), loadFigures()]);
    const axis = this.axis(described), { columns } = this.runs[0].curve, x = across(this.runs[0], columns, axis); // prettier-ignore
    const at = (step) => x[Math.max(0, columns.step.findLastIndex((s) => s <= step))] ?? 0;
    const from = at(fromStep), to = at(toStep), room = Math.max((to - from) * 0.5, (x.at(-1) - x[0]) * 0.02); // prettier-ignore
    this.plot.scrollIntoView({ block: "nearest", behavior: "smooth" });
    await Plotly.relayout(this.plot, { "xaxis.range[0]": Math.max(0, from - room), "xaxis.range[1]": to + room });
  }

  // A closer look asks for the points that thinning left out; the whole view lets go of them.
  async zoomed(change) {
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0], to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1]; // prettier-ignore
    if (from === undefined && !change["xaxis.autorange"]) return;
    const described = await loadFigures(), axis = this.axis(described); // prettier-ignore
    clearTimeout(this.looking);
    this.looking = setTimeout(async () => {
      const news = await Promise.all(this.runs.map((run) => {
        if (from === undefined) return run.curve.farther();
        const stretch = run.curve.columns && run.curve.thin && stretchOf(run, axis, from, to);
        return stretch ? run.curve.closer(stretch) : false;
      })).catch((error) => console.warn("Finer points could not be read:", error.message));
      if (news?.some(Boolean)) this.draw(true);
    }, ZOOM_MS);
  }

  trace({ column, name, style }, columns, x, { run, several, ink, dash, axes, first, divide }) {
    const y = first && this.unit === "bits" ? inBits(columns, column) : divide === 1 ? columns[column] : columns[column].map((value) => (value == null ? null : value / divide));
    const label = run.letter ?? (several ? (first ? `${plain(run.name)} · ${name}` : plain(run.name)) : name);
    const base = { ...axes, type: "scatter", name: escaped(label), connectgaps: false, showlegend: first, legendgroup: several ? run.runId : undefined,
      hovertemplate: `${first ? "%{y:.4f}" : "%{y:.4~g}"}${run.letter ? `<extra>${escaped(first ? `${run.letter} ${name}` : run.letter)}</extra>` : ""}` };
    if (style === "dots" || style === "star") {
      const at = y.flatMap((value, i) => (value == null ? [] : [i]));
      if (!at.length) return [];
      const colour = several ? run.colour : ink;
      return [{ ...base, x: at.map((i) => x[i]), y: at.map((i) => y[i]), mode: style === "star" ? "markers" : "lines+markers",
        line: { color: colour, width: 1.5, dash: several ? "dot" : "solid" },
        marker: { color: colour, size: style === "star" ? 12 : 6, symbol: style === "star" ? "star" : "circle" }, showlegend: first && !several }];
    }
    const few = y.length < FEW_POINTS;
    const line = { ...base, x, y, mode: few ? "lines+markers" : "lines", marker: { color: run.colour, size: 4 }, line: { color: run.colour, width: style === "plain" ? 1.2 : 1.8, dash } };
    if (style === "plain" || !this.view.smooth || few) return [line];
    // The raw curve stays in sight behind the smoothed one: smoothing must not hide a spike.
    return [
      { ...line, opacity: 0.32, line: { ...line.line, width: 1 }, showlegend: false, ...(several ? { hoverinfo: "skip", hovertemplate: undefined } : {}), name: escaped(`${label}, each point`) },
      { ...line, y: smoothed(y, this.view.smooth) },
    ];
  }

  layout(described, width) {
    const narrow = width < NARROW_PX;
    const style = getComputedStyle(document.body);
    const css = (name) => style.getPropertyValue(name).trim();
    const axis = this.axis(described);
    const grid = { gridcolor: css("--lt-grid"), zeroline: false, linecolor: css("--lt-grid"), tickfont: { size: 11 }, automargin: false };
    const rows = narrow ? [[0.64, 1], [0.48, 0.57], [0.32, 0.41], [0.16, 0.25], [0, 0.09]] : [[0.45, 1], [0, 0.27], [0, 0.27], [0, 0.27], [0, 0.27]];
    const columns = narrow ? [[0, 1], [0, 1], [0, 1], [0, 1], [0, 1]] : [[0, 1], [0, 0.2], [0.267, 0.467], [0.533, 0.733], [0.8, 1]];
    const layout = {
      height: narrow ? 780 : 470, margin: { t: narrow ? 44 : 26, r: 10, b: 34, l: 50 }, hovermode: "x unified", dragmode: "zoom",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--lt-ink"), family: "system-ui, sans-serif", size: 12 },
      hoverlabel: { bgcolor: css("--lt-panel"), bordercolor: css("--lt-line"), font: { color: css("--lt-ink") } },
      shapes: this.shapes(described, axis),
      legend: { orientation: "h", x: 1, xanchor: "right", y: narrow ? 1.03 : 1, yanchor: "bottom", font: { size: 11 } },
      uirevision: `${this.view.x}|${this.runs[0].runId}`, annotations: [],
    };
    described.panels.forEach((panel, i) => {
      const id = i ? i + 1 : "";
      layout[`xaxis${id}`] = { ...grid, domain: columns[i], anchor: `y${id}`, matches: i ? "x" : undefined, rangemode: "tozero",
        title: { text: !i || (narrow && i === 4) ? axis.title : "", font: { size: 11 }, standoff: 4 }, nticks: i ? 4 : undefined };
      layout[`yaxis${id}`] = { ...grid, domain: rows[i], anchor: `x${id}`, type: panel.log && this.view.log ? "log" : "linear",
        uirevision: `${panel.log && this.view.log}`, nticks: i ? 4 : undefined, tickformat: i ? (panel.divide ? ".2~f" : "~s") : undefined, exponentformat: "power" };
      if (panel.key === "lr") layout[`yaxis${id}`].tickformat = ".1~e";
      layout.annotations.push({ text: !i && this.unit === "bits" ? "loss, bits a byte" : panel.title, showarrow: false, xref: "paper", yref: "paper", x: columns[i][0], y: rows[i][1], xanchor: "left", yanchor: "bottom", font: { size: 11, color: css("--lt-soft") } });
    });
    return layout;
  }

  async png() {
    const Plotly = await loadPlotly();
    if (this.plot.dataset.points) await Plotly.downloadImage(this.plot, { format: "png", scale: 2, filename: this.fileName() });
  }

  csv() {
    const lines = [];
    for (const { curve, runId } of this.runs ?? []) {
      if (!curve.columns) continue;
      const names = Object.keys(curve.columns);
      if (!lines.length) lines.push(["run_id", ...names].join());
      curve.columns.step.forEach((_, i) => lines.push([runId, ...names.map((name) => curve.columns[name][i] ?? "")].join()));
    }
    const url = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    el("a", { href: url, download: `${this.fileName()}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  fileName() { return (this.runs ?? []).map((run) => run.runId).join("-").slice(0, 80) || "llm-testing"; }
}

const FLOPS = { column: "flops", title: "training FLOPs", divide: 1 };

// Where a run's points stand on the horizontal axis.
function across(run, columns, axis) {
  if (axis.column !== "flops") return columns[axis.column].map((value) => (value == null ? null : value / axis.divide));
  return columns.tokens_seen.map((value) => (value == null || !run.flops ? null : run.flops * value));
}

// Losses in bits a byte: the run's own validations say how many nats of its tokens one is.
function inBits(columns, column) {
  if (column === "val_loss") return columns.val_bits_per_byte;
  const i = columns.val_loss.findIndex((value, at) => value && columns.val_bits_per_byte[at]);
  const share = i < 0 ? null : columns.val_bits_per_byte[i] / columns.val_loss[i];
  return columns[column].map((value) => (value == null || share == null ? null : value * share));
}

// The step that a click on a chart means, whatever the horizontal axis shows.
export function stepAt(run, axis, x) {
  const { columns } = run.curve, values = across(run, columns, axis); // prettier-ignore
  let best = 0;
  values.forEach((value, i) => { if (value != null && Math.abs(value - x) < Math.abs((values[best] ?? Infinity) - x)) best = i; });
  return columns.step[best];
}

// What lies between two places of the horizontal axis, in the server's units, and the steps around it. The nearest points
// of a thinned curve would not do: between two of them there may be hundreds.
function stretchOf(run, axis, from, to) {
  const scale = axis.column === "flops" ? 1 / run.flops : axis.divide;
  if (!Number.isFinite(scale)) return null;
  const { step } = run.curve.columns, x = across(run, run.curve.columns, axis); // prettier-ignore
  const before = x.findLastIndex((value) => value != null && value <= from), after = x.findIndex((value) => value != null && value >= to);
  const steps = axis.column === "step" ? [Math.floor(from), Math.ceil(to)] : [step[Math.max(0, before)], step.at(after)];
  return { x: ASKED[axis.column], from: from * scale, to: to * scale, steps };
}

const ASKED = { step: "step", tokens_seen: "tokens", elapsed_s: "time", flops: "tokens" };

const axesOf = (i) => (i ? { xaxis: `x${i + 1}`, yaxis: `y${i + 1}` } : { xaxis: "x", yaxis: "y" });

// Plotly reads a small markup in names; a run's name is shown as it is.
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
