// The status page is whole without this. With it, the page follows the daemon: whenever something happens it is fetched
// anew, and what has changed is carried over into what is there, so that nobody loses his place.

/** Milliseconds between two updates. */
const PAUSE = 500;
/** Ages grow though nothing happens; and a stream can be dead without saying so. */
const REPEAT = 30_000;
/** After a failure. */
const RETRY = 3_000;
const PATIENCE = 10_000;

/** What is carried over. */
const PARTS = ["title", "#readiness", "#as-of", "main"];

const calm = matchMedia("(prefers-reduced-motion: reduce)");

let connected = false;
let failed = false;
let wanted = false;
let busy = false;
let timer;
let last = 0;

follow();
setInterval(update, REPEAT);
document.addEventListener("visibilitychange", () => wanted && update());

function follow() {
  const events = new EventSource("v1/events");
  events.onopen = () => {
    connected = true;
    say();
    // Something may have happened before, or while the stream was away.
    update();
  };
  events.onerror = () => {
    connected = false;
    say();
    // The browser itself tries again, unless it was answered that there is no stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, RETRY);
  };
  for (const type of ["look-up", "node", "status"]) events.addEventListener(type, update);
}

/** Tells in the header whether the page follows. */
function say() {
  const live = connected && !failed;
  const word = live ? "live" : "connection lost, trying again; as of";
  document.getElementById("live").className = live ? "live" : "lost";
  // Set only when it is new: it is read out.
  const place = document.getElementById("live-word");
  if (place.textContent !== word) place.textContent = word;
}

/** Never two at once, and none that nobody sees. */
function update() {
  wanted = true;
  if (timer !== undefined || busy || document.hidden) return;
  timer = setTimeout(fetchPage, Math.max(0, last + PAUSE - performance.now()));
}

async function fetchPage() {
  timer = undefined;
  busy = true;
  wanted = false;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(location.pathname, { cache: "no-store", signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
    failed = false;
  } catch {
    failed = true;
    setTimeout(update, RETRY);
  } finally {
    busy = false;
    last = performance.now();
    say();
    if (wanted) update();
  }
}

function show(page) {
  // Another release of the daemon: its page needs its own style and script.
  if (page.documentElement.dataset.version !== document.documentElement.dataset.version) return location.reload();
  for (const part of PARTS) carryOver(document.querySelector(part), page.querySelector(part));
}

/** Makes `old` like `fresh` and leaves alone what is the same: focus, selection, scrolling and what is open stay. */
function carryOver(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  carryAttributes(old, fresh);
  const known = new Map();
  for (const child of old.children) if (keyOf(child)) known.set(keyOf(child), child);
  const staying = new Set(Array.from(fresh.children, keyOf));
  // First, so that what stays need not be moved: moving takes the focus away.
  for (const [key, child] of known) if (!staying.has(key)) child.remove();

  let place = old.firstChild;
  for (const child of Array.from(fresh.childNodes)) {
    const key = keyOf(child);
    const match = key ? known.get(key) : isAlike(place, child) ? place : undefined;
    known.delete(key);
    if (match === undefined) {
      old.insertBefore(child, place);
      if (key) flash(child);
      continue;
    }
    // What is nobody's between here and there goes, rather than that the match is moved.
    if (key) while (place && place !== match && !keyOf(place)) place = without(place);
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    carryOver(match, child);
  }
  while (place) place = without(place);
}

/** @returns what stood behind it */
function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function carryAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of Array.from(old.attributes)) {
    // Whether details are open is up to who reads them.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

/** By it a part is known again; the others are known by their place. */
function keyOf(node) {
  return node.id || node.dataset?.key;
}

function isAlike(old, fresh) {
  return old?.nodeName === fresh.nodeName && !keyOf(old);
}

/** Shows what has come. */
function flash(element) {
  if (!calm.matches)
    element.animate([{ backgroundColor: "var(--fresh)" }, {}], { duration: 2_000, easing: "ease-out" });
}
