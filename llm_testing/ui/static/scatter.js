// Once many runs are compared: any option against any result, a point a run.

import { loadPlotly } from "./charts.js";
import { RESULTS } from "./compare_table.js";
import { el, keep, kept, show } from "./dom.js";
import { openRun } from "./history_state.js";
import * as words from "./words.js";

const MANY = 4;

export class Scatter {
  constructor() {
    this.view = kept("scatter", { option: "", result: "" });
    this.option = el("select", { "aria-label": "option", onchange: () => this.set("option", this.option.value) });
    this.result = el("select", { "aria-label": "result", onchange: () => this.set("result", this.result.value) });
    this.plot = el("div", { class: "lt-scatter", role: "img", "aria-label": "A point a run: the option across, the result up" });
    this.element = el("section", { class: "lt-part", hidden: true }, el("h2", {}, "What depends on what"),
      el("div", { class: "lt-toolbar" }, el("label", {}, this.result, " against ", this.option)), el("div", { class: "lt-plot-box" }, this.plot)); // prettier-ignore
    new ResizeObserver(() => this.draw()).observe(this.plot);
    new MutationObserver(() => this.draw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }

  set(name, value) {
    this.view[name] = value;
    keep("scatter", this.view);
    this.draw();
  }

  show(runs, found, titles, tokensDiffer) {
    const options = Object.keys(found.differing);
    this.element.hidden = runs.length < MANY || !options.length;
    if (this.element.hidden) return;
    const results = RESULTS.filter(([key]) => runs.some((run) => found.results[run.run_id]?.[key] != null));
    show(this.option, [options], () => options.map((name) => el("option", { value: name }, titles[name] ?? name)));
    show(this.result, [results.map(([key]) => key)], () => results.map(([key, title]) => el("option", { value: key }, title)));
    if (!options.includes(this.view.option)) this.view.option = first(options, found);
    if (!results.some(([key]) => key === this.view.result)) this.view.result = tokensDiffer ? "val_bits_per_byte" : "val_loss";
    this.option.value = this.view.option;
    this.result.value = this.view.result;
    Object.assign(this, { runs, found, titles });
    this.draw();
  }

  async draw() {
    if (this.element.hidden || !this.runs || !this.plot.clientWidth) return;
    const Plotly = await loadPlotly();
    const { option, result } = this.view;
    const style = getComputedStyle(document.body), css = (name) => style.getPropertyValue(name).trim(); // prettier-ignore
    const points = this.runs.map((run) => ({ run, x: this.found.differing[option]?.[run.run_id], y: this.found.results[run.run_id]?.[result] })).filter((point) => point.y != null);
    const numeric = points.every(({ x }) => typeof x === "number");
    const across = points.map(({ x }) => x).filter((x) => x > 0);
    const log = numeric && across.length === points.length && Math.max(...across) / Math.min(...across) >= 8;
    const [, title, say] = RESULTS.find(([key]) => key === result) ?? RESULTS[0];
    const trace = { type: "scatter", mode: "markers+text", x: points.map(({ x }) => (numeric ? x : words.value(x))), y: points.map(({ y }) => y), text: points.map(({ run }) => run.letter), textposition: "top center",
      hovertext: points.map(({ run, x, y }) => `${escaped(run.name || run.run_id)}<br>${escaped(this.titles[option] ?? option)} ${escaped(words.value(x))}<br>${title} ${say(y)}`), hoverinfo: "text",
      marker: { size: 11, color: points.map(({ run }) => run.colour), line: { width: 1, color: css("--lt-panel") } } }; // prettier-ignore
    const axis = { gridcolor: css("--lt-grid"), zeroline: false, linecolor: css("--lt-grid"), tickfont: { size: 11 }, automargin: true };
    const layout = { height: 300, margin: { t: 16, r: 16, b: 44, l: 60 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--lt-ink"), family: "system-ui, sans-serif", size: 12 }, hovermode: "closest", dragmode: "zoom", showlegend: false,
      hoverlabel: { bgcolor: css("--lt-panel"), bordercolor: css("--lt-line"), font: { color: css("--lt-ink") } },
      xaxis: { ...axis, title: { text: escaped(this.titles[option] ?? option), font: { size: 11 } }, type: numeric ? (log ? "log" : "linear") : "category", tickformat: log ? ".0~e" : undefined }, yaxis: { ...axis, title: { text: title, font: { size: 11 } } }, uirevision: `${option}${result}` }; // prettier-ignore
    await Plotly.react(this.plot, [trace], layout, { displayModeBar: false, displaylogo: false, responsive: false });
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_click", ({ points: [at] }) => openRun(this.runs.filter((run) => this.found.results[run.run_id]?.[this.view.result] != null)[at.pointIndex].run_id));
    }
  }
}

// The number that takes the most values says the most.
function first(options, found) {
  const distinct = (name) => new Set(Object.values(found.differing[name]).map(String)).size;
  const numbers = options.filter((name) => name !== "seed" && Object.values(found.differing[name]).some((value) => typeof value === "number"));
  return (numbers.length ? numbers : options).reduce((a, b) => (distinct(b) > distinct(a) ? b : a));
}

const escaped = (said) => words.plain(said).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
