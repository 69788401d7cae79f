// Draws the curves of a report from the data inside it; drawn anew where the reader turns from light to dark.
const dark = matchMedia("(prefers-color-scheme: dark)");
const box = document.getElementById("charts");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function traces(panel, first) {
  const several = REPORT.runs.length > 1;
  return REPORT.runs.flatMap(({ name, letter, colour, columns }) => panel.traces.flatMap((trace) => {
    const values = columns[trace.column] ?? [], at = trace.style === "dots" || trace.style === "star" ? values.flatMap((v, i) => (v == null ? [] : [i])) : values.map((_, i) => i);
    if (!at.some((i) => values[i] != null)) return [];
    const ink = several ? colour : trace.style === "star" ? css("--ink") : trace.style === "dots" ? css("--ink") : colour;
    return [{
      x: at.map((i) => columns.step[i]), y: at.map((i) => (values[i] == null ? null : values[i] / (panel.divide ?? 1))),
      name: several ? `${letter} ${name}, ${trace.name}` : trace.name, type: "scatter", connectgaps: false,
      mode: trace.style === "star" ? "markers" : trace.style === "dots" ? "lines+markers" : at.length < 40 ? "lines+markers" : "lines",
      line: { color: ink, width: trace.style === "dots" ? 1.3 : 1.6, dash: several && trace.style === "dots" ? "dot" : "solid" },
      marker: { color: ink, size: trace.style === "star" ? 11 : 5, symbol: trace.style === "star" ? "star" : "circle" },
      showlegend: first && (!several || trace.style === "line"),
    }];
  }));
}

function draw() {
  REPORT.panels.forEach((panel, place) => {
    const data = traces(panel, place === 0);
    let chart = box.children[place];
    if (!chart) box.append((chart = Object.assign(document.createElement("div"), { className: "chart" })));
    const axis = { gridcolor: css("--line"), zeroline: false, linecolor: css("--line") };
    Plotly.react(chart, data, {
      title: { text: data.length ? panel.title : `${panel.title}: no points`, font: { size: 13 }, x: 0, xref: "paper" },
      height: place ? 230 : 380, margin: { l: 56, r: 10, t: 34, b: 38 }, hovermode: "x unified",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), family: "system-ui, sans-serif", size: 12 },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--line") },
      xaxis: { ...axis, title: { text: REPORT.x_axes[0].title, font: { size: 11 } } }, yaxis: { ...axis, type: panel.log ? "log" : "linear" },
      legend: { orientation: "h", y: 1.08, x: 1, xanchor: "right", yanchor: "bottom", font: { size: 11 } },
    }, { responsive: true, displaylogo: false });
  });
}
dark.addEventListener("change", draw);
draw();
