// Where the page stands and who looks at it: hides what a viewer may not do, and says what is special about the place.
// Hiding is only courtesy; the server refuses by itself.

const START = '/api/pretraining/start';

function element(name, text, className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

async function json(address, options = {}) {
  const reply = await fetch(address, { credentials: 'same-origin', ...options });
  return { ok: reply.ok, value: await reply.json() };
}

function demoButton() {
  const row = element('div', '', 'lt-place-row');
  const button = element('button', 'Start the demo run');
  const said = element('span', '');
  said.setAttribute('role', 'status');
  button.addEventListener('click', async () => {
    button.disabled = true;
    const { ok, value } = await json(START, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}',
    });
    said.textContent = ok ? (value.position ? `Queued: number ${value.position} in line.` : 'It has started.') : value.detail;
    button.disabled = false;
  });
  row.append(button, said);
  return row;
}

// Runs leave and come back as a zip: on a Space without storage that is what keeps them.
function carrying() {
  const row = element('div', '', 'lt-place-row');
  const link = element('a', 'Download all runs');
  link.href = '/api/pretraining/archive';
  link.setAttribute('download', '');
  const label = element('label', 'Restore from a zip ');
  const file = element('input', '');
  file.type = 'file';
  file.accept = '.zip,application/zip';
  const said = element('span', '');
  said.setAttribute('role', 'status');
  file.addEventListener('change', async () => {
    if (!file.files.length) return;
    said.textContent = 'Restoring…';
    const { ok, value } = await json('/api/pretraining/archive', {
      method: 'POST', headers: { 'content-type': 'application/zip' }, body: file.files[0],
    });
    said.textContent = ok ? `${value.restored.length} restored, ${value.skipped.length} left out.` : value.detail;
    file.value = '';
  });
  label.append(file);
  row.append(link, label, said);
  return row;
}

async function tell() {
  const { ok, value } = await json('/api/place');
  if (!ok) return;
  document.documentElement.dataset.ltRole = value.role;
  document.documentElement.dataset.ltPlace = value.place;
  const box = element('aside', '', 'lt-place');
  box.setAttribute('aria-label', 'About this place');
  for (const notice of value.notices) box.append(element('p', notice));
  if (value.role === 'viewer') box.append(element('p', 'You are looking on; only the owner can act.'));
  if (value.may.includes('try')) box.append(demoButton());
  if (value.notices.length && value.may.includes('download') && value.may.includes('delete')) box.append(carrying());
  if (box.children.length) document.body.prepend(box);
}

tell();
