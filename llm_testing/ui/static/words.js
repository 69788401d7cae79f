// Numbers and times as people read them: tabular, with a unit, and no more digits than mean something.

export const DASH = "–";

export function number(value, digits = 0) {
  return value == null ? DASH : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function short(value) {
  if (value == null) return DASH;
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${letter}`;
  }
  return `${Number(value.toPrecision(3))}`;
}

export const loss = (value) => (value == null ? DASH : value.toFixed(value < 10 ? 3 : 1));

export function bytes(value) {
  if (value == null) return DASH;
  if (value >= 2 ** 30) return `${(value / 2 ** 30).toFixed(1)} GiB`;
  if (value >= 2 ** 20) return `${(value / 2 ** 20).toFixed(value < 10 * 2 ** 20 ? 1 : 0)} MiB`;
  return value >= 1024 ? `${Math.round(value / 1024)} KiB` : `${value} bytes`;
}

export function duration(seconds) {
  if (seconds == null) return DASH;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s < 600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.round(s / 60)} min`;
  const hours = Math.floor(s / 3600);
  return hours < 48 ? `${hours} h ${Math.round((s % 3600) / 60)} min` : `${Math.round(hours / 24)} days`;
}

export function percent(done, total) {
  if (!total) return null;
  // 100 % means that nothing is left to do, so the last step shows 99.
  return Math.min(done >= total ? 100 : 99, Math.floor((100 * done) / total));
}

export const clock = (iso) => (iso ? new Date(iso).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) : "");

export function day(iso) {
  return iso ? new Date(iso).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }) : DASH;
}

// A name or text of someone else's: control and direction marks would reorder the words around it.
export const plain = (text) => String(text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");

// An option's value: 0.0003 is easier to read as 3e-4.
export function value(given) {
  if (given == null) return "automatic";
  if (typeof given === "boolean") return given ? "yes" : "no";
  if (typeof given === "number") return given !== 0 && Math.abs(given) < 0.001 ? given.toExponential() : Math.abs(given) >= 10000 ? number(given, Number.isInteger(given) ? 0 : 1) : String(given);
  if (Array.isArray(given)) return given.map(value).join(" | ") || DASH;
  if (typeof given === "object") return Object.entries(given).map(([name, one]) => `${name} ${value(one)}`).join(", ");
  return plain(given) || DASH;
}
