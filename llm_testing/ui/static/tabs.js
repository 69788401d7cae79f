// The page's tabs in its address, so that a refresh, a bookmark and a sent link show the same one.

import { openTab } from "./dom.js";

const SLUGS = { Pretraining: "pretraining", "Fine-tuning": "finetuning", "VRAM Estimator": "vram", "Run History": "history" };

const all = () => [...document.querySelectorAll("#lt-tabs [role=tab]")];
const slugOf = (tab) => SLUGS[tab.textContent.trim()] ?? null;

// The tab in sight, by its short name.
export const shownTab = () => {
  const tab = all().find((one) => one.getAttribute("aria-selected") === "true");
  return tab ? slugOf(tab) : null;
};

export const showTab = (slug) => openTab(Object.keys(SLUGS).find((title) => SLUGS[title] === slug));

// Part of the address after the "?"; null takes an entry away. Commas stay readable.
export function toAddress(entries) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(entries)) {
    if (value == null || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  const search = url.searchParams.toString().replaceAll("%2C", ",");
  const address = `${url.pathname}${search ? `?${search}` : ""}${url.hash}`;
  if (address !== `${location.pathname}${location.search}${location.hash}`)
    history.replaceState(history.state, "", address);
}

export const inAddress = (name) => new URL(location.href).searchParams.get(name);

// Follows the tab bar; the first look waits until Gradio has built it.
export function followTabs() {
  const bar = document.querySelector("#lt-tabs");
  if (!bar || !all().length) return void setTimeout(followTabs, 50);
  const wanted = inAddress("tab");
  if (Object.values(SLUGS).includes(wanted) && wanted !== shownTab()) showTab(wanted);
  new MutationObserver(() => {
    const slug = shownTab();
    if (slug) toAddress({ tab: slug === "pretraining" ? null : slug });
    document.dispatchEvent(new CustomEvent("lt-tab", { detail: slug }));
  }).observe(bar, { subtree: true, attributes: true, attributeFilter: ["aria-selected"] });
}
