// The keys, in one table: what they do, and what the help says.

import { byId, element } from "./dom.js";

// Each: keys, command, help.
export const KEYS = [
  [["a", "Enter"], "accept", "accept the caption"],
  [["e"], "edit", "edit it (Ctrl+Enter saves, Escape leaves and keeps the draft)"],
  [["r", "x"], "reject", "reject it"],
  [["ArrowDown", "ArrowRight", "j", "n"], "next", "next picture"],
  [["ArrowUp", "ArrowLeft", "k", "p"], "previous", "previous picture"],
  [["Home"], "first", "first picture"],
  [["End"], "last", "last picture"],
  [["PageDown"], "pageDown", "ten pictures on"],
  [["PageUp"], "pageUp", "ten pictures back"],
  [["u"], "unsure", "next unsure, unreviewed picture"],
  [["z"], "undo", "take the last decision back"],
  [["/"], "search", "search (Enter or Escape returns)"],
  [["f"], "refresh", "filter and order the list again"],
  [["m"], "beams", "make the next best captions"],
  [["d"], "diverse", "make different captions"],
  ["123456789".split(""), "choose", "choose one of the other captions"],
  [["l"], "looked", "where the model looked"],
  [["s"], "like", "order by likeness to this picture"],
  [["h"], "replace", "find and replace"],
  [["g"], "agreement", "how far confidence and acceptance agree"],
  [["c"], "conflicts", "show conflicts"],
  [["t"], "retry", "try again to save"],
  [["?"], "help", "this help"],
];

const COMMANDS = new Map(KEYS.flatMap(([keys, command]) => keys.map((key) => [key, command])));
const SWITCH = "capgen-review-letters";

// Calls `run(command, key)` for each shortcut; never while somebody types.
export function listen(run) {
  byId("letters").checked = localStorage.getItem(SWITCH) !== "off";
  byId("letters").addEventListener("change", (event) =>
    localStorage.setItem(SWITCH, event.target.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    const command = commandOf(event);
    if (command === undefined) return;
    event.preventDefault();
    run(command, event.key);
  });
}

function commandOf(event) {
  if (event.defaultPrevented || event.isComposing) return undefined;
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (document.querySelector("dialog[open]")) return undefined;
  if (event.target.closest("textarea, select, [contenteditable]")) return undefined;
  if (event.target.matches("input")) return undefined;
  const key = keyOf(event);
  const native = event.target.closest("button, a[href], summary");
  // A long caption that has the focus is scrolled.
  if (key.length > 1 && key !== "Enter" && event.target.id === "caption") return undefined;
  if (key.length > 1) return native && key === "Enter" ? undefined : COMMANDS.get(key);
  return byId("letters").checked ? COMMANDS.get(key) : undefined;
}

// The letter where the keyboard writes another script.
function keyOf({ key, code }) {
  if (key.length > 1) return key;
  const lower = key.toLowerCase();
  const letter = /^Key([A-Z])$/.exec(code);
  return letter && !/^[ -~]$/.test(lower) ? letter[1].toLowerCase() : lower;
}

export function fillHelp() {
  const shown = (key) => key.replace("Arrow", "");
  byId("keys").replaceChildren(...KEYS.flatMap(([keys, , help]) => [
    element("dt", {}, ...(keys.length > 4 ? [keys[0], "…", keys.at(-1)] : keys).map((key) =>
      (key === "…" ? "–" : element("kbd", {}, shown(key))))),
    element("dd", {}, help),
  ]));
}
