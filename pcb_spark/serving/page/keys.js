// The list of keys, as this plant has set them.

import { ask } from "./service.js";
import { DECIDING, LOOKING, keyName } from "./actions.js";

function row(table, key, ...texts) {
  const made = document.querySelector(`#${table} tbody`).insertRow();
  const shown = document.createElement("kbd");
  shown.textContent = keyName(key);
  made.insertCell().append(shown);
  for (const text of texts) made.insertCell().textContent = text;
}

try {
  const { keys, kinds } = await ask("GET", "/v1/review/setup");
  for (const { name, label, verdict, state } of DECIDING) row("deciding", keys[name], label, verdict ?? "none yet", state);
  kinds.forEach((kind, index) => row("kinds", String(index + 1), kind));
  for (const { name, label } of LOOKING) row("looking", keys[name], label);
  row("looking", keys.help, "This list");
} catch (error) {
  document.querySelector("#state").textContent = `${error.message}: go to Review and log in.`;
}
