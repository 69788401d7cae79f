// The page's own calls of the REST API, whose refusals are sentences for people.

const at = (address) => new URL(`../../api/${address}`, import.meta.url);

export async function call(method, address, body) {
  return (await sent(method, address, body)).json();
}

export const LOOKS_ON = ["viewer", "guest"]; // who may do nothing but look, and start a demo's one run

let role = null;

// Who this page's user is to the server: owner, viewer or guest; null where it does not answer. Asked once.
export function whoAmI() {
  role ??= call("GET", "health").then((health) => health.role, () => null); // prettier-ignore
  return role;
}

// Each JSON line of an answer, as it comes; `signal` ends it.
export async function* lines(address, body, signal) {
  const reader = (await sent("POST", address, body, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const line of whole) yield JSON.parse(line);
  }
}

// Sends a file as it is, and says how far it is: `told(sent bytes, all bytes)`.
export function sendFile(address, file, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    request.open("POST", at(address));
    request.upload.onprogress = ({ loaded, total }) => told(loaded, total);
    request.onload = () => (request.status < 300 ? resolve(JSON.parse(request.responseText)) : reject(new Error(refusal(request))));
    request.onerror = () => reject(new Error("The server did not take the file. It may be too large, or the connection was lost."));
    request.onabort = () => reject(new Error("Given up; nothing of it is kept."));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function refusal({ status, responseText: said }) {
  try { return JSON.parse(said).detail; } catch { return said || `The server answered ${status}.`; }
}

async function sent(method, address, body, signal) {
  let reply;
  try {
    reply = await fetch(at(address), {
      method,
      signal,
      cache: "no-store",
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("No answer from the server. It may have been stopped; try again when it is back.");
  }
  if (reply.ok) return reply;
  const said = await reply.json().catch(() => ({}));
  throw new Error(said.detail ?? `The server answered ${reply.status}.`);
}
