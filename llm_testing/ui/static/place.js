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

// Where a token may write, all runs go to a private dataset of the Hub and come back from it.
function backing() {
  const row = element('div', '', 'lt-place-row'), said = element('span', ''); // prettier-ignore
  said.setAttribute('role', 'status');
  const label = element('label', 'Private dataset ');
  const repo = element('input', '');
  repo.type = 'text';
  repo.placeholder = 'the one beside this Space';
  repo.spellcheck = false;
  const buttons = [['Back up to the Hub', '/api/backup'], ['Restore from the Hub', '/api/backup/restore']].map(([title, address]) => {
    const button = element('button', title);
    button.type = 'button';
    button.addEventListener('click', async () => {
      const body = JSON.stringify(repo.value.trim() ? { repo: repo.value.trim() } : {});
      const { ok, value } = await json(address, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      if (ok) follow();
      else said.textContent = value.detail;
    });
    return button;
  });
  const follow = async () => {
    const { ok, value: { job } } = await json('/api/backup'); // prettier-ignore
    if (!ok || !job) return;
    const running = job.state === 'running';
    for (const button of buttons) button.disabled = running;
    said.textContent = running ? `${job.phase || 'begins'}${job.unit === 'runs' ? ` (${job.done} of ${job.total})` : ''} …` : job.error ?? carried(job);
    if (running) setTimeout(follow, 1500);
  };
  label.append(repo);
  row.append(...buttons, label, said);
  follow(); // one that was begun before the page was opened
  return row;
}

function carried({ what, carried: { runs, same, skipped, repo } }) {
  const left = Object.entries(skipped).map(([id, why]) => ` Left out ${id}: ${why}`).join('');
  const here = same ? `, ${same} were there already` : '';
  return `${runs.length} ${what === 'backup' ? `sent to ${repo}` : `brought back from ${repo}`}${here}.${left}`;
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
  if (value.notices.length && value.may.includes('push') && value.may.includes('upload')) box.append(backing());
  if (box.children.length) document.body.prepend(box);
}

tell();
