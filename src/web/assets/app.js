// Keeps a page right: reads its stream, patches what changed, ticks clocks. What a page shows comes
// from the server as HTML; this file never makes a number up.

const policy = globalThis.trustedTypes
  ? trustedTypes.createPolicy('downbeat', { createHTML: (html) => html })
  : { createHTML: (html) => html };
const byId = (id) => document.getElementById(id);
const nodes = (what) => document.querySelectorAll(what);
// An element of words and others.
function make(tag, ...parts) {
  const node = document.createElement(tag);
  node.append(...parts);
  return node;
}
const page = document.body;
// What the server or this file says of the page as a whole.
const is = (what) => page.hasAttribute(`data-${what}`);
const status = byId('live');
const TOKEN = 'downbeat-token';
const WAITS = [1, 2, 4, 8, 10];
// Until the next try, somewhat other than others wait.
const pause = (n) => new Promise((go) => setTimeout(go, (WAITS[n] ?? 10) * (750 + Math.random() * 500)));
const SILENT = 'The server does not answer.';

// -- who asks: a token, where the server wants one

const bearer = (own) => ({ Authorization: `Bearer ${own}` });
const token = () => sessionStorage.getItem(TOKEN) ?? localStorage.getItem(TOKEN);

async function ask(path, options = {}) {
  const own = token();
  const headers = { ...options.headers, ...(own && bearer(own)) };
  const answer = await fetch(path, { ...options, headers, cache: 'no-store' });
  if (answer.status === 401 && location.pathname !== '/login') {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  return answer;
}

// An address that is written into a tab of this page loads nothing.
addEventListener('hashchange', () => location.hash.startsWith('#code=') && location.reload());

// `downbeat web` leads here with a code that is good once. What stands behind # reaches no server.
const code = /^#code=(\w+)$/.exec(location.hash)?.[1];
if (code) {
  history.replaceState(null, '', location.pathname);
  const sent = { method: 'POST', headers: bearer(code) };
  const answer = await fetch('/api/v1/web/sessions', sent).catch(() => null);
  if (answer?.ok) sessionStorage.setItem(TOKEN, (await answer.json()).token);
  else {
    location.replace('/login#code');
    // This page asks for nothing more.
    await new Promise(() => {});
  }
}

function forget() {
  sessionStorage.clear();
  localStorage.removeItem(TOKEN);
  location.assign('/login');
}

// A tab that was opened anew asks the others, and whoever logs out logs out of all.
const others = new BroadcastChannel('downbeat');
others.onmessage = ({ data }) => {
  const own = token();
  if (data.out) return forget();
  if (data.asks && own) others.postMessage({ token: own });
  if (data.token && !own) {
    sessionStorage.setItem(TOKEN, data.token);
    if (location.pathname === '/login') back();
  }
};

function back() {
  const next = new URLSearchParams(location.search).get('next') ?? '/';
  location.replace(/^\/(?![/\\])/.test(next) ? next : '/');
}

const login = byId('login');
if (login) {
  byId('late').hidden = location.hash !== '#code';
  others.postMessage({ asks: true });
  login.onsubmit = async (event) => {
    event.preventDefault();
    const said = byId('login-error');
    const sent = login.elements.token.value.trim();
    const answer = await fetch('/api/v1/me', { headers: bearer(sent) }).catch(() => null);
    if (!answer?.ok) {
      said.textContent = answer ? 'This server does not know that token.' : SILENT;
      return;
    }
    sessionStorage.setItem(TOKEN, sent);
    if (login.elements.stay.checked) localStorage.setItem(TOKEN, sent);
    back();
  };
}

// -- dialogs: they stand in the page; the way back has the focus, and Escape is it

// True for yes.
function confirmed(title, text, yes, no = 'Keep') {
  const box = byId('question');
  const words = [title, text, no, yes];
  for (const [n, one] of ['h2', 'p', '[value=no]', '[value=yes]'].entries()) {
    box.querySelector(one).textContent = words[n];
  }
  box.returnValue = 'no';
  return new Promise((done) => {
    box.onclose = () => done(box.returnValue === 'yes');
    box.showModal();
  });
}

// What is wrong stands beside its field; answers the first field that has something.
function faults(fields, names, prefix, errors) {
  let first = null;
  for (const name of names) {
    const own = errors.filter(({ field }) => field.split('.')[0] === name);
    const [input, place] = [fields[name], byId(`${prefix}-${name}`)];
    place.textContent = own.map(({ message }) => message).join('; ');
    input.toggleAttribute('aria-invalid', own.length > 0);
    input.removeAttribute('aria-describedby');
    if (!own.length) continue;
    input.setAttribute('aria-describedby', place.id);
    first ??= input;
  }
  return first;
}

// A form in a dialog: it closes when it was sent and nothing was refused.
function fill(id, names, prefix, send) {
  const box = byId(id);
  const form = box.querySelector('form');
  const told = form.querySelector('[role=status]');
  told.textContent = '';
  faults(form.elements, names, prefix, []);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const refused = await send(form.elements);
    if (!refused) return box.close();
    const first = faults(form.elements, names, prefix, refused.errors);
    told.textContent = first ? '' : refused.words;
    first?.focus();
  };
  form.querySelector('[value=no]').onclick = () => box.close();
  box.showModal();
  return { form, told };
}

// -- patch: nodes are kept by id or key, so focus, selection and scroll stay

const keyOf = (node) => node.id || node.dataset?.key;

function place(parent, node, before) {
  if (node.isConnected && parent.moveBefore) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function patch(old, fresh) {
  if (old.hasAttribute('data-own')) return;
  attributes(old, fresh);
  const keyed = new Map();
  for (const child of old.children) {
    const key = keyOf(child);
    if (key) keyed.set(key, child);
  }
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = child.nodeType === 1 ? keyOf(child) : null;
    let same = key ? keyed.get(key) : at;
    const fits = same && same.nodeName === child.nodeName && (key || !keyOf(same));
    if (!fits) {
      old.insertBefore(child, at);
      continue;
    }
    if (same !== at) place(old, same, at);
    if (same === at) at = at.nextSibling;
    if (child.nodeType === 1) patch(same, child);
    else if (same.data !== child.data) same.data = child.data;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function show(html) {
  const holder = make('template');
  holder.innerHTML = policy.createHTML(html);
  const fresh = holder.content.firstElementChild;
  const old = fresh && byId(fresh.id);
  if (!old) return;
  local(fresh);
  patch(old, fresh);
  if (fresh.id === 'main') {
    document.title = fresh.dataset.title;
    for (const name of ['host', 'who']) {
      byId(name).textContent = fresh.dataset[name];
      byId(name).hidden = !fresh.dataset[name];
    }
  }
  tick();
  count();
}

// -- times: what only time changes is counted here

const two = (n) => String(n).padStart(2, '0');
const SPANS = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']];

function ran(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return `${d}-${two(h)}:${two(m)}`;
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

// In two units at the most: "2 h 18 m".
function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const at = SPANS.findIndex(([unit]) => s >= unit);
  if (at < 0) return '0 s';
  const [[unit, name], [next, less] = [1]] = SPANS.slice(at);
  const rest = next > 1 ? Math.floor((s % unit) / next) : 0;
  return `${Math.floor(s / unit)} ${name}${rest ? ` ${rest} ${less}` : ''}`;
}

function ago(seconds) {
  const [unit, name] = SPANS.find(([unit]) => seconds >= unit) ?? [1, 's'];
  return seconds < 5 ? 'now' : `${Math.floor(seconds / unit)} ${name} ago`;
}

// The server's clock may differ from this one; what it drew is as of its own.
function tick() {
  const now = Date.now();
  const since = (time) => (now - Date.parse(time)) / 1000;
  for (const one of nodes('[data-since]')) {
    const seconds = since(one.dataset.since);
    if (Number.isNaN(seconds)) continue;
    if (one.nodeName === 'PROGRESS') one.value = Math.min(one.max, Math.max(0, seconds));
    else one.textContent = ran(seconds);
  }
  for (const one of nodes('[data-waits]')) one.textContent = duration(since(one.dataset.waits));
  for (const one of nodes('time[data-ago]')) one.textContent = ago(since(one.dateTime));
  for (const one of nodes('time[data-left]')) one.textContent = duration(-since(one.dateTime));
}

const written = (how) => new Intl.DateTimeFormat(undefined, how);
const clock = written({ hour: '2-digit', minute: '2-digit', hour12: false });
const day = written({ weekday: 'short' });
const date = written({ day: 'numeric', month: 'short' });
const NAMED_DAYS = 6 * 86400000;
const full = written({ dateStyle: 'medium', timeStyle: 'long' });

// Clocks in the reader's own zone, which stands in the title.
function local(root) {
  for (const one of root.querySelectorAll('time[datetime]')) {
    const at = new Date(one.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    one.title = full.format(at);
    if (one.matches('[data-ago], [data-left]')) continue;
    const isToday = at.toDateString() === new Date().toDateString();
    const isNear = Math.abs(at - new Date()) < NAMED_DAYS;
    const before = isToday ? '' : `${(isNear ? day : date).format(at)} `;
    const second = one.hasAttribute('data-second') ? `:${two(at.getSeconds())}` : '';
    one.textContent = before + clock.format(at) + second;
  }
}

// -- the stream

let reading = null;
let tries = 0;
let seen = null;

function say(words, title = '') {
  if (status.textContent !== words) status.textContent = words;
  status.title = title;
}

async function read(signal) {
  const view = encodeURIComponent(page.dataset.view);
  const frame = is('frame') ? '&frame=true' : '';
  const rows = [...nodes('#list tr[data-key]:not(.sub)')];
  const shown = rows.length ? `&shown=${rows.map((row) => row.dataset.key).join(',')}` : '';
  const answer = await ask(`/live?view=${view}${frame}${shown}`, { signal });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    if (is('frame') && [400, 403, 404].includes(answer.status)) noPage(problem);
    throw new Error(problem.detail ?? answer.statusText);
  }
  say('Live');
  tries = 0;
  await events(answer, (name, data) => {
    if (name === 'problem') throw new Error(data);
    if (name !== 'region') return;
    seen = new Date();
    show(data);
    page.removeAttribute('data-frame');
    begin();
  });
}

// A frame that there is nothing for says why.
function noPage({ title, detail, request_id: number }) {
  page.toggleAttribute('data-still', true);
  page.removeAttribute('data-frame');
  byId('main').replaceChildren(make('h1', title ?? ''), make('p', detail ?? ''), make('small', `Request ${number}`));
}

// Server-sent events of an answer: EventSource cannot send a token.
async function events(answer, each) {
  const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await text.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const field = (name) => part.split('\n').filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).replace(/^ /, ''));
      const [data, name] = [field('data'), field('event')];
      if (data.length) each(name[0] ?? 'message', data.join('\n'), field('id')[0]);
    }
  }
}

let turn = 0;

async function follow() {
  turn += 1;
  const own = turn;
  while (!document.hidden && own === turn && !is('still')) {
    reading = new AbortController();
    let why = '';
    try {
      await read(reading.signal);
    } catch (error) {
      if (reading.signal.aborted) return;
      why = error.message;
    }
    if (is('still')) return;
    const asOf = seen ? `, as of ${seen.toLocaleTimeString([], { hour12: false })}` : '';
    say(`Reconnecting${asOf}`, why);
    tries += 1;
    await pause(tries - 1);
  }
}

// The same page in another way: its parts change, nothing is loaded anew.
function visit(address) {
  history.replaceState(null, '', address);
  page.dataset.view = address;
  reading?.abort();
  follow();
}

// A browser has six connections for a host: a page that nobody sees gives its own back.
addEventListener('visibilitychange', () => {
  reading?.abort();
  output?.reader?.abort();
  if (document.hidden) return;
  follow();
  if (output && !output.over) output.follow();
});

// -- theme

const THEME = 'downbeat-theme';
const root = document.documentElement;
const chosen = localStorage.getItem(THEME);
if (chosen) root.dataset.theme = chosen;
byId('theme').onclick = () => {
  const now = root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches && 'dark');
  root.dataset.theme = now === 'dark' ? 'light' : 'dark';
  localStorage.setItem(THEME, root.dataset.theme);
};

// -- output of a job: text only, one flush a frame, so many lines kept

const LINES_KEPT = 5000;
// A frame lays out so many: some milliseconds.
const LINES_A_FRAME = 150;
const TAIL = 1000;
const LINE_MAX = 65536;
const DOWNLOAD_MAX = 2 ** 26;

const SGR = /\x1b\[([\d;]*)m/g;
const OTHER_ESCAPES = /\x1b(?:\[[\d;?]*[A-Za-ln-z]|\][^\x07]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cDEHM])/g;
const UNSEEN = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

// One line: the last of what was written over it, its colours as classes.
function lineOf(text) {
  const line = make('code');
  const shown = text.replace(/\r+$/, '').replace(OTHER_ESCAPES, '');
  const last = shown.slice(shown.lastIndexOf('\r') + 1);
  let classes = [];
  let at = 0;
  const add = (piece) => {
    const plain = piece.replace(UNSEEN, '');
    if (!plain) return;
    if (!classes.length) return line.append(plain);
    const span = make('span', plain);
    span.className = classes.join(' ');
    line.append(span);
  };
  for (const found of last.matchAll(SGR)) {
    add(last.slice(at, found.index));
    at = found.index + found[0].length;
    for (const code of found[1].split(';').map(Number)) {
      if (code === 0) classes = [];
      else if (code === 1) classes.push('sgr-bold');
      else if (/^[39][0-7]$/.test(code)) {
        classes = classes.filter((one) => one === 'sgr-bold');
        classes.push(`sgr-${code % 10}`);
      }
    }
  }
  add(last.slice(at));
  if (!line.firstChild) line.append('\u200b');
  return line;
}

class Output {
  constructor(pane) {
    this.pane = pane;
    this.job = pane.dataset.job;
    this.note = byId('log-note');
    this.box = byId('log-follow');
    this.open('stdout');
    pane.onscroll = () => this.scrolled();
    this.box.onchange = () => this.toEnd();
    this.note.onclick = () => { this.box.checked = true; this.toEnd(); };
    byId('log-download').onclick = () => this.download();
    const find = byId('log-find');
    find.onkeydown = (key) => key.key === 'Enter' && this.find(find.value, key.shiftKey);
    const tabs = nodes('[data-stream]');
    for (const tab of tabs) {
      tab.onclick = () => {
        for (const one of tabs) one.setAttribute('aria-selected', one === tab);
        this.open(tab.dataset.stream);
      };
    }
  }

  open(stream) {
    this.reader?.abort();
    this.stream = stream;
    this.clear();
    this.offset = null;
    this.tries = 0;
    this.follow();
  }

  clear() {
    this.decoder = new TextDecoder();
    this.text = '';
    this.waiting = [];
    this.unseen = 0;
    this.empty();
  }

  empty() {
    this.last = null;
    this.pane.replaceChildren();
    this.pane.classList.add('unnumbered');
  }

  async follow() {
    const reader = new AbortController();
    this.reader = reader;
    this.over = false;
    while (!this.over && !reader.signal.aborted && !document.hidden) {
      try {
        await this.read(reader.signal);
      } catch (error) {
        if (reader.signal.aborted) return;
        this.say(error.message);
        if (error.final) return;
      }
      if (this.over) return;
      this.tries += 1;
      await pause(this.tries - 1);
    }
  }

  async read(signal) {
    const from = this.offset === null ? `tail=${TAIL}&` : '';
    const headers = { Accept: 'text/event-stream' };
    if (this.offset !== null) headers['Last-Event-ID'] = this.offset;
    const path = `/api/v1/jobs/${this.job}/${this.stream}?${from}follow=true&encoding=base64`;
    const answer = await ask(path, { signal, headers });
    if (!answer.ok) {
      const error = new Error((await refusal(answer)).words);
      error.final = answer.status < 500 && answer.status !== 429;
      throw error;
    }
    this.tries = 0;
    this.say('');
    await events(answer, (name, data, id) => this.event(name, data, id));
  }

  event(name, data, id) {
    if (name === 'problem') throw new Error(data);
    this.over = name === 'end';
    if (name === 'anew') {
      this.clear();
      this.offset = 0;
    }
    if (name !== 'message') return;
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    if (this.offset === null && +id === bytes.length) this.pane.classList.remove('unnumbered');
    this.offset = +id;
    this.text += this.decoder.decode(bytes, { stream: true });
    this.frame ??= requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.frame = null;
    const atEnd = this.isAtEnd();
    const lines = this.text.split('\n');
    this.text = lines.pop();
    if (this.text.length > LINE_MAX) {
      lines.push(this.text);
      this.text = '';
    }
    this.waiting = this.waiting.concat(lines);
    if (this.waiting.length > LINES_KEPT) {
      this.waiting = this.waiting.slice(-LINES_KEPT);
      this.empty();
    }
    const more = document.createDocumentFragment();
    for (const line of this.waiting.splice(0, LINES_A_FRAME)) more.append(lineOf(line));
    const rest = this.waiting.length > 0;
    if (rest) this.frame = requestAnimationFrame(() => this.flush());
    this.last?.remove();
    this.last = this.text && !rest ? lineOf(this.text) : null;
    if (this.last) more.append(this.last);
    this.pane.append(more);
    const beyond = this.pane.childElementCount - LINES_KEPT;
    if (beyond > 0) this.pane.classList.add('unnumbered');
    for (let n = 0; n < beyond; n += 1) this.pane.firstChild.remove();
    if (this.box.checked && (atEnd || this.unseen === 0)) this.toEnd();
    else {
      this.unseen += lines.length;
      if (this.unseen) this.say(`${this.unseen.toLocaleString('en')} new lines ↓`);
    }
  }

  isAtEnd() {
    return this.pane.scrollTop + this.pane.clientHeight >= this.pane.scrollHeight - 4;
  }

  scrolled() {
    const atEnd = this.isAtEnd();
    if (atEnd && this.unseen) this.say('');
    if (atEnd) this.unseen = 0;
    this.box.checked = atEnd;
  }

  toEnd() {
    if (!this.box.checked) return;
    this.pane.scrollTop = this.pane.scrollHeight;
    this.unseen = 0;
    this.say('');
  }

  find(words, back) {
    const lines = [...this.pane.children];
    const old = this.pane.querySelector('.hit');
    old?.classList.remove('hit');
    if (!words) return;
    const from = old ? lines.indexOf(old) : back ? lines.length : -1;
    const at = back ? from : from + 1;
    const order = [...lines.slice(at), ...lines.slice(0, at)];
    if (back) order.reverse();
    const wanted = words.toLowerCase();
    const hit = order.find((line) => line.textContent.toLowerCase().includes(wanted));
    if (!hit) return this.say(`no line shown has “${words}”`);
    this.box.checked = false;
    hit.classList.add('hit');
    hit.scrollIntoView({ block: 'center' });
    this.say('');
  }

  async download() {
    const path = `/api/v1/jobs/${this.job}/${this.stream}`;
    try {
      const head = await ask(path, { headers: { Range: 'bytes=0-0' } });
      const size = Number(head.headers.get('Content-Range')?.split('/')[1] ?? 0);
      await head.body?.cancel();
      if (size > DOWNLOAD_MAX) return this.say(`too large for a page: downbeat logs ${this.job} > file`);
      const file = await (await ask(path)).blob();
      const link = make('a');
      link.href = URL.createObjectURL(file);
      link.download = `job-${this.job}.${this.stream}`;
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      this.say(error.message);
    }
  }

  say(words) {
    this.note.textContent = words;
    this.note.hidden = !words;
  }
}

// -- the form of a job: what the server says of it, as it is written

const SETTLED_MS = 400;
const OF_JSON = { 'Content-Type': 'application/json' };
const DRAFT = 'downbeat-draft:';
const SIZES = [[2 ** 40, 'T'], [2 ** 30, 'G'], [2 ** 20, 'M'], [2 ** 10, 'K'], [1, 'B']];
// A folder of its own has the number of a job that is not there yet.
const OWN_FOLDER = '/9223372036854775807/';

// In the largest unit that leaves no rest, as fields take it.
function exact(n, units) {
  const [unit, name] = units.find(([unit]) => n >= unit && n % unit === 0) ?? [1, ''];
  return n ? `${n / unit}${name}` : '';
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

// crypto.randomUUID is there only over TLS or from this machine.
const freshKey = () => [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => two(byte.toString(16))).join('');

const paragraph = (...parts) => make('p', ...parts);

// What a refusal says, with the number under which the server's log has it.
async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const number = problem.request_id ?? answer.headers.get('X-Request-ID');
  return { words: problem.detail ?? answer.statusText, errors: problem.errors ?? [], number: `Request ${number}` };
}

class JobForm {
  constructor(form) {
    this.form = form;
    this.draft = DRAFT + form.dataset.from;
    this.also = JSON.parse(form.dataset.also);
    this.keys = {};
    // Those of the command line: `data-flag` is what it calls them.
    this.flags = [...form.querySelectorAll('[data-flag]')];
    this.restore();
    for (const button of form.querySelectorAll('button')) button.disabled = false;
    form.oninput = () => this.changed();
    form.onsubmit = (event) => {
      event.preventDefault();
      this.send(event.submitter?.name === 'held');
    };
    form.onkeydown = (key) => {
      if (key.key !== 'Enter' || !(key.ctrlKey || key.metaKey)) return;
      key.preventDefault();
      this.send(false);
    };
    const start = byId('start-from');
    byId('start-go').hidden = true;
    start.onchange = () => start.form.requestSubmit();
    byId('copy').onclick = () => this.copy();
    this.command();
    this.look();
  }

  field(name) {
    return this.form.elements[name];
  }

  names() {
    return ['script', ...this.flags.map(({ name }) => name)];
  }

  restore() {
    const kept = JSON.parse(sessionStorage.getItem(this.draft) ?? 'null');
    if (!kept) return;
    for (const name of this.names()) this.field(name).value = kept.values[name] ?? '';
    this.keys = kept.keys;
  }

  keep() {
    const values = Object.fromEntries(this.names().map((name) => [name, this.field(name).value]));
    try {
      sessionStorage.setItem(this.draft, JSON.stringify({ values, keys: this.keys }));
    } catch {
      // More than a browser keeps: this draft does not survive a reload.
    }
  }

  changed() {
    // A key is for one job: what was changed is another.
    this.keys = {};
    this.keep();
    this.command();
    clearTimeout(this.timer);
    this.looking?.abort();
    this.timer = setTimeout(() => this.look(), SETTLED_MS);
  }

  body(held) {
    const body = { ...this.also, script: this.field('script').value, data_source: 'WEB' };
    for (const { name, value } of this.flags) {
      const said = value.trim();
      if (!said) continue;
      const whole = /^\d{1,9}$/.test(said) ? +said : said;
      if (name === 'retry') body.retry = { max: whole };
      else body[name] = name === 'cpus' || name === 'gpus' ? whole : said;
    }
    if (held) body.held = true;
    return JSON.stringify(body);
  }

  command() {
    const said = this.flags.filter(({ value }) => value.trim())
      .map(({ dataset, value }) => `--${dataset.flag} ${quoted(value.trim())}`);
    const labels = Object.entries(this.also.labels ?? {})
      .map(([key, value]) => `--label ${quoted(`${key}=${value}`)}`);
    const comment = this.also.comment ? [`--comment ${quoted(this.also.comment)}`] : [];
    const script = ['job.sh', ...(this.also.args ?? []).map(quoted)].join(' ');
    const all = ['downbeat submit', ...said, ...labels, ...comment, script];
    let line = 0;
    byId('command').textContent = all.reduce((text, part) => {
      const fits = line + part.length < 50;
      line = (fits ? line : 0) + part.length + 1;
      return text + (fits ? ' ' : ' \\\n  ') + part;
    });
  }

  async copy() {
    const command = byId('command');
    getSelection().selectAllChildren(command);
    // The clipboard is there only over TLS or from this machine.
    if (navigator.clipboard) await navigator.clipboard.writeText(command.textContent);
    else document.execCommand('copy');
    byId('copy').textContent = 'Copied';
  }

  post(path, text, options = {}) {
    const headers = { ...OF_JSON, ...options.headers };
    return ask(path, { method: 'POST', body: text, ...options, headers });
  }

  // What would become of it. Nothing is stored.
  async look() {
    const looking = new AbortController();
    this.looking = looking;
    try {
      const [text, options] = [this.body(false), { signal: looking.signal }];
      const answer = await this.post('/api/v1/jobs?dry_run=true', text, options);
      if (!answer.ok) return this.refused('Not accepted yet.', await refusal(answer));
      const job = await answer.json();
      if (looking.signal.aborted) return;
      this.faults([]);
      if (this.would(job)) return;
      // With what it would start sooner.
      const tries = await this.post('/submit/tries', text, options);
      const rows = await tries.text();
      if (tries.ok && !looking.signal.aborted) show(rows);
    } catch (error) {
      if (!looking.signal.aborted) this.silent(error);
    }
  }

  // Answers whether it would start at once.
  would(job) {
    const start = Date.parse(job.estimated_start_time ?? '');
    const isNow = start - Date.parse(job.submit_time) < 1000;
    const when = make('time');
    when.dateTime = job.estimated_start_time ?? '';
    const head = Number.isNaN(start) ? ['Accepted.'] : isNow ? ['Starts at once.'] : ['Starts by ', when, '.'];
    const gpus = Object.entries(job.resources).map(([name, n]) => `${n} ${name === 'gpu' ? 'GPU' : name}`);
    const memory = job.memory_bytes === null ? [] : [exact(job.memory_bytes, SIZES)];
    const limit = job.time_limit_s === null ? 'no time limit' : exact(job.time_limit_s, SPANS);
    const asks = [`${job.cpus} CPU`, ...gpus, ...memory, limit].join(' · ');
    const why = `It ${job.state_detail}`.replace(/^It (?=[A-Z])/, '');
    this.verdict(paragraph(...head), ...(job.state_detail ? [paragraph(why)] : []), paragraph(`Asks for ${asks}.`));
    local(byId('verdict'));
    // What holds where a field is empty.
    const holds = {
      name: job.name, cpus: job.cpus, memory: exact(job.memory_bytes ?? 0, SIZES), account: job.account,
      time_limit: exact(job.time_limit_s ?? 0, SPANS), array: job.array_tasks ?? '',
      dependency: job.dependency ?? '', retry: job.retry?.max ?? '',
      working_directory: job.working_directory?.includes(OWN_FOLDER) ? '' : job.working_directory,
    };
    for (const [name, value] of Object.entries(holds)) {
      const field = this.field(name);
      field.dataset.usual ??= field.placeholder;
      field.placeholder = value || field.dataset.usual;
    }
    if (!this.field('partition').value) this.field('partition').options[0].textContent = `(${job.partition})`;
    this.warn(job.warnings);
    return isNow;
  }

  warn(warnings) {
    const notes = warnings.map((words) => paragraph(words.replace(/^line/, 'Line')));
    for (const note of notes) note.className = 'note';
    byId('warnings').replaceChildren(...notes);
  }

  verdict(...parts) {
    byId('tries').replaceChildren();
    byId('verdict').replaceChildren(...parts);
  }

  silent(error, ...more) {
    this.verdict(paragraph(SILENT), paragraph(error.message), ...more);
  }

  refused(head, { words, errors, number }) {
    const said = errors.map(({ field, message }) => {
      const name = field.split('.')[0];
      const input = this.names().includes(name) && this.field(name);
      if (!input) return paragraph(`${field}: ${message}`);
      const link = make('a', input.closest('label').firstChild.data.trim());
      link.href = `#${input.id}`;
      return paragraph(link, ` ${message}`);
    });
    this.verdict(paragraph(head), ...(said.length ? said : [paragraph(words)]), make('small', number));
    this.warn([]);
    return this.faults(errors);
  }

  faults(errors) {
    return faults(this.form.elements, this.names(), 'e', errors);
  }

  async send(held) {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    this.looking?.abort();
    this.keys[held] ??= freshKey();
    this.keep();
    this.verdict(paragraph('Submitting…'));
    try {
      const headers = { 'Idempotency-Key': this.keys[held] };
      const answer = await this.post('/api/v1/jobs', this.body(held), { headers });
      if (answer.ok) {
        const job = await answer.json();
        sessionStorage.removeItem(this.draft);
        location.assign(`/jobs/${job.array_job_id ?? job.id}`);
        return;
      }
      this.refused('Nothing was submitted.', await refusal(answer))?.focus();
    } catch (error) {
      const again = 'Whether it was submitted is not known. Submit once more: it is stored once.';
      this.silent(error, paragraph(again));
    }
    this.sending = false;
  }
}

let jobForm = null;
let output = null;
function begin() {
  const pane = byId('log');
  output ??= pane && new Output(pane);
  const form = byId('job-form');
  jobForm ??= form && new JobForm(form);
  byId('logout')?.toggleAttribute('hidden', !token());
}

// -- what is done: routes of the API, after a question where it hits somebody; the stream shows it

// Above the page: how the server refused, or nothing.
function report(refused) {
  const said = byId('deed-said');
  said.hidden = !refused;
  said.textContent = refused ? `${refused.words} ${refused.number && `(${refused.number})`}` : '';
}

// Tells the server: what it said, or how it refused.
async function tell(method, path, body) {
  const options = { method };
  if (body) Object.assign(options, { body: JSON.stringify(body), headers: OF_JSON });
  try {
    const answer = await ask(`/api/v1${path}`, options);
    if (!answer.ok) return { refused: await refusal(answer) };
    return { said: await answer.json().catch(() => null) };
  } catch (error) {
    return { refused: { words: `${SILENT} ${error.message}`, errors: [], number: '' } };
  }
}

// A button rests until the stream tells of what it did.
async function press(button, doing, method, path, body) {
  const words = button.textContent;
  button.textContent = doing;
  button.disabled = true;
  const { refused } = await tell(method, path, body);
  report(refused);
  if (!refused) return;
  button.textContent = words;
  button.disabled = false;
}

const many = (n, what) => `${(+n).toLocaleString('en')} ${what}${+n === 1 ? '' : 's'}`;

const CHANGES = ['time_limit', 'cpus', 'memory', 'priority'];

// Some fields of a job; while one writes it says what would become of it.
function rewrite(head, names) {
  const path = `/jobs/${head.job}`;
  const old = {
    time_limit: exact(+head.limit, SPANS) || 'UNLIMITED',
    cpus: head.cpus,
    memory: exact(+head.memory, SIZES),
    priority: head.priority,
  };
  const changed = () => Object.fromEntries(names
    .map((name) => [name, fields[name].value.trim()])
    .filter(([name, value]) => value !== old[name])
    .map(([name, value]) => [name, /^-?\d{1,15}$/.test(value) && name !== 'memory' ? +value : value]));
  const { form, told } = fill('change', CHANGES, 'c', async () => (await tell('PATCH', path, changed())).refused);
  const fields = form.elements;
  byId('change-title').textContent = `Change ${head.goes}`;
  for (const name of CHANGES) {
    fields[name].value = old[name];
    fields[name].closest('label').hidden = !names.includes(name);
  }
  let later;
  form.oninput = () => {
    clearTimeout(later);
    later = setTimeout(async () => {
      const { said, refused } = await tell('PATCH', `${path}?dry_run=true`, changed());
      faults(fields, CHANGES, 'c', refused?.errors ?? []);
      const start = said?.state === 'PENDING' && Date.parse(said.estimated_start_time ?? '');
      const when = start <= Date.now() ? 'now' : start && `by ${full.format(start)}`;
      if (refused) told.textContent = refused.errors.length ? '' : refused.words;
      else told.textContent = start ? `It would start ${when}.` : '';
    }, SETTLED_MS);
  };
}

const toJob = (deed, doing) => ({ job }, _, button) => press(button, doing, 'POST', `/jobs/${job}/${deed}`);

const DEEDS = {
  async cancel(head, _, button) {
    const text = head.state === 'PENDING' ? 'It will not run.' : 'Its processes are told to stop, and killed if they do not.';
    if (await confirmed(`Cancel ${head.goes}?`, text, 'Cancel it')) toJob('cancel', 'Cancelling…')(head, _, button);
  },
  async requeue(head, _, button) {
    const runs = head.state === 'RUNNING' ? 'It is stopped first. ' : '';
    const text = `${runs}It waits again, as the same job in a new attempt.`;
    if (await confirmed(`Run ${head.goes} again?`, text, 'Run again', 'Leave it')) toJob('requeue', 'Going back…')(head, _, button);
  },
  hold: toJob('hold', 'Holding…'),
  release: toJob('release', 'Releasing…'),
  extend: (head) => rewrite(head, ['time_limit']),
  change: (head) => rewrite(head, CHANGES),
  async drain({ running, waiting }, _, button) {
    const text = `Nothing starts until somebody resumes: ${many(waiting, 'job')} will wait. `
      + `${many(running, 'job')} that run will run on.`;
    if (await confirmed('Drain this machine?', text, 'Drain', 'Do not')) press(button, 'Draining…', 'POST', '/maintenance', {});
  },
  async resume({ waiting }, _, button) {
    const text = `Maintenance that has begun ends. ${many(waiting, 'job')} that wait may start.`;
    if (await confirmed('Resume?', text, 'Resume', 'Stay drained')) press(button, 'Resuming…', 'DELETE', '/maintenance');
  },
  async remove({ waiting }, { window: id, when }, button) {
    const text = `${when}. ${many(waiting, 'job')} that wait may start where they would have reached into it.`;
    if (await confirmed('Take this maintenance back?', text, 'Remove', 'Keep')) {
      press(button, 'Removing…', 'DELETE', `/maintenance/${id}`);
    }
  },
  plan() {
    const names = ['start_time', 'end_time', 'reason'];
    fill('plan', names, 'p', async (fields) => {
      const body = {};
      for (const name of names) {
        const { value } = fields[name];
        if (value) body[name] = name === 'reason' ? value : new Date(value).toISOString();
      }
      const missing = names.slice(0, 2).find((name) => !body[name]);
      if (missing) return { errors: [{ field: missing, message: 'say when' }] };
      return (await tell('POST', '/maintenance', body)).refused;
    });
  },
  help() {
    const box = byId('keys');
    const keys = box.querySelector('input');
    keys.checked = !keysAreOff();
    keys.onchange = () => localStorage.setItem(KEYS, keys.checked ? 'on' : 'off');
    box.showModal();
  },
  async logout() {
    others.postMessage({ out: true });
    // A session that came of a code ends here; a token stays what it is.
    await tell('DELETE', '/web/sessions');
    forget();
  },
};

// -- jobs that are picked

const picks = () => [...nodes('input[name="pick"]')];

function count() {
  const bar = byId('picked');
  if (!bar) return;
  const all = picks();
  const n = all.filter((one) => one.checked).length;
  bar.hidden = n === 0;
  bar.querySelector('b').textContent = `${n} selected`;
  const every = byId('pick-all');
  if (!every) return;
  every.checked = n > 0 && n === all.length;
  every.indeterminate = n > 0 && n < all.length;
}

async function toPicked(deed) {
  const picked = picks().filter((one) => one.checked);
  const goes = picked.map((one) => one.dataset.goes);
  const named = goes.length > 10 ? [...goes.slice(0, 10), `${goes.length - 10} more`] : goes;
  if (deed === 'cancel'
    && !await confirmed(`Cancel ${many(picked.length, 'job')}?`, `${named.join(', ')}.`, 'Cancel them')) return;
  const { said, refused } = await tell('POST', `/jobs/${deed}`, { ids: picked.map((one) => one.value) });
  report(refused);
  if (refused) return;
  const failed = said.results.filter((one) => one.problem);
  if (failed.length) {
    const [{ id, problem }] = failed;
    report({ words: `${failed.length} of ${picked.length} not done. ${id}: ${problem.detail}`, number: `Request ${problem.request_id}` });
  }
  const left = new Set(failed.map((one) => String(one.id)));
  for (const one of picked) one.checked = left.has(one.value);
  count();
}

addEventListener('change', ({ target }) => {
  if (target.id === 'pick-all') for (const one of picks()) one.checked = target.checked;
  if (target.matches('input[name="pick"], #pick-all')) count();
  if (target.matches('form[data-filter] select')) target.form.requestSubmit();
});

// An empty field of a filter is no part of its address.
addEventListener('submit', ({ target }) => {
  if (!target.matches('form[data-filter]')) return;
  for (const one of target.elements) if (one.name && !one.value) one.disabled = true;
});

addEventListener('click', (event) => {
  const at = (what) => event.target.closest?.(what);
  const toggle = at('[data-toggle]');
  const deed = at('[data-do]');
  const picked = at('[data-picked]');
  const json = token() && at('[data-json]');
  if (toggle && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    visit(toggle.getAttribute('href'));
  } else if (deed) {
    const about = deed.closest('[data-job]') ?? byId('about');
    DEEDS[deed.dataset.do](about?.dataset ?? {}, deed.dataset, deed);
  } else if (picked) toPicked(picked.dataset.picked);
  else if (json) {
    // A link sends no token.
    event.preventDefault();
    ask(json.href).then((answer) => answer.blob()).then((file) => location.assign(URL.createObjectURL(file)));
  }
});

// -- keys, never inside of a field, and off where somebody wants them off

const KEYS = 'downbeat-keys';
const keysAreOff = () => localStorage.getItem(KEYS) === 'off';

function move(by) {
  const links = [...nodes('main tbody tr')]
    .map((row) => row.querySelector('td a[href]')).filter((link) => link?.offsetParent);
  const now = document.activeElement?.closest('tbody tr')?.querySelector('td a[href]');
  const at = links.indexOf(now);
  const to = at < 0 && by < 0 ? links.length : at + by;
  links[Math.min(Math.max(to, 0), links.length - 1)]?.focus();
}

let prefix = false;
const PAGES = { o: '/', j: '/jobs', s: '/submit', a: '/admin' };
addEventListener('keydown', (key) => {
  const at = document.activeElement;
  const inField = at?.matches('input:not([type=checkbox]), textarea, select');
  if (inField || key.ctrlKey || key.metaKey || key.altKey || keysAreOff()) return;
  if (document.querySelector('dialog[open]')) return;
  const follows = prefix;
  prefix = key.key === 'g';
  if (follows && PAGES[key.key]) return location.assign(PAGES[key.key]);
  if (key.key === '/') {
    key.preventDefault();
    document.querySelector('.find input')?.focus();
  } else if (key.key === 't') byId('theme').click();
  else if (key.key === 'f') byId('log-follow')?.click();
  else if (key.key === 'j') move(1);
  else if (key.key === 'k') move(-1);
  else if (key.key === 'x') at?.closest('tr')?.querySelector('input[name="pick"]')?.click();
  else if (key.key === '?') DEEDS.help();
});

local(document);
begin();
setInterval(tick, 1000);
tick();
if (!login) follow();
