// The page of an operator: one item at a time, one key a verdict, the next ones loaded ahead.

import { Outbox, Refused, ask, randomId } from "./service.js";
import { Viewer } from "./viewer.js";
import { DECIDING, LOOKING, actionOf, button } from "./actions.js";

const $ = (selector) => document.querySelector(selector);
const PAGE = randomId();
const EMPTY_WAIT = 3000;

const viewer = new Viewer($("#panes"));
const outbox = new Outbox(PAGE, showUnsent, refused);
let setup = null;
let held = [];       // items of this page that wait for a verdict, each with its loaded pictures
let at = 0;          // which of them is shown
let past = [];       // what was decided here, to be taken back
let marked = new Set();
let comment = "";
let fetching = null;
let unexpected = false;  // what is shown came by itself, under the operator's fingers

function current() { return held[at]; }

function say(text) { $("#state").textContent = text; }

function showUnsent(count) {
  $("#unsent").hidden = !count;
  $("#unsent").textContent = `${count} not stored yet`;
}

// --- items

async function fill() {
  fetching ??= fetchMore().finally(() => { fetching = null; });
  return fetching;
}

async function fetchMore() {
  const waiting = outbox.unsent.map((entry) => entry.item);
  const want = Math.max(0, setup.ahead + 1 - held.length);
  const asked = new Set(held);
  const answer = await ask("POST", "/v1/review/items", {
    page: PAGE, want, held: [...held.map(({ item }) => item.item_id), ...new Set(waiting)],
  });
  const mine = new Set([...answer.held, ...waiting]);
  const lost = held.filter((each) => asked.has(each) && !mine.has(each.item.item_id));
  if (lost.length) drop(lost);
  // One that was put off and taken back again may be here, and be given once more.
  const here = new Set(held.map(({ item }) => item.item_id));
  for (const item of answer.items) if (!here.has(item.item_id)) held.push(load(item));
  countLoading();
  $("#waiting").textContent = `${answer.waiting} waiting`;
}

// Items whose lease has gone to somebody else.
function drop(lost) {
  const shown = current();
  held = held.filter((each) => !lost.includes(each));
  at = Math.max(0, held.indexOf(shown));
  if (!lost.includes(shown)) return;
  show();
  unexpected = Boolean(current());
}

function load(item) {
  const files = {};
  for (const which of ["image", "reference", "heat"]) {
    if (!item.pictures[which]) continue;
    files[which] = new Image();
    files[which].src = `/v1/review/items/${item.item_id}/${which}`;
  }
  const entry = { item, files, ready: false };
  const needed = ["image", "reference"].filter((which) => files[which]);
  entry.loading = Promise.all(needed.map((which) => files[which].decode()))
    .then(() => { entry.ready = true; countLoading(); });
  return entry;
}

// How many of the items that are held have no pictures yet.
function countLoading() {
  document.body.dataset.loading = held.filter((each) => !each.ready).length;
}

// Waits until there is an item to show.
async function more() {
  more.running ??= moreOnce().finally(() => { more.running = null; });
  return more.running;
}

async function moreOnce() {
  while (setup) {
    try {
      await outbox.send();
      if (!held.length) await fill();
      if (held.length) { show(); return; }
      say("Nothing is left. New images appear by themselves.");
    } catch (error) {
      if (error instanceof Refused && error.status === 401) { askForKey(); return; }
      say("The service doesn't answer. What you said is kept, and sent when it does.");
    }
    await new Promise((resolve) => setTimeout(resolve, EMPTY_WAIT));
  }
}

function refill() {
  fill().catch((error) => {
    if (error instanceof Refused && error.status === 401) askForKey();
    else if (held.length < 2) say("The service doesn't answer. What you said is kept, and sent when it does.");
  });
}

function show(since) {
  const entry = current();
  marked = new Set();
  comment = "";
  unexpected = false;
  closeComment();
  $("#item").hidden = !entry;
  document.body.classList.toggle("working", Boolean(entry));
  if (!entry) {
    delete document.body.dataset.item;
    $("#where").textContent = "";
    say("Loading");
    more();
    return;
  }
  const { item } = entry;
  const parts = [item.line && `line ${item.line}`, item.lot && `lot ${item.lot}`, `board ${item.board_id}`,
    item.position, item.part_number];
  $("#where").textContent = parts.filter(Boolean).join(" · ");
  $("#second").hidden = !item.second_opinion;
  for (const one of document.querySelectorAll("#kinds button")) one.setAttribute("aria-pressed", "false");
  viewer.show(item, entry.files);
  if (entry.ready) { painted(since, item); say(""); return; }
  say("Loading the images");
  entry.loading.then(() => { if (current() === entry) { painted(since, item); say(""); } })
    .catch(() => { if (current() === entry) say("The images can't be loaded."); retry(entry); });
}

function retry(entry) {
  setTimeout(() => {
    const again = load(entry.item);
    held = held.map((each) => (each === entry ? again : each));
    if (current() === again) show();
  }, EMPTY_WAIT);
}

// The time from a key to the next item on the screen stays in this browser.
function painted(since, item) {
  document.body.dataset.item = item.item_id;
  if (since === undefined) return;
  requestAnimationFrame(() => setTimeout(() => {
    performance.measure("next-item", { start: since, end: performance.now() });
  }));
}

// --- deciding

function decide(action, since) {
  const entry = current();
  if (!entry) return;
  if (unexpected) {
    unexpected = false;
    say("Nothing is decided: the image before this one went to somebody else. Press again for this one.");
    return;
  }
  if (!entry.ready) { say("Wait until image and reference are there."); return; }
  if (marked.size && action.verdict !== "fail") {
    say("A kind of defect is marked: say true defect, or unmark it.");
    return;
  }
  const said = {
    page: PAGE, entry: randomId(), item: entry.item.item_id, state: action.state,
    defects: [...marked], comment: comment || null,
  };
  past.push({ said, entry });
  held.splice(at, 1);
  at = Math.min(at, Math.max(0, held.length - 1));
  outbox.put(said);
  show(since);
  refill();
}

function undo() {
  const last = past.pop();
  if (!last) { say("There is nothing to undo."); return; }
  const { said, entry } = last;
  outbox.put({ page: PAGE, entry: randomId(), item: said.item, state: "Undo", undoes: said.entry });
  // One that was put off may have been given again since.
  held = held.filter((each) => each.item.item_id !== said.item);
  at = Math.min(at, held.length);
  // Another object: a late answer to what was asked while the verdict stood doesn't concern it.
  held.splice(at, 0, { ...entry });
  show();
  say("Taken back.");
  outbox.send().then(refill);
}

function refused(error, entry) {
  if (entry === null) { askForKey(); return; }
  if (entry.state === "Undo") drop(held.filter((each) => each.item.item_id === entry.item));
  say(`Not stored: ${error.message}.`);
}

function mark(kind, pressed) {
  if (marked.has(kind)) marked.delete(kind); else marked.add(kind);
  pressed.setAttribute("aria-pressed", String(marked.has(kind)));
}

function step(by) {
  at = Math.min(Math.max(at + by, 0), Math.max(0, held.length - 1));
  show();
}

// --- keys and buttons

const RUN = {
  undo, blink: () => viewer.blink(), heat: () => viewer.toggle("heat"),
  reference: () => viewer.toggle("reference"),
  closer: () => viewer.closer(), farther: () => viewer.farther(), whole: () => viewer.whole(),
  next: () => step(1), previous: () => step(-1), comment: openComment,
  help: () => { location.href = "keys.html"; },
};

function act(name, since) {
  const action = DECIDING.find((each) => each.name === name);
  if (action) decide(action, since); else if (current() || name === "help" || name === "undo") RUN[name]();
}

document.addEventListener("keydown", (event) => {
  if (!setup || event.target.matches("input")) return;
  const name = actionOf(event, setup.keys);
  const number = Number(event.key);
  if (number >= 1 && number <= setup.kinds.length && current()) {
    event.preventDefault();
    mark(setup.kinds[number - 1], document.querySelectorAll("#kinds button")[number - 1]);
  }
  if (name === null) return;
  event.preventDefault();
  if (!event.repeat) act(name, event.timeStamp);
});

function openComment() {
  $("#comment-form").hidden = false;
  $("#comment").value = comment;
  $("#comment").focus();
}

function closeComment() {
  $("#comment-form").hidden = true;
  $("#comment").value = "";
}

$("#comment-form").addEventListener("submit", (event) => {
  event.preventDefault();
  comment = $("#comment").value.trim();
  $("#comment-form").hidden = true;
  $("#image-pane").focus();
});

$("#comment").addEventListener("keydown", (event) => {
  if (event.key === "Escape") { closeComment(); $("#image-pane").focus(); }
});

function build() {
  const find = (name) => setup.keys[name];
  for (const group of ["#looking", "#kinds", "#deciding"]) $(group).replaceChildren();
  for (const { name, label } of LOOKING) button($("#looking"), label, find(name), () => act(name));
  setup.kinds.forEach((kind, index) => {
    const made = button($("#kinds"), kind, String(index + 1), () => mark(kind, made));
    made.setAttribute("aria-pressed", "false");
  });
  for (const { name, label, verdict } of DECIDING) {
    button($("#deciding"), label, find(name), () => act(name, performance.now()), verdict ?? "");
  }
  $("#to-lead").hidden = !setup.roles.some((role) => role === "lead" || role === "engineer");
}

// --- coming and going

function askForKey() {
  setup = null;
  $("#item").hidden = true;
  document.body.classList.remove("working");
  $("#log-in").hidden = false;
  say("Log in with your API key.");
  $("#key").focus();
}

$("#log-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("POST", "/v1/session", { key: $("#key").value });
    $("#key").value = "";
    $("#log-in").hidden = true;
    await begin();
  } catch (error) {
    say(error.message);
  }
});

$("#log-out").addEventListener("click", async () => {
  leave();
  await ask("DELETE", "/v1/session").catch(() => null);
  location.reload();
});

// What isn't stored yet stays this operator's until its lease ends.
function leave() {
  if (outbox.unsent.length) return;
  const told = new Blob([JSON.stringify({ page: PAGE })], { type: "application/json" });
  navigator.sendBeacon("/v1/review/leave", told);
}

addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

async function begin() {
  try {
    setup = await ask("GET", "/v1/review/setup");
  } catch (error) {
    if (error instanceof Refused && error.status === 401) { askForKey(); return; }
    say("The service doesn't answer.");
    setTimeout(begin, EMPTY_WAIT);
    return;
  }
  build();
  outbox.open(setup.operator);
  say("Loading");
  clearInterval(begin.renewing);
  begin.renewing = setInterval(() => { if (setup) refill(); }, setup.lease_seconds * 1000 / 3);
  await more();
}

begin();
