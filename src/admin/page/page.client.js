// The status page is complete without this script. With it, the page is fetched again whenever something happens, and only
// what has changed is replaced, so that focus, selection and scroll position stay.

/** Milliseconds between two updates. */
const PAUSE = 500;
/** Milliseconds without an event: ages grow, and a stream can be dead without an error. */
const REPEAT = 30_000;
/** Milliseconds after a failure. */
const RETRY = 3_000;
const FETCH_TIMEOUT = 10_000;

/** The parts that are updated. */
const PARTS = ["title", "#readiness", "#as-of", "main"];

const calm = matchMedia("(prefers-reduced-motion: reduce)");

let connected = false;
let failed = false;
let wanted = false;
let busy = false;
let timer;
let last = 0;

follow();
search();
setInterval(update, REPEAT);
document.addEventListener("visibilitychange", () => wanted && update());

function follow() {
  const events = new EventSource("v1/events");
  events.onopen = () => {
    connected = true;
    say();
    // Something may have happened before the stream was open.
    update();
  };
  events.onerror = () => {
    connected = false;
    say();
    // The browser connects again by itself, but not after an HTTP error.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, RETRY);
  };
  for (const type of ["look-up", "node", "status"]) events.addEventListener(type, update);
}

/** Searches while the user types, without leaving the page: the address has the search, and the next update shows it. */
function search() {
  const main = document.querySelector("main");
  main.addEventListener("input", ({ target }) => searchFor(new FormData(target.form)));
  main.addEventListener("submit", (event) => {
    event.preventDefault();
    searchFor(new FormData(event.target));
  });
  main.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const query = new URLSearchParams(link.search);
    const box = document.querySelector("#search input[type=search]");
    // Links of the form keep what is being typed; others say what is to be searched for.
    if (link.closest("#search")) query.set("q", box.value);
    else if (box) box.value = query.get("q");
    searchFor(query);
    if (link.hash) document.querySelector(link.hash)?.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
  });
}

/** @param query `q`, `show` */
function searchFor(query) {
  const written = Array.from(query).filter(([, value]) => value !== "");
  const search = written.length === 0 ? "" : `?${new URLSearchParams(written)}`;
  history.replaceState(null, "", location.pathname + search);
  update();
}

/** Shows in the header whether the page is live. */
function say() {
  const live = connected && !failed;
  document.documentElement.classList.toggle("stale", !live);
  const word = live ? "live" : "connection lost, trying again; as of";
  document.getElementById("live").className = live ? "live" : "lost";
  // Set only when it differs: screen readers announce it.
  const place = document.getElementById("live-word");
  if (place.textContent !== word) place.textContent = word;
}

/** One update at a time, and none while the page is hidden. */
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
    const signal = AbortSignal.timeout(FETCH_TIMEOUT);
    const response = await fetch(location.pathname + location.search, { cache: "no-store", signal });
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
  // The daemon has another version: its page needs its own style and script.
  if (page.documentElement.dataset.version !== document.documentElement.dataset.version) return location.reload();
  for (const part of PARTS) carryOver(document.querySelector(part), page.querySelector(part));
}

/** Makes `old` like `fresh`. Equal parts are not touched, so focus, selection, scroll position and open details stay. */
function carryOver(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  carryAttributes(old, fresh);
  const known = new Map();
  for (const child of old.children) if (keyOf(child)) known.set(keyOf(child), child);
  const staying = new Set(Array.from(fresh.children, keyOf));
  // Removed first, so that the others need not be moved: an element that is moved loses the focus.
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
    // Elements without a key before the match are removed, so that the match is not moved.
    if (key) while (place && place !== match && !keyOf(place)) place = without(place);
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    carryOver(match, child);
  }
  while (place) place = without(place);
}

/** @returns the next sibling */
function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function carryAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of Array.from(old.attributes)) {
    // The reader decides whether details are open.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

/** Identifies an element between two pages; elements without a key are matched by their place. */
function keyOf(node) {
  return node.id || node.dataset?.key;
}

function isAlike(old, fresh) {
  return old?.nodeName === fresh.nodeName && !keyOf(old);
}

/** Marks a new element for a moment. */
function flash(element) {
  if (!calm.matches)
    element.animate([{ backgroundColor: "var(--fresh)" }, {}], { duration: 2_000, easing: "ease-out" });
}
