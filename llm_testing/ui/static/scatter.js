// Once there are many runs: any option against any result, a point a run; of those compared, or of all.

import { loadPlotly } from "./charts.js";
import { RESULTS } from "./compare_table.js";
import { el, keep, kept, show } from "./dom.js";
import { ask } from "./feed.js";
import { openRun, state } from "./history_state.js";
import * as words from "./words.js";

const MANY = 4;

export class Scatter {
  constructor() {
    this.view = { option: "", result: "", scope: "ticked", ...kept("scatter", {}) };
    const pick = (name, title) => el("select", { "aria-label": title, onchange: (event) => this.set(name, event.target.value) });
    this.scope = pick("scope", "which runs");
    this.option = pick("option", "option");
    this.result = pick("result", "result");
    this.said = el("div", { role: "status" });
    this.plot = el("div", { class: "lt-scatter", role: "img", "aria-label": "A point a run: the option across, the result up" });
    this.element = el("section", { class: "lt-part", hidden: true }, el("h2", {}, "What depends on what"),
      el("div", { class: "lt-toolbar" }, this.result, " against ", this.option, " of ", this.scope), this.said, el("div", { class: "lt-plot-box" }, this.plot)); // prettier-ignore
    new ResizeObserver(() => this.draw()).observe(this.plot);
    new MutationObserver(() => this.draw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }

  set(name, value) {
    this.view[name] = value;
    keep("scatter", this.view);
    this.read();
  }

  show(runs, compared, titles) {
    const differ = Object.keys(compared.differing);
    this.element.hidden = state.runs.filter((run) => run.usable).length < MANY || (runs.length < MANY && !differ.length);
    if (this.element.hidden) return;
    Object.assign(this, { runs, titles, differ });
    if (!this.view.option) this.view.option = first(differ, compared.differing);
    if (!this.view.result) this.view.result = compared.compare_by;
    this.read();
  }

  // The server reads options and results of every run, which the list does not have.
  async read() {
    const few = this.runs.length < MANY, all = few || this.view.scope === "all"; // prettier-ignore
    show(this.scope, [few, this.runs.length], () => [few ? null : el("option", { value: "ticked" }, `these ${this.runs.length} runs`), el("option", { value: "all" }, "all runs that are not archived")]);
    this.scope.value = all ? "all" : "ticked";
    const asked = (this.asked = {});
    try {
      const { value } = await ask("scatter", { option: this.view.option, result: this.view.result, ...(all ? {} : { runs: this.runs.map((run) => run.run_id).join() }) });
      if (asked !== this.asked) return;
      this.found = value;
      show(this.option, [value.options, value.option], () => [...new Set([value.option, ...value.options])].map((name) => el("option", { value: name }, (this.titles[name] ?? name).split(",")[0])));
      show(this.result, [value.results], () => value.results.map((key) => el("option", { value: key }, titleOf(key))));
      this.option.value = value.option;
      this.result.value = value.result;
      show(this.said, [value.why], () => (value.why ? el("p", { class: "lt-hint" }, value.why) : []));
      await this.draw();
    } catch (error) {
      if (asked === this.asked) show(this.said, error.message, () => el("p", { class: "lt-warning" }, words.plain(error.message)));
    }
  }

  async draw() {
    if (this.element.hidden || !this.found || !this.plot.clientWidth) return;
    const Plotly = await loadPlotly();
    const { points, option, result } = this.found;
    const style = getComputedStyle(document.body), css = (name) => style.getPropertyValue(name).trim(); // prettier-ignore
    const numeric = points.every(({ x }) => typeof x === "number"), title = titleOf(result), across = (this.titles[option] ?? option); // prettier-ignore
    const above = points.map(({ x }) => x).filter((x) => x > 0);
    const log = numeric && above.length === points.length && Math.max(...above) / Math.min(...above) >= 8;
    const letters = new Map(this.runs.map((run) => [run.run_id, run.letter]));
    const trace = { type: "scatter", mode: "markers+text", x: points.map(({ x }) => (numeric ? x : words.value(x))), y: points.map(({ y }) => y), text: points.map(({ run_id: id }) => letters.get(id) ?? ""), textposition: "top center",
      hovertext: points.map(({ run_id: id, name, x, y }) => `${escaped(name || id)}<br>${escaped(across)} ${escaped(words.value(x))}<br>${title} ${(RESULTS.find(([key]) => key === result)?.[2] ?? words.value)(y)}`), hoverinfo: "text",
      marker: { size: 11, color: points.map(({ colour }) => colour), line: { width: 1, color: css("--lt-panel") } } }; // prettier-ignore
    const axis = { gridcolor: css("--lt-grid"), zeroline: false, linecolor: css("--lt-grid"), tickfont: { size: 11 }, automargin: true };
    const layout = { height: 300, margin: { t: 16, r: 16, b: 44, l: 60 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--lt-ink"), family: "system-ui, sans-serif", size: 12 }, hovermode: "closest", dragmode: "zoom", showlegend: false,
      hoverlabel: { bgcolor: css("--lt-panel"), bordercolor: css("--lt-line"), font: { color: css("--lt-ink") } },
      xaxis: { ...axis, title: { text: escaped(across), font: { size: 11 } }, type: numeric ? (log ? "log" : "linear") : "category", tickformat: log ? ".1~e" : undefined, nticks: 6 }, yaxis: { ...axis, title: { text: title, font: { size: 11 } } }, uirevision: `${option}${result}` }; // prettier-ignore
    await Plotly.react(this.plot, [trace], layout, { displayModeBar: false, displaylogo: false, responsive: false });
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_click", ({ points: [at] }) => openRun(this.found.points[at.pointIndex].run_id));
    }
  }
}

const titleOf = (key) => RESULTS.find(([name]) => name === key)?.[1] ?? key.replaceAll("_", " ");

// The number that takes the most values says the most.
function first(options, differing) {
  const values = (name) => Object.values(differing[name]);
  const numbers = options.filter((name) => name !== "seed" && values(name).some((value) => typeof value === "number"));
  const offered = numbers.length ? numbers : options;
  return offered.length ? offered.reduce((a, b) => (new Set(values(b).map(String)).size > new Set(values(a).map(String)).size ? b : a)) : "learning_rate";
}

const escaped = (said) => words.plain(said).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
