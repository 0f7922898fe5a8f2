// Keeps a page right: reads its stream, patches what changed, ticks clocks. What a page shows comes
// from the server as HTML; this file never makes a number up.

const policy = globalThis.trustedTypes
  ? trustedTypes.createPolicy('downbeat', { createHTML: (html) => html })
  : { createHTML: (html) => html };
const status = document.getElementById('live');
const TOKEN = 'downbeat-token';
const WAITS = [1, 2, 4, 8, 10];

// -- who asks: a token, where the server wants one

const token = () => sessionStorage.getItem(TOKEN) ?? localStorage.getItem(TOKEN);

async function ask(path, options = {}) {
  const own = token();
  const headers = { ...options.headers, ...(own ? { Authorization: `Bearer ${own}` } : {}) };
  const answer = await fetch(path, { ...options, headers, cache: 'no-store' });
  if (answer.status === 401 && location.pathname !== '/login') {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  return answer;
}

// A tab that was opened anew asks the others.
const others = new BroadcastChannel('downbeat');
others.addEventListener('message', ({ data }) => {
  const own = token();
  if (data.asks && own) others.postMessage({ token: own });
  if (data.token && !token()) {
    sessionStorage.setItem(TOKEN, data.token);
    if (location.pathname === '/login') back();
  }
});

function back() {
  const next = new URLSearchParams(location.search).get('next') ?? '/';
  location.replace(/^\/(?![/\\])/.test(next) ? next : '/');
}

const login = document.getElementById('login');
if (login) {
  others.postMessage({ asks: true });
  login.addEventListener('submit', async (event) => {
    event.preventDefault();
    const sent = login.elements.token.value.trim();
    const said = document.getElementById('login-error');
    const headers = { Authorization: `Bearer ${sent}` };
    const answer = await fetch('/api/v1/me', { headers, cache: 'no-store' }).catch(() => null);
    if (!answer?.ok) {
      said.textContent = answer ? 'This server does not know that token.' : 'The server does not answer.';
      return;
    }
    sessionStorage.setItem(TOKEN, sent);
    if (login.elements.stay.checked) localStorage.setItem(TOKEN, sent);
    back();
  });
}

// -- Dialogs: a question before something is hit

// True for yes. The way back has the focus, and Escape is no.
function confirmed(title, text, yes, no = 'Keep') {
  const box = document.createElement('dialog');
  const made = (name, words, to = box) => {
    const node = document.createElement(name);
    node.textContent = words;
    to.append(node);
    return node;
  };
  const head = made('h2', title);
  head.id = 'dialog-title';
  box.setAttribute('aria-labelledby', head.id);
  box.dataset.own = '';
  made('p', text);
  const row = made('p', '');
  row.className = 'answers';
  const back = made('button', no, row);
  const go = made('button', yes, row);
  go.className = 'danger';
  back.autofocus = true;
  document.body.append(box);
  return new Promise((done) => {
    back.addEventListener('click', () => box.close());
    go.addEventListener('click', () => box.close('yes'));
    box.addEventListener('close', () => {
      box.remove();
      done(box.returnValue === 'yes');
    });
    box.showModal();
  });
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
  const holder = document.createElement('template');
  holder.innerHTML = policy.createHTML(html);
  const fresh = holder.content.firstElementChild;
  const old = fresh && document.getElementById(fresh.id);
  if (!old) return;
  local(fresh);
  patch(old, fresh);
  if (fresh.id === 'main') {
    document.title = fresh.dataset.title;
    for (const name of ['host', 'who']) {
      document.getElementById(name).textContent = fresh.dataset[name];
    }
  }
  tick();
}

// -- times: what only time changes is counted here

function ran(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return `${d}-${two(h)}:${two(m)}`;
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

function ago(seconds) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']];
  const [unit, name] = units.find(([unit]) => seconds >= unit) ?? [1, 's'];
  return seconds < 5 ? 'now' : `${Math.floor(seconds / unit)} ${name} ago`;
}

// The server's clock may differ from this one; what it drew is as of its own.
function tick() {
  const now = Date.now();
  for (const one of document.querySelectorAll('[data-since]')) {
    const since = Date.parse(one.dataset.since);
    if (Number.isNaN(since)) continue;
    const seconds = (now - since) / 1000;
    if (one.nodeName === 'PROGRESS') one.value = Math.min(one.max, Math.max(0, seconds));
    else one.textContent = ran(seconds);
  }
  for (const one of document.querySelectorAll('time[data-ago]')) {
    one.textContent = ago((now - Date.parse(one.dateTime)) / 1000);
  }
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });

// Clocks in the reader's own zone, which stands in the title.
function local(root) {
  for (const one of root.querySelectorAll('time[datetime]')) {
    const at = new Date(one.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    one.title = full.format(at);
    if (one.hasAttribute('data-ago')) continue;
    const isToday = at.toDateString() === new Date().toDateString();
    one.textContent = isToday ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`;
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
  const view = encodeURIComponent(document.body.dataset.view);
  const frame = document.body.hasAttribute('data-frame') ? '&frame=true' : '';
  const answer = await ask(`/live?view=${view}${frame}`, { signal });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    if (document.body.hasAttribute('data-frame') && [400, 403, 404].includes(answer.status)) noPage(problem);
    throw new Error(problem.detail ?? answer.statusText);
  }
  say('Live');
  tries = 0;
  await events(answer, (name, data) => {
    if (name === 'problem') throw new Error(data);
    if (name !== 'region') return;
    seen = new Date();
    show(data);
    document.body.removeAttribute('data-frame');
    begin();
  });
}

// A frame that there is nothing for says why.
function noPage({ title, detail, request_id: number }) {
  document.body.toggleAttribute('data-still', true);
  document.body.removeAttribute('data-frame');
  const main = document.getElementById('main');
  const tags = [['h1', title], ['p', detail], ['small', `Request ${number}`]];
  main.replaceChildren(...tags.map(([tag, words]) => {
    const node = document.createElement(tag);
    node.textContent = words ?? '';
    return node;
  }));
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

async function follow() {
  while (!document.hidden && !document.body.hasAttribute('data-still')) {
    reading = new AbortController();
    let why = '';
    try {
      await read(reading.signal);
    } catch (error) {
      if (reading.signal.aborted) return;
      why = error.message;
    }
    if (document.body.hasAttribute('data-still')) return;
    const asOf = seen ? `, as of ${seen.toLocaleTimeString([], { hour12: false })}` : '';
    say(`Reconnecting${asOf}`, why);
    const wait = WAITS[Math.min(tries, WAITS.length - 1)];
    tries += 1;
    await new Promise((go) => setTimeout(go, wait * 1000 * (0.75 + Math.random() / 2)));
  }
}

// A browser has six connections for a host: a page that nobody sees gives its own back.
document.addEventListener('visibilitychange', () => {
  reading?.abort();
  if (!document.hidden) follow();
});

// -- theme

const THEME = 'downbeat-theme';
const root = document.documentElement;
function theme(name) {
  if (name) root.dataset.theme = name;
}
theme(localStorage.getItem(THEME));
document.getElementById('theme').addEventListener('click', () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  theme(dark ? 'light' : 'dark');
  localStorage.setItem(THEME, root.dataset.theme);
});

// -- output of a job: text only, one flush a frame, so many lines kept

const LINES_KEPT = 5000;
const TAIL = 1000;
const LINE_MAX = 65536;
const DOWNLOAD_MAX = 64 * 1024 * 1024;

const SGR = /\x1b\[([\d;]*)m/g;
const OTHER_ESCAPES = /\x1b(?:\[[\d;?]*[A-Za-ln-z]|\][^\x07]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cDEHM])/g;
const UNSEEN = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

// One line: the last of what was written over it, its colours as classes.
function lineOf(text) {
  const line = document.createElement('code');
  const shown = text.replace(/\r+$/, '').replace(OTHER_ESCAPES, '');
  const last = shown.slice(shown.lastIndexOf('\r') + 1);
  let classes = [];
  let at = 0;
  const add = (piece) => {
    const plain = piece.replace(UNSEEN, '');
    if (!plain) return;
    if (!classes.length) return line.append(plain);
    const span = document.createElement('span');
    span.className = classes.join(' ');
    span.textContent = plain;
    line.append(span);
  };
  for (const found of last.matchAll(SGR)) {
    add(last.slice(at, found.index));
    at = found.index + found[0].length;
    for (const code of found[1].split(';').map(Number)) {
      if (code === 0) classes = [];
      else if (code === 1) classes.push('sgr-bold');
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
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
    this.note = document.getElementById('log-note');
    this.box = document.getElementById('log-follow');
    this.open('stdout');
    pane.addEventListener('scroll', () => this.scrolled());
    this.box.addEventListener('change', () => this.toEnd());
    this.note.addEventListener('click', () => { this.box.checked = true; this.toEnd(); });
    document.getElementById('log-download').addEventListener('click', () => this.download());
    const find = document.getElementById('log-find');
    find.addEventListener('keydown', (key) => {
      if (key.key === 'Enter') this.find(find.value, key.shiftKey);
    });
    for (const tab of document.querySelectorAll('[data-stream]')) {
      tab.addEventListener('click', () => {
        for (const one of document.querySelectorAll('[data-stream]')) {
          one.setAttribute('aria-selected', String(one === tab));
        }
        this.open(tab.dataset.stream);
      });
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
    this.unseen = 0;
    this.last = null;
    this.pane.replaceChildren();
    this.pane.classList.add('unnumbered');
  }

  async follow() {
    const reader = new AbortController();
    this.reader = reader;
    this.over = false;
    while (!this.over && !reader.signal.aborted) {
      try {
        await this.read(reader.signal);
      } catch (error) {
        if (reader.signal.aborted) return;
        this.say(error.message);
        if (error.final) return;
      }
      if (this.over) return;
      const wait = WAITS[Math.min(this.tries, WAITS.length - 1)];
      this.tries += 1;
      await new Promise((go) => setTimeout(go, wait * 1000));
    }
  }

  async read(signal) {
    const from = this.offset === null ? `tail=${TAIL}&` : '';
    const headers = { Accept: 'text/event-stream' };
    if (this.offset !== null) headers['Last-Event-ID'] = String(this.offset);
    const path = `/api/v1/jobs/${this.job}/${this.stream}?${from}follow=true&encoding=base64`;
    const answer = await ask(path, { signal, headers });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      const error = new Error(problem.detail ?? answer.statusText);
      error.final = answer.status < 500 && answer.status !== 429;
      throw error;
    }
    this.tries = 0;
    this.say('');
    await events(answer, (name, data, id) => this.event(name, data, id));
  }

  event(name, data, id) {
    if (name === 'end') {
      this.over = true;
      return;
    }
    if (name === 'problem') throw new Error(data);
    if (name === 'anew') {
      this.clear();
      this.offset = 0;
      return;
    }
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    if (this.offset === null && Number(id) === bytes.length) this.pane.classList.remove('unnumbered');
    this.offset = Number(id);
    this.text += this.decoder.decode(bytes, { stream: true });
    this.frame ??= requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.frame = null;
    const atEnd = this.isAtEnd();
    let lines = this.text.split('\n');
    this.text = lines.pop();
    if (this.text.length > LINE_MAX) {
      lines.push(this.text);
      this.text = '';
    }
    const fresh = lines.length;
    if (lines.length > LINES_KEPT) {
      lines = lines.slice(-LINES_KEPT);
      this.pane.replaceChildren();
      this.last = null;
      this.pane.classList.add('unnumbered');
    }
    const more = document.createDocumentFragment();
    for (const line of lines) more.append(lineOf(line));
    this.last?.remove();
    this.last = this.text ? lineOf(this.text) : null;
    if (this.last) more.append(this.last);
    this.pane.append(more);
    const beyond = this.pane.childElementCount - LINES_KEPT;
    if (beyond > 0) {
      this.pane.classList.add('unnumbered');
      const range = document.createRange();
      range.setStartBefore(this.pane.firstChild);
      range.setEndAfter(this.pane.children[beyond - 1]);
      range.deleteContents();
    }
    if (this.box.checked && (atEnd || this.unseen === 0)) this.toEnd();
    else {
      this.unseen += fresh;
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
    const order = back
      ? [...lines.slice(0, from).reverse(), ...lines.slice(from).reverse()]
      : [...lines.slice(from + 1), ...lines.slice(0, from + 1)];
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
      const link = document.createElement('a');
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
  }
}

// -- the form of a job: what the server says of it, as it is written

const SETTLED_MS = 400;
const DRAFT = 'downbeat-draft:';
const FLAGS = {
  name: 'job-name', cpus: 'cpus', gpus: 'gpus', memory: 'mem', time_limit: 'time', partition: 'partition',
  account: 'account', working_directory: 'chdir', array: 'array', dependency: 'dependency',
  begin_time: 'begin', retry: 'retry',
};
const SIZES = [[2 ** 40, 'T'], [2 ** 30, 'G'], [2 ** 20, 'M'], [2 ** 10, 'K'], [1, 'B']];
const SPANS = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']];
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
  .map((byte) => byte.toString(16).padStart(2, '0')).join('');

// One paragraph of words and links.
function paragraph(...parts) {
  const node = document.createElement('p');
  node.append(...parts);
  return node;
}

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
    this.restore();
    for (const button of form.querySelectorAll('button')) button.disabled = false;
    form.addEventListener('input', () => this.changed());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send(event.submitter?.name === 'held');
    });
    form.addEventListener('keydown', (key) => {
      if (key.key !== 'Enter' || !(key.ctrlKey || key.metaKey)) return;
      key.preventDefault();
      this.send(false);
    });
    const start = document.getElementById('start-from');
    document.getElementById('start-go').hidden = true;
    start.addEventListener('change', () => start.form.requestSubmit());
    document.getElementById('copy').addEventListener('click', () => this.copy());
    this.command();
    this.look();
  }

  field(name) {
    return this.form.elements[name];
  }

  names() {
    return ['script', ...Object.keys(FLAGS)];
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
    for (const name of Object.keys(FLAGS)) {
      const said = this.field(name).value.trim();
      if (!said) continue;
      const whole = /^\d{1,9}$/.test(said) ? Number(said) : said;
      if (name === 'retry') body.retry = { max: whole };
      else body[name] = name === 'cpus' || name === 'gpus' ? whole : said;
    }
    if (held) body.held = true;
    return JSON.stringify(body);
  }

  command() {
    const flags = Object.entries(FLAGS).map(([name, flag]) => [flag, this.field(name).value.trim()]);
    const said = flags.filter(([, value]) => value).map(([flag, value]) => `--${flag} ${quoted(value)}`);
    const labels = Object.entries(this.also.labels ?? {})
      .map(([key, value]) => `--label ${quoted(`${key}=${value}`)}`);
    const comment = this.also.comment ? [`--comment ${quoted(this.also.comment)}`] : [];
    const script = ['job.sh', ...(this.also.args ?? []).map(quoted)].join(' ');
    const all = ['downbeat submit', ...said, ...labels, ...comment, script];
    let line = 0;
    document.getElementById('command').textContent = all.reduce((text, part) => {
      const fits = line + part.length < 50;
      line = (fits ? line : 0) + part.length + 1;
      return text + (fits ? ' ' : ' \\\n  ') + part;
    });
  }

  async copy() {
    const command = document.getElementById('command');
    getSelection().selectAllChildren(command);
    // The clipboard is there only over TLS or from this machine.
    if (navigator.clipboard) await navigator.clipboard.writeText(command.textContent);
    else document.execCommand('copy');
    document.getElementById('copy').textContent = 'Copied';
  }

  post(query, text, options = {}) {
    const headers = { 'Content-Type': 'application/json', ...options.headers };
    return ask(`/api/v1/jobs${query}`, { method: 'POST', body: text, ...options, headers });
  }

  // What would become of it. Nothing is stored.
  async look() {
    const looking = new AbortController();
    this.looking = looking;
    try {
      const answer = await this.post('?dry_run=true', this.body(false), { signal: looking.signal });
      if (!answer.ok) return this.refused('Not accepted yet.', await refusal(answer));
      const job = await answer.json();
      if (looking.signal.aborted) return;
      this.faults([]);
      this.would(job);
    } catch (error) {
      if (!looking.signal.aborted) this.verdict(paragraph('The server does not answer.'), paragraph(error.message));
    }
  }

  would(job) {
    const start = Date.parse(job.estimated_start_time ?? '');
    const isNow = start - Date.parse(job.submit_time) < 1000;
    const when = document.createElement('time');
    when.dateTime = job.estimated_start_time ?? '';
    const head = Number.isNaN(start) ? ['Accepted.'] : isNow ? ['Starts at once.'] : ['Starts by ', when, '.'];
    const gpus = Object.entries(job.resources).map(([name, n]) => `${n} ${name === 'gpu' ? 'GPU' : name}`);
    const memory = job.memory_bytes === null ? [] : [exact(job.memory_bytes, SIZES)];
    const limit = job.time_limit_s === null ? 'no time limit' : exact(job.time_limit_s, SPANS);
    const asks = [`${job.cpus} CPU`, ...gpus, ...memory, limit].join(' · ');
    const why = `It ${job.state_detail}`.replace(/^It (?=[A-Z])/, '');
    this.verdict(paragraph(...head), ...(job.state_detail ? [paragraph(why)] : []), paragraph(`Asks for ${asks}.`));
    local(document.getElementById('verdict'));
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
  }

  warn(warnings) {
    const notes = warnings.map((words) => paragraph(words.replace(/^line/, 'Line')));
    for (const note of notes) note.className = 'note';
    document.getElementById('warnings').replaceChildren(...notes);
  }

  verdict(...parts) {
    document.getElementById('verdict').replaceChildren(...parts);
  }

  refused(head, { words, errors, number }) {
    const said = errors.map(({ field, message }) => {
      const name = field.split('.')[0];
      const input = this.names().includes(name) && this.field(name);
      if (!input) return paragraph(`${field}: ${message}`);
      const link = document.createElement('a');
      link.href = `#${input.id}`;
      link.textContent = input.closest('label').firstChild.data.trim();
      return paragraph(link, ` ${message}`);
    });
    const id = document.createElement('small');
    id.textContent = number;
    this.verdict(paragraph(head), ...(said.length ? said : [paragraph(words)]), id);
    this.warn([]);
    return this.faults(errors);
  }

  // Faults beside their fields; the first field that has one.
  faults(errors) {
    let first = null;
    for (const name of this.names()) {
      const own = errors.filter(({ field }) => field.split('.')[0] === name);
      const [input, place] = [this.field(name), document.getElementById(`e-${name}`)];
      place.textContent = own.map(({ message }) => message).join('; ');
      if (own.length) {
        input.setAttribute('aria-invalid', 'true');
        input.setAttribute('aria-describedby', place.id);
        first ??= input;
      } else {
        input.removeAttribute('aria-invalid');
        input.removeAttribute('aria-describedby');
      }
    }
    return first;
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
      const answer = await this.post('', this.body(held), { headers });
      if (answer.ok) {
        const job = await answer.json();
        sessionStorage.removeItem(this.draft);
        location.assign(`/jobs/${job.array_job_id ?? job.id}`);
        return;
      }
      this.refused('Nothing was submitted.', await refusal(answer))?.focus();
    } catch (error) {
      const again = 'Whether it was submitted is not known. Submit once more: it is stored once.';
      this.verdict(paragraph('The server does not answer.'), paragraph(error.message), paragraph(again));
    }
    this.sending = false;
  }
}

// -- administration: each change is asked for first, and shown when the stream shows it

const COUNT = (n, what) => `${Number(n).toLocaleString('en')} ${what}${Number(n) === 1 ? '' : 's'}`;

// Tells the server; what it refuses is said, with the number of the request.
async function tell(method, path, body) {
  const said = document.getElementById('deed-said');
  said.hidden = true;
  try {
    const options = { method };
    if (body) Object.assign(options, { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
    const answer = await ask(path, options);
    if (answer.ok) return null;
    const refused = await refusal(answer);
    said.textContent = `${refused.words} (${refused.number})`;
    said.hidden = false;
    return refused;
  } catch (error) {
    said.textContent = `The server does not answer: ${error.message}`;
    said.hidden = false;
    return { errors: [] };
  }
}

const DEEDS = {
  async drain({ running, waiting }) {
    const text = `Nothing starts until somebody resumes: ${COUNT(waiting, 'job')} will wait. `
      + `${COUNT(running, 'job')} that run will run on.`;
    if (await confirmed('Drain this machine?', text, 'Drain', 'Do not')) tell('POST', '/api/v1/maintenance', {});
  },
  async resume({ waiting }) {
    const text = `Maintenance that has begun ends. ${COUNT(waiting, 'job')} that wait may start.`;
    if (await confirmed('Resume?', text, 'Resume', 'Stay drained')) tell('DELETE', '/api/v1/maintenance');
  },
  async remove({ waiting }, { window: id, when }) {
    const text = `${when}. ${COUNT(waiting, 'job')} that wait may start where they would have reached into it.`;
    if (await confirmed('Take this maintenance back?', text, 'Remove', 'Keep')) {
      tell('DELETE', `/api/v1/maintenance/${id}`);
    }
  },
  plan() {
    const box = document.getElementById('plan');
    const form = box.querySelector('form');
    const fields = ['start_time', 'end_time', 'reason'];
    form.onsubmit = async (event) => {
      event.preventDefault();
      const body = {};
      for (const name of fields) {
        const value = form.elements[name].value;
        if (value) body[name] = name === 'reason' ? value : new Date(value).toISOString();
        document.getElementById(`p-${name}`).textContent = '';
      }
      const missing = fields.slice(0, 2).find((name) => !body[name]);
      if (missing) {
        document.getElementById(`p-${missing}`).textContent = 'say when';
        return form.elements[missing].focus();
      }
      const refused = await tell('POST', '/api/v1/maintenance', body);
      if (!refused) return box.close();
      for (const { field, message } of refused.errors) {
        const place = document.getElementById(`p-${field}`);
        if (place) place.textContent = message;
      }
    };
    form.querySelector('[value=no]').onclick = () => box.close();
    box.showModal();
  },
  logout() {
    sessionStorage.removeItem(TOKEN);
    localStorage.removeItem(TOKEN);
    location.assign('/login');
  },
};

document.addEventListener('click', ({ target }) => {
  const button = target.closest?.('[data-do]');
  if (button) DEEDS[button.dataset.do](document.getElementById('about')?.dataset ?? {}, button.dataset);
});

let jobForm = null;
let output = null;
function begin() {
  const pane = document.getElementById('log');
  if (pane && !output) output = new Output(pane);
  const form = document.getElementById('job-form');
  if (form && !jobForm) jobForm = new JobForm(form);
  document.getElementById('logout')?.toggleAttribute('hidden', !token());
}

// -- keys, never inside of a field

let prefix = false;
const PAGES = { o: '/', j: '/jobs', s: '/submit', a: '/admin' };
document.addEventListener('keydown', (key) => {
  const inField = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.nodeName ?? '');
  if (inField || key.ctrlKey || key.metaKey || key.altKey) return;
  if (prefix && PAGES[key.key]) location.assign(PAGES[key.key]);
  prefix = key.key === 'g';
  if (key.key === '/') {
    key.preventDefault();
    document.querySelector('.find input')?.focus();
  } else if (key.key === 't') document.getElementById('theme').click();
  else if (key.key === 'f') document.getElementById('log-follow')?.click();
});

local(document);
begin();
setInterval(tick, 1000);
tick();
if (!login) follow();
