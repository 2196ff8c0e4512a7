// What keys and buttons do, and what they are called. The states are those of IPC-CFX.

export const DECIDING = [
  { name: "pass", label: "False call", state: "DefectRejected", verdict: "pass" },
  { name: "fail", label: "True defect", state: "DefectConfirmed", verdict: "fail" },
  { name: "unsure", label: "Unsure: second opinion", state: "Unsure" },
  { name: "attention", label: "False call, look at the process", state: "DefectAccepted", verdict: "pass" },
  { name: "repaired", label: "Repaired", state: "DefectRepaired", verdict: "fail" },
  { name: "closed", label: "Closed", state: "DefectClosed", verdict: "fail" },
  { name: "not_verified", label: "Not now", state: "NotVerifiedYet" },
];

export const LOOKING = [
  { name: "reference", label: "Reference in place", both: true },
  { name: "blink", label: "Blink" },
  { name: "heat", label: "Heat map" },
  { name: "closer", label: "Closer" },
  { name: "farther", label: "Farther" },
  { name: "whole", label: "Whole image" },
  { name: "previous", label: "Previous" },
  { name: "next", label: "Next" },
  { name: "comment", label: "Comment" },
  { name: "undo", label: "Undo" },
];

const NAMES = { " ": "Space", ArrowRight: "→", ArrowLeft: "←" };

export function keyName(key) {
  return NAMES[key] ?? key.toUpperCase();
}

// "P" and "p" are one key; "+" needs Shift on some keyboards and none on others.
export function actionOf(event, keys) {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return Object.keys(keys).find((name) => keys[name] === pressed) ?? null;
}

export function button(parent, label, key, run, classes = "") {
  const made = document.createElement("button");
  made.type = "button";
  made.className = classes;
  made.textContent = label;
  if (key) {
    const shown = document.createElement("kbd");
    shown.textContent = keyName(key);
    made.append(shown);
  }
  made.addEventListener("click", () => { run(); made.blur(); });
  parent.append(made);
  return made;
}
