// A lead makes images that were found good the references of their position, with a date and why.

import { ask } from "./service.js";

const $ = (selector) => document.querySelector(selector);

function say(text) { $("#state").textContent = text; }

function card(item) {
  const made = document.createElement("li");
  const picture = document.createElement("img");
  const text = document.createElement("p");
  const button = document.createElement("button");
  const name = [item.position, item.part_number, item.line && `line ${item.line}`].filter(Boolean).join(" · ");
  picture.src = `/v1/review/items/${item.item_id}/image`;
  picture.alt = `${name} of board ${item.board_id}`;
  picture.loading = "lazy";
  text.textContent = `${name}, board ${item.board_id}, ${item.captured_at.slice(0, 10)}`;
  button.type = "button";
  button.textContent = "Approve as golden image";
  button.setAttribute("aria-label", `Approve ${picture.alt}`);
  button.addEventListener("click", () => approve(item, name));
  made.append(picture, text, button);
  return made;
}

async function approve(item, name) {
  if (!$("#approval").reportValidity()) return;
  try {
    await ask("POST", "/v1/golden", {
      item: item.item_id, valid_from: $("#from").value, valid_until: $("#until").value || null,
      why: $("#why").value,
    });
    say(`${name} is approved. The drop gets it with "Approved ones".`);
  } catch (error) {
    say(`${error.message}.`);
  }
}

async function show(event) {
  event?.preventDefault();
  const position = $("#position").value.trim();
  try {
    const found = await ask("GET", `/v1/golden?position=${encodeURIComponent(position)}`);
    $("#candidates").replaceChildren(...found.map(card));
    say(found.length ? "" : "No image was found good yet.");
  } catch (error) {
    say(`${error.message}.`);
  }
}

$("#from").value = new Date().toISOString().slice(0, 10);
$("#filter").addEventListener("submit", show);
$("#approval").addEventListener("submit", (event) => event.preventDefault());
await show();
