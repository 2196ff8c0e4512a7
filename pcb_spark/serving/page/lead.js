// The lead's page: figures of the shift as a whole, asked for again every minute.

import { ask } from "./service.js";
import { DECIDING } from "./actions.js";

const $ = (selector) => document.querySelector(selector);
const A_SHIFT = 8 * 3600_000;
const AGAIN = 60_000;

function local(moment) {
  const shifted = new Date(moment - moment.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

function age(text) {
  if (text === null) return "–";
  const hours = (Date.now() - new Date(text)) / 3600_000;
  return hours < 48 ? `${Math.max(0, hours).toFixed(1)} h` : `${Math.round(hours / 24)} days`;
}

function share(part, whole) {
  if (whole === null) return "not told of one person";
  return whole ? `${part} of ${whole}` : "none shown";
}

function figures(found) {
  const said = DECIDING.filter(({ state }) => found.decided[state])
    .map(({ label, state }) => [label, found.decided[state]]);
  const rows = [
    ["Waiting", found.waiting],
    ["of these for a second opinion", found.second_opinions],
    ["Oldest image waits since", age(found.oldest)],
    ...said,
    ["True defects the model had cleared", found.slips],
    ["Known defects found", share(found.known_caught, found.known_shown)],
  ];
  $("#figures").replaceChildren(...rows.map(([name, value]) => {
    const box = document.createElement("div");
    const term = document.createElement("dt");
    const told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value;
    box.append(term, told);
    return box;
  }));
}

function chart(table, bars) {
  const most = Math.max(1, ...bars.map(({ fail, passed }) => fail + passed));
  table.replaceChildren();
  table.parentElement.hidden = !bars.length;
  const head = table.createTHead().insertRow();
  for (const name of ["", "True defects", "False calls", ""]) {
    const cell = document.createElement(name ? "th" : "td");
    if (name) cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const { name, fail, passed } of bars) {
    const row = body.insertRow();
    const cell = document.createElement("th");
    cell.scope = "row";
    cell.textContent = name;
    row.append(cell);
    for (const count of [fail, passed]) {
      const number = row.insertCell();
      number.className = "number";
      number.textContent = count;
    }
    row.insertCell().append(bar(fail / most, passed / most));
  }
}

function bar(fail, passed) {
  const made = document.createElement("span");
  made.className = "bar";
  made.setAttribute("aria-hidden", "true");
  const parts = [["i", fail], ["b", passed]].map(([tag, width]) => {
    const part = document.createElement(tag);
    part.style.width = `${100 * width}%`;
    return part;
  });
  made.append(...parts);
  return made;
}

async function refresh() {
  const since = new Date($("#since").value).toISOString();
  $("#csv").href = `/v1/shift/verdicts.csv?since=${encodeURIComponent(since)}`;
  try {
    const found = await ask("GET", `/v1/shift?since=${encodeURIComponent(since)}`);
    figures(found);
    for (const name of ["positions", "part_numbers", "kinds"]) chart($(`#${name}`), found[name]);
    $("#state").textContent = "";
  } catch (error) {
    $("#state").textContent = `${error.message}.`;
  }
}

// --- groups, of which a plant has to ask for figures

function groupRow(body, { name, fail, passed, unsure }) {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  if (fail === null) {
    const cell = row.insertCell();
    cell.colSpan = 3;
    cell.textContent = "fewer than five people";
    return;
  }
  for (const count of [fail, passed, unsure]) {
    const cell = row.insertCell();
    cell.className = "number";
    cell.textContent = count;
  }
}

async function showGroups() {
  const { groups, wanted, differ, twice, since, until } = await ask("GET", "/v1/groups");
  $("#of-groups").hidden = !groups.length && !wanted;
  $("#period").textContent = `Of whole days, ${since.slice(0, 10)} until before ${until.slice(0, 10)}.`;
  const table = $("#groups");
  table.hidden = !groups.length;
  const head = table.createTHead().insertRow();
  for (const name of ["Group", "True defects", "False calls", "Unsure"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const group of groups) groupRow(body, group);
  $("#disagreements").hidden = !wanted;
  $("#disagreements").textContent = differ === null
    ? "Disagreements are told once five people have decided images that others decided, too."
    : `Two people disagreed on ${differ} of ${twice} images that two decided.`;
}

// --- the brake

function called(line) { return line === null ? "all lines" : `line ${line}`; }

async function showBrake() {
  const { lines, stopped } = await ask("GET", "/v1/clearing");
  const chosen = $("#line").value;
  $("#line").replaceChildren(new Option("all lines", ""), ...lines.map((line) => new Option(line, line)));
  $("#line").value = chosen;
  $("#stopped").textContent = stopped.length
    ? stopped.map(({ line, why, said_at }) => `Nothing is cleared of ${called(line)} since ${said_at.slice(0, 16)}: ${why}.`).join(" ")
    : "Clearing isn't stopped here.";
}

$("#brake").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("POST", "/v1/clearing", {
      action: event.submitter.value, line: $("#line").value || null, why: $("#why").value,
    });
    $("#why").value = "";
    await showBrake();
    $("#state").textContent = "It holds from the next decision on.";
  } catch (error) {
    $("#state").textContent = `${error.message}.`;
  }
});

$("#since").value = local(new Date(Date.now() - A_SHIFT));
$("#since").addEventListener("change", refresh);
$("#since-form").addEventListener("submit", (event) => event.preventDefault());
setInterval(refresh, AGAIN);
await refresh();
for (const part of [showGroups, showBrake]) {
  await part().catch((error) => { $("#state").textContent = `${error.message}.`; });
}
document.body.dataset.ready = "true";
