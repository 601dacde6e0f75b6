// Keeps a page current, and adds keys. Without it every page works the same, once it is loaded again.
'use strict';

const PERIOD_MS = 5000; // from one request to the next
const AWAY_MS = 12000; // without an answer for so long, the page says so

let tag = null; // the ETag of what is shown
let answered = Date.now(); // when the server answered last
let asking = false;
let gone = false; // what the page shows is no longer there

const live = document.getElementById('live');
const away = document.getElementById('away');
const filter = document.getElementById('q');

// --- Ages -------------------------------------------------------------------------------------------------------------

// As kubectl writes them; the server writes the same in minutes.
function ago(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const [d, h, m] = [Math.floor(s / 86400), Math.floor((s % 86400) / 3600), Math.floor((s % 3600) / 60)];
  if (d >= 10) return `${d}d`;
  if (d > 0) return `${d}d${h}h`;
  if (h > 0) return `${h}h${m}m`;
  return m > 0 ? `${m}m` : `${s}s`;
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function tick() {
  const now = Date.now();
  for (const time of document.querySelectorAll('main time')) set(time, ago((now - Date.parse(time.dateTime)) / 1000));
  const silent = Math.floor((now - answered) / 1000);
  const isAway = now - answered > AWAY_MS && !document.hidden;
  set(live, `updated ${silent} s ago`);
  if (isAway) set(away, `No response for ${silent} s: the data below is old.`);
  else if (gone) set(away, 'This no longer exists: the data below is old.');
  away.hidden = !isAway && !gone;
}

// --- Updates ----------------------------------------------------------------------------------------------------------

// Makes `to` of `from` and changes only what differs, so that focus, selection, scroll and open details stay.
function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) return from.replaceWith(to);
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  // The script counts ages on by itself.
  if (from.nodeName === 'TIME' && from.dateTime === to.dateTime) return;
  for (const { name } of [...from.attributes]) {
    const ours = (name === 'open' && from.nodeName === 'DETAILS') || name === 'tabindex' || name === 'hidden';
    if (!ours && !to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (name !== 'hidden' && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const known = new Map();
  const stay = new Set([...to.children].map((child) => child.id));
  for (const child of [...from.children]) {
    if (!child.id) continue;
    // Before the others are placed, so that those stay where they are.
    if (stay.has(child.id)) known.set(child.id, child);
    else child.remove();
  }
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const same = wanted.id ? known.get(wanted.id) : at && !at.id ? at : null;
    if (!same) {
      from.insertBefore(wanted, at);
      continue;
    }
    if (same !== at) from.insertBefore(same, at);
    at = same.nextSibling;
    morph(same, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

async function update() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const headers = { Accept: 'text/html' };
    if (tag) headers['If-None-Match'] = tag;
    const response = await fetch(location.href, { headers, cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (response.status === 200) {
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const focused = document.activeElement;
      morphChildren(document.getElementById('main'), page.getElementById('main'));
      // An element that moves to another place loses it.
      if (focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
      prepare();
      tag = response.headers.get('ETag');
    }
    gone = response.status === 404;
    if (response.ok || gone || response.status === 304) answered = Date.now();
  } catch {
    // The banner says so once it lasts.
  } finally {
    asking = false;
    tick();
  }
}

// --- Copying ----------------------------------------------------------------------------------------------------------

async function copy(text) {
  // Only where the page is from this machine or comes by TLS.
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed: the older way may be.
    }
  }
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  return copied;
}

// What works with the script only.
function prepare() {
  for (const button of document.querySelectorAll('[data-copy][hidden]')) button.hidden = false;
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const copied = await copy(button.parentElement.querySelector('code').textContent);
  button.textContent = copied ? 'Copied' : 'Not allowed';
  button.focus();
  setTimeout(() => (button.textContent = 'Copy'), 1500);
});

// --- Keys -------------------------------------------------------------------------------------------------------------

const keys = document.getElementById('keys');

function rows() {
  return [...document.querySelectorAll('main .row')];
}

function step(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  if (!next) return;
  next.focus();
  next.closest('tr').scrollIntoView({ block: 'nearest' });
}

// The page above this one.
function up() {
  const links = document.querySelectorAll('nav a');
  const path = location.pathname;
  if (location.search.includes('q=')) return location.pathname;
  const above = path.match(/^(.*\/accounts\/[^/]+\/[^/]+)\/services\/[^/]+$/);
  if (above) return above[1];
  if (/\/accounts\/[^/]+\/[^/]+$/.test(path)) return links[2].href;
  return links[0].href;
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  if (event.target === filter) {
    if (event.key === 'Escape') {
      event.preventDefault();
      filter.value = filter.defaultValue;
      filter.blur();
    }
    return;
  }
  const does = {
    '/': () => filter.select(),
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    '?': () => keys.showModal(),
    Escape: () => location.assign(up()),
  }[event.key];
  // Arrows scroll a page without rows.
  if (!does || (event.key.startsWith('Arrow') && rows().length === 0)) return;
  event.preventDefault();
  does();
});

prepare();
tick();
setInterval(tick, 1000);
setInterval(update, PERIOD_MS);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) update();
});
