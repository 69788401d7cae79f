// The VRAM Estimator tab: one run against any card, its step's timeline, what would fit, curves, and two side by side.

import { call } from "./call.js";
import { loadPlotly } from "./charts.js";
import { el, keep, kept, show } from "./dom.js";
import { Asking, bar, COLOURS, TERMS, total, verdict } from "./vram.js";
import * as words from "./words.js";

const HERE = "here", PROBE = "Measure three real steps here";
const LARGEST = {
  pretraining: [["config_name", "model"], ["context_length", "context"], ["batch_size", "batch"]],
  "fine-tuning": [["max_seq_length", "sequence"], ["batch_size", "batch"]],
};
let changes = null;

// What the hidden Apply button hands to Gradio, which alone can set its controls.
export const wantedChanges = () => changes;

export function mountEstimator(element, feed, props, watch) {
  new Estimator(element.querySelector(".lt-vram"), props, watch);
}

class Estimator {
  constructor(box, props, watch) {
    Object.assign(this, { box, props, answer: null, pinned: null, drawn: new Map() });
    this.card = el("select", { id: "lt-vram-card", "aria-label": "Card", onchange: () => { keep("vram-card", this.card.value); this.ask(); } });
    this.said = el("div", { "aria-live": "polite" });
    this.figures = el("div", {});
    this.timeline = el("div", { class: "lt-vram-plot", role: "img", "aria-label": "Memory over one training step, by what it is for" });
    this.curves = [0, 1].map(() => el("div", { class: "lt-vram-plot", role: "img" }));
    this.ways = el("div", { "aria-live": "polite" });
    this.trust = el("div", {});
    const button = (words_, act) => el("button", { type: "button", class: "lt-button", onclick: act }, words_);
    box.replaceChildren(
      el("div", { class: "lt-toolbar" }, el("label", {}, "Card ", this.card), button("Find what fits", () => this.fit()), button("Keep to compare", () => this.pin())),
      this.said,
      this.figures,
      el("section", {}, el("h2", {}, "What would fit"), this.ways),
      el("section", {}, el("h2", {}, "One step, by what the memory is for"), this.timeline),
      el("section", {}, el("h2", {}, "More sequences, longer sequences"), el("div", { class: "lt-vram-curves" }, this.curves)),
      el("section", {}, el("h2", {}, "How far to trust it"), this.trust),
    );
    this.asking = new Asking((answer, quick) => this.draw(answer, quick), (reason) => this.fail(reason));
    this.fitHint();
    watch("value", () => this.ask());
    new MutationObserver(() => this.redraw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    // Nothing is asked before the tab is looked at: a trace costs a CPU that may be training.
    new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) this.open(); }).observe(box);
  }

  async open() {
    if (this.opened) return this.ask();
    this.opened = true;
    try {
      const { cards, here } = await call("GET", "estimates/cards");
      const mine = el("option", { value: HERE }, `${here.device === "cpu" ? "This machine's memory" : here.name} (${words.bytes(here.free_bytes)} free)`);
      const sizes = [...new Set(cards.map((card) => card.num_gb))].map((size) => el("option", { value: `gb:${size}` }, `any card of ${size} GB`));
      const named = cards.map((card) => el("option", { value: `card:${card.name}` }, `${card.name} (${card.num_gb} GB)`));
      this.card.replaceChildren(mine, el("optgroup", { label: "By size" }, sizes), el("optgroup", { label: "By name" }, named));
      this.card.value = kept("vram-card", here.device === "cpu" ? "gb:16" : HERE);
      if (!this.card.value) this.card.value = HERE;
      this.drawTrust(await call("GET", "estimates/accuracy"));
    } catch (error) {
      this.fail(error.message);
    }
    this.ask();
  }

  body() {
    const [how, what] = (this.card.value || HERE).split(/:(.*)/);
    return { ...this.props.value.config, ...(how === "gb" ? { gpu_memory_gb: Number(what) } : how === "card" ? { card: what } : { here: true }) };
  }

  ask() {
    const wanted = this.props.value;
    if (!this.opened || !wanted) return;
    if (wanted.problems.length) return this.fail(wanted.problems.map((problem) => problem.message).join(" "));
    if (!this.asking.about(wanted.kind, this.body())) return;
    this.said.classList.add("lt-stale");
    this.fitHint();
  }

  fail(reason) {
    this.asking.wanted = null;
    this.said.classList.remove("lt-stale");
    this.said.replaceChildren(el("p", { class: "lt-warning" }, reason));
  }

  draw(answer, quick) {
    this.answer = { ...answer, kind: this.props.value.kind, config: this.props.value.config };
    this.said.classList.remove("lt-stale");
    const scale = this.pinned ? Math.max(...[answer, this.pinned].flatMap((one) => [one.free_bytes, total(one)])) : undefined;
    this.said.replaceChildren(
      ...[
        verdict(answer),
        answer.warning ? el("p", { class: "lt-warning" }, answer.warning) : null,
        this.pinned ? el("h3", {}, "This one") : null,
        bar(answer, scale),
        this.pinned ? this.compared(scale) : null,
      ].filter(Boolean),
    );
    const facts = [
      ["Parameters", words.short(answer.num_parameters)],
      ["Trained", words.short(answer.num_trainable)],
      ["In tensors", words.bytes(answer.allocated_bytes)],
      ["Reserved by torch", answer.reserved_bytes == null ? "follows" : words.bytes(answer.reserved_bytes)],
      ["At least", answer.minimum_bytes == null ? "follows" : words.bytes(answer.minimum_bytes)],
      ["Peak in", `${answer.peak_stage.replaceAll("_", " ")}`],
      ["Took", `${(1000 * answer.seconds).toFixed(0)} ms, ${answer.method === "traced" ? "traced whole" : "repeated from a few layers"}`],
    ];
    show(this.figures, facts, () => el("dl", { class: "lt-figures" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
    if (!quick) { this.drawTimeline(answer.timeline); this.drawCurves(); }
  }

  pin() {
    if (!this.answer) return;
    this.pinned = this.answer;
    this.draw(this.answer, true);
  }

  // The one that was kept, and the options in which the two differ.
  compared(scale) {
    const [now, then] = [this.answer.config, this.pinned.config];
    const alike = this.answer.kind === this.pinned.kind;
    const differing = !alike ? [] : [...new Set([...Object.keys(now), ...Object.keys(then)])].filter((name) => now[name] !== then[name]);
    const gone = el("button", { type: "button", class: "lt-link", onclick: () => { this.pinned = null; this.draw(this.answer, true); } }, "Let go");
    return el("div", { class: "lt-vram-kept" }, el("h3", {}, "The one kept ", gone), verdict(this.pinned), bar(this.pinned, scale),
      differing.length
        ? el("table", { class: "lt-table" }, el("tr", {}, el("th", {}, "Option"), el("th", {}, "This one"), el("th", {}, "Kept")),
          differing.map((name) => el("tr", {}, el("th", {}, name), el("td", {}, words.plain(now[name] ?? words.DASH)), el("td", {}, words.plain(then[name] ?? words.DASH)))))
        : el("p", {}, alike ? "The same options; change some on the left." : "Another kind of run, with options of its own."));
  }

  fitHint() {
    const kind = this.props.value?.kind ?? "pretraining";
    this.ways.replaceChildren(el("p", {}, "Keeps the model, the context and the effective batch, and looks for the fastest settings that fit. Or ask for the largest ",
      LARGEST[kind].flatMap(([option, title], i) => [i ? ", " : "", el("button", { type: "button", class: "lt-link", onclick: () => this.fit(option) }, title)]), " that fits."));
  }

  async fit(largest) {
    const { kind, problems } = this.props.value;
    if (problems.length || !this.opened) return;
    this.ways.replaceChildren(el("p", {}, "Looking …"));
    try {
      const { ways } = await call("POST", `${kind}/fit`, { ...this.body(), ...(largest ? { largest } : {}) });
      this.ways.replaceChildren(...(ways.length ? ways.map((way, place) => this.way(way, place)) : [el("p", {}, largest ? "Not even the smallest fits." : "Nothing that keeps model, context and effective batch fits. A smaller model or a shorter context would.")]));
    } catch (error) {
      this.ways.replaceChildren(el("p", { class: "lt-warning" }, error.message));
    }
  }

  way(way, place) {
    const changed = Object.entries(way.changes);
    const use = () => { changes = way.changes; document.getElementById("lt-vram-apply").click(); };
    return el("div", { class: "lt-way" }, verdict(way),
      el("p", {}, changed.length ? changed.map(([name, value]) => `${name} = ${value}`).join(", ") + "." : "As it is.",
        way.relative_speed < 1 ? ` About ${Math.round(100 * way.relative_speed)} % of the fastest's speed.` : place ? " As fast as the first." : " The fastest found.", " ",
        changed.length ? el("button", { type: "button", class: "lt-link", onclick: use }, "Use these settings") : null));
  }

  async drawTimeline(points) {
    const names = Object.keys(TERMS).filter((name) => points.some((point) => point.bytes[name] > 0));
    const stages = points.map((point) => `${point.stage.replaceAll("_", " ")}${point.layer >= 0 ? `, layer ${point.layer + 1}` : ""}`);
    await this.plot(this.timeline, names.map((name) => ({
      name: TERMS[name], type: "scatter", mode: "lines", stackgroup: "one", line: { width: 0, shape: "hv" }, fillcolor: COLOURS[Object.keys(TERMS).indexOf(name)],
      y: points.map((point) => point.bytes[name] / 2 ** 30), text: stages, hovertemplate: "%{y:.3f} GiB<br>%{text}",
    })), { title: "GiB", x: "operations of a step", free: null });
  }

  async drawCurves() {
    const asked = this.asking.wanted;
    try {
      const found = await call("POST", `${this.props.value.kind}/estimate-curves`, this.body());
      if (asked !== this.asking.wanted) return;
      const axes = Object.entries(found).filter(([, rows]) => Array.isArray(rows));
      await Promise.all(axes.map(([option, rows], i) => this.plot(this.curves[i], [{
        type: "scatter", mode: "lines+markers", x: rows.map((row) => row.value), y: rows.map((row) => row.bytes / 2 ** 30), line: { color: COLOURS[0] }, hovertemplate: "%{x}: %{y:.2f} GiB<extra></extra>", showlegend: false,
      }], { title: "GiB", x: option.replaceAll("_", " "), log: true, free: found.free_bytes / 2 ** 30 })));
    } catch (error) {
      this.curves.forEach((box) => box.replaceChildren(error.message));
    }
  }

  // Colours of the page are written into a plot, so another theme means drawing it anew.
  redraw() { for (const [box, drawn] of this.drawn) this.plot(box, ...drawn); }

  async plot(box, traces, axes) {
    this.drawn.set(box, [traces, axes]);
    const { title, x, log = false, free } = axes;
    const Plotly = await loadPlotly();
    const style = getComputedStyle(document.body), css = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: css("--lt-grid"), zeroline: false, linecolor: css("--lt-grid"), tickfont: { size: 11 } };
    await Plotly.react(box, traces, {
      height: 260, margin: { t: 30, r: 10, b: 40, l: 50 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "x unified",
      font: { color: css("--lt-ink"), family: "system-ui, sans-serif", size: 12 }, hoverlabel: { bgcolor: css("--lt-panel"), bordercolor: css("--lt-line"), font: { color: css("--lt-ink") } },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11 } },
      xaxis: { ...axis, type: log ? "log" : "linear", title: { text: x, font: { size: 11 } }, ...(log ? { tickvals: traces[0].x, ticktext: traces[0].x.map(String) } : { showticklabels: false }) },
      yaxis: { ...axis, type: log ? "log" : "linear", title: { text: title, font: { size: 11 } }, rangemode: "tozero" },
      shapes: free == null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: free, y1: free, line: { color: css("--lt-bad"), dash: "dash", width: 1.5 } }],
    }, { responsive: true, displaylogo: false, displayModeBar: false });
  }

  // Three real steps of the run on the left, on this machine.
  async probe(event) {
    const { kind, problems } = this.props.value;
    if (problems.length) return;
    const button = event.target;
    button.disabled = true;
    button.textContent = "Running three steps …";
    try {
      await call("POST", `${kind}/probe`, { ...this.props.value.config, here: true });
      this.drawTrust(await call("GET", "estimates/accuracy"));
    } catch (error) {
      this.trust.append(el("p", { class: "lt-warning", role: "alert" }, error.message));
    }
    button.disabled = false;
    button.textContent = PROBE;
  }

  drawTrust({ points, bands }) {
    const button = el("button", { type: "button", class: "lt-button", id: "lt-vram-probe", onclick: (event) => this.probe(event) }, PROBE);
    if (!points.length) {
      return this.trust.replaceChildren(el("p", {}, "Nothing has been measured here yet. Every run keeps its measured peak beside its estimate; three real steps tell sooner."), button);
    }
    const signed = (share) => `${share >= 0 ? "+" : "−"}${(100 * Math.abs(share)).toFixed(1)} %`;
    const said = Object.entries(bands).map(([device, band]) => el("p", {}, el("b", {}, words.plain(device)), `: estimates were off by ${signed(band.least)} to ${signed(band.most)} over ${band.count} ${band.count === 1 ? "measurement" : "measurements"}.`));
    const plot = el("div", { class: "lt-vram-plot", role: "img", "aria-label": "Estimated against measured memory of all runs" });
    this.trust.replaceChildren(...said, plot, button);
    const most = Math.max(...points.flatMap((point) => [point.estimated_bytes, point.measured_bytes])) / 2 ** 30;
    this.plot(plot, [
      { type: "scatter", mode: "markers", name: "runs", x: points.map((p) => p.measured_bytes / 2 ** 30), y: points.map((p) => p.estimated_bytes / 2 ** 30), text: points.map((p) => p.run_id ?? "three steps"), hovertemplate: "%{text}<br>measured %{x:.2f}, estimated %{y:.2f} GiB<extra></extra>", marker: { color: COLOURS[0] } },
      { type: "scatter", mode: "lines", name: "exactly right", x: [0, most], y: [0, most], line: { color: COLOURS[6], dash: "dot", width: 1 }, hoverinfo: "skip" },
    ], { title: "estimated, GiB", x: "measured, GiB", free: null });
  }
}
