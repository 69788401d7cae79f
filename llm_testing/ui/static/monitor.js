// The header: the program's name and what of this machine is in use; a click shows all of it.

import { el, keep, kept, show } from "./dom.js";
import * as words from "./words.js";

const TITLE = "LLM-Testing";
const KEPT_LOOKS = 100;
const PERCENT = (share) => (share == null ? words.DASH : `${Math.round(100 * share)} %`);

export function mountHead(element, feed) {
  const head = element.querySelector(".lt-head");
  const strip = el("span", { class: "lt-machine" }),
    lost = el("span", { role: "alert" }),
    panel = el("div", { class: "lt-system", id: "lt-system" }),
    advice = el("div", {});
  const toggle = el(
    "button",
    {
      type: "button",
      class: "lt-machine-button",
      "aria-controls": "lt-system",
      title: "Show all of the machine's figures",
      onclick: () => open(!feed.watched),
    },
    strip,
  );
  head.replaceChildren(el("h1", {}, TITLE), toggle, lost, panel, advice);
  const past = [];
  const open = (on) => {
    feed.watched = on;
    keep("system-open", on);
    toggle.setAttribute("aria-expanded", String(on));
    panel.hidden = !on;
    draw();
  };
  let seen = null;
  const draw = () => {
    const now = feed.machine;
    if (now && now !== seen) {
      seen = now;
      past.push(looked(now));
      if (past.length > KEPT_LOOKS) past.shift();
    }
    show(strip, now, () => (now ? brief(now) : []));
    show(lost, feed.lost, () =>
      feed.lost ? el("strong", { class: "lt-lost" }, "No answer from the server; trying again.") : [],
    );
    show(advice, now?.advice, () =>
      now?.advice
        ? el(
            "p",
            { class: "lt-warning" },
            words.plain(now.advice),
            " ",
            el(
              "button",
              {
                type: "button",
                class: "lt-link",
                onclick: () => navigator.clipboard?.writeText(/pip .*/.exec(now.advice)?.[0] ?? now.advice),
              },
              "Copy the command",
            ),
          )
        : [],
    );
    if (feed.watched && now) show(panel, [now, past.length], () => full(now, past));
  };
  feed.listen(draw); // for a server that is lost or found
  feed.listenToMachine(draw);
  open(kept("system-open", false));
}

const looked = (now) => ({
  cpu: now.cpu_load,
  ram: used(now) / now.memory_total_bytes,
  gpu: now.gpus[0]?.load ?? null,
  vram: now.gpus[0]?.memory_total_bytes ? now.gpus[0].memory_used_bytes / now.gpus[0].memory_total_bytes : null,
});
const used = (now) => now.memory_total_bytes - now.memory_available_bytes;
const bar = (share, label) => el("meter", { min: 0, max: 1, high: 0.9, value: share ?? 0, "aria-label": label });
const of = (part, whole) => `${(part / 2 ** 30).toFixed(1)} of ${words.bytes(whole)}`;
const degrees = (celsius) => (celsius == null ? "" : ` ${celsius} °C`);

function brief(now) {
  const card = now.gpus[0];
  return [
    card
      ? fact(
          `${words.plain(card.name.replace(/^NVIDIA (GeForce )?/, "GPU "))}`,
          card.memory_total_bytes
            ? [
                bar(card.memory_used_bytes / card.memory_total_bytes, "GPU memory in use"),
                ` ${of(card.memory_used_bytes, card.memory_total_bytes)}`,
              ]
            : "",
          degrees(card.temperature_c),
        )
      : now.device === "cpu"
        ? null
        : fact(words.plain(now.device_name)),
    fact("CPU ", bar(now.cpu_load, "load of the cores"), ` ${PERCENT(now.cpu_load)}`),
    fact("RAM ", bar(used(now) / now.memory_total_bytes, "memory in use"), ` ${of(used(now), now.memory_total_bytes)}`),
    fact(`disk ${words.bytes(now.disk_free_bytes)} free`),
  ].filter(Boolean);
}

const fact = (...parts) => el("span", {}, parts.flat());

function full(now, past) {
  const limited = now.memory_source === "machine" ? "this machine's" : `this container's (${now.memory_source})`;
  const rows = [
    ["Trains on", `${words.plain(now.device_name)}${now.fast_bf16 ? ", fast bf16" : ""}`],
    ["Threads", `${now.threads} of ${now.cores} cores`],
    ["CPU load", PERCENT(now.cpu_load), past.map((look) => look.cpu)],
    ["Memory", `${of(used(now), now.memory_total_bytes)}, ${limited}`, past.map((look) => look.ram)],
    ["Disk of the runs", `${words.bytes(now.disk_free_bytes)} free of ${words.bytes(now.disk_total_bytes)}`],
    ...now.gpus.flatMap((card, i) => [
      [
        words.plain(card.name),
        [
          card.load == null ? null : `load ${PERCENT(card.load)}`,
          card.temperature_c == null ? null : `${card.temperature_c} °C`,
          card.power_w == null
            ? null
            : `${Math.round(card.power_w)} W${card.power_limit_w ? ` of ${Math.round(card.power_limit_w)}` : ""}`,
        ]
          .filter(Boolean)
          .join(" · ") || words.DASH,
        i ? null : past.map((look) => look.gpu),
      ],
      [
        "GPU memory",
        card.memory_total_bytes ? of(card.memory_used_bytes, card.memory_total_bytes) : words.DASH,
        i ? null : past.map((look) => look.vram),
      ],
    ]),
    ["SDPA kernels", now.sdpa_kernels.map((name) => words.plain(name.replaceAll("_", " "))).join(", ") || words.DASH],
    ["torch", words.plain(now.torch_version)],
  ];
  return el(
    "dl",
    { class: "lt-figures" },
    rows.map(([label, value, line]) =>
      el("div", {}, el("dt", {}, label), el("dd", {}, value), line ? sparkline(line) : null),
    ),
  );
}

// The last few minutes in this tab, from 0 to all of it.
function sparkline(values) {
  const W = 120,
    H = 22,
    ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg"),
    line = document.createElementNS(ns, "polyline");
  const at = values.flatMap((value, i) =>
    value == null
      ? []
      : [`${((i / Math.max(1, values.length - 1)) * W).toFixed(1)},${(H - 1 - value * (H - 2)).toFixed(1)}`],
  );
  for (const [name, value] of Object.entries({
    viewBox: `0 0 ${W} ${H}`,
    class: "lt-spark",
    "aria-hidden": "true",
    preserveAspectRatio: "none",
  }))
    svg.setAttribute(name, value);
  line.setAttribute("points", at.join(" "));
  svg.append(line);
  return svg;
}
