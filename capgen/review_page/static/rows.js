// One row of the list: thumbnail, name, caption, state.

import { element, percent, shortened, text } from "./dom.js";

const LONGEST = 26; // letters of a name, as many as a row has room for
const SETTLED = 60; // ms without scrolling before thumbnails of new rows are asked for

let waiting = new Set();
let timer = null;

// Fills an option of the list.
export function fillRow(option, row, hasDraft) {
  const thumb = option.querySelector(".thumb") ?? thumbnail(row);
  option.className = `row ${row.verdict ?? "unreviewed"} ${row.state ?? ""}`;
  option.replaceChildren(
    thumb,
    element(
      "span",
      { class: "row-text" },
      text(nameOf(row), "span", { class: "row-name" }),
      text(shortened(row.caption ?? "no caption", 200), "span", { class: "row-caption" }),
      element("span", { class: "row-state" }, stateOf(row, hasDraft)),
    ),
  );
}

// A path's end tells images apart; its beginning is often the same for all.
function nameOf({ id, path }) {
  const letters = [...(path ?? `record ${id + 1}`)];
  return letters.length > LONGEST ? `…${letters.slice(1 - LONGEST).join("")}` : letters.join("");
}

// Says in words how a record stands.
export function stateOf(row, hasDraft) {
  const parts = [row.verdict ?? "unreviewed"];
  if (row.state === "saving") parts.push("saving…");
  if (row.state === "failed") parts.push("not saved");
  if (row.state === "conflict") parts.push("conflict");
  if (row.missing) parts.push("file is gone");
  if (hasDraft) parts.push("draft");
  if (row.confidence !== null) parts.push(percent(row.confidence));
  return parts.join(" · ");
}

function thumbnail(row) {
  if (row.missing) return element("span", { class: "thumb" });
  const image = element("img", { alt: "", class: "thumb", decoding: "async" });
  image.dataset.src = `/thumb/${row.id}`;
  waiting.add(image);
  clearTimeout(timer);
  timer = setTimeout(load, SETTLED);
  return image;
}

// Rows that were scrolled past are no longer in the page, and are not asked for.
function load() {
  for (const image of waiting) if (image.isConnected) image.src = image.dataset.src;
  waiting = new Set();
}
