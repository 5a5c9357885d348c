"use strict";
const list = document.getElementById("cards");
const given = [...list.children];
const filter = document.getElementById("filter");
const kind = document.getElementById("kind");
const order = document.getElementById("order");
const records = new Map(given.map((card) => [card, JSON.parse(card.dataset.record)]));

const field = (card) => card.querySelector("textarea");
const isFailed = (card) => card.classList.contains("failed");
const isEdited = (card) => card.classList.contains("edited");
const own = (card) => records.get(card).review?.verdict ?? null;
// What was decided in this page about a card, without changing its caption: a verdict, or null
// for one that was taken back.
const marks = new Map();
const mark = (card) => marks.has(card) ? marks.get(card) : own(card);
const verdict = (card) => isEdited(card) && mark(card) !== "rejected" ? "edited" : mark(card);
const isChanged = (card) => isEdited(card) || mark(card) !== own(card);
const shown = () => [...list.children].filter((card) => !card.hidden);

function count() {
  const failed = given.filter(isFailed).length;
  const edited = given.filter(isEdited).length;
  document.getElementById("counts").textContent =
    `${given.length - failed} captioned, ${failed} failed, ${edited} edited, ` +
    `${shown().length} shown`;
  const changes = given.filter((card) => field(card) && isChanged(card)).length;
  const where = keeps ? "kept in this browser" : "lost when this page is closed: export them";
  document.getElementById("kept").textContent = changes === 0 ? "" :
    `${changes} decided here, ${where}; ${unexported.size} not exported yet`;
}

function select() {
  const wanted = filter.value.toLowerCase();
  for (const card of given) {
    const tags = card.querySelector(".tags")?.textContent ?? "";
    const text = `${records.get(card).path} ${field(card)?.value ?? card.textContent} ${tags}`;
    const kinds = { all: true, captioned: !isFailed(card), failed: isFailed(card),
      edited: isEdited(card), accepted: verdict(card) === "accepted",
      rejected: verdict(card) === "rejected", unreviewed: !isFailed(card) && !verdict(card) };
    card.hidden = !(kinds[kind.value] && text.toLowerCase().includes(wanted));
  }
  reachable(shown()[0]);
  count();
}

function sort() {
  const score = (card) => records.get(card).score ?? -Infinity;
  const cards = order.value === "score" ? [...given].sort((a, b) => score(a) - score(b)) : given;
  list.append(...cards);
  reachable(shown()[0]);
}

// One card is in the tab order at a time; arrow keys move on from there.
function reachable(card) {
  for (const other of list.querySelectorAll('.card[tabindex="0"]')) other.tabIndex = -1;
  if (card) card.tabIndex = 0;
}

function go(card) {
  if (!card) return;
  reachable(card);
  card.focus();
}

function columns(cards) {
  const top = cards[0].offsetTop;
  const next = cards.findIndex((card) => card.offsetTop !== top);
  return next < 0 ? cards.length : next;
}

function move(card, key) {
  const cards = shown();
  const place = cards.indexOf(card);
  const row = key === "ArrowUp" || key === "ArrowDown" ? columns(cards) : 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row };
  if (key === "Home") go(cards[0]);
  else if (key === "End") go(cards.at(-1));
  else go(cards[place + steps[key]]);
}

// Decisions are kept in the browser, each under the page and the image: pages of files share one
// store. One about another caption is of an earlier gallery, and is left alone.
const stored = (card) => {
  const { sha256, path } = records.get(card);
  return `capgen-gallery ${location.pathname} ${sha256 ?? ""} ${path}`;
};
const cards = new Map(given.filter(field).map((card) => [stored(card), card]));
const unexported = new Set();
let keeps = true;

function keep(card) {
  const changed = isChanged(card);
  if (changed) unexported.add(card);
  else unexported.delete(card);
  store(card, changed);
}

function store(card, changed) {
  const { caption } = records.get(card);
  const content = { original: caption, caption: field(card).value, mark: mark(card),
    exported: !unexported.has(card) };
  try {
    if (changed) localStorage.setItem(stored(card), JSON.stringify(content));
    else localStorage.removeItem(stored(card));
  } catch {
    keeps = false; // storage is switched off, or full
  }
}

function restore(card) {
  let found = null;
  try {
    found = JSON.parse(localStorage.getItem(stored(card)));
  } catch {
    keeps = false;
  }
  if (found?.original !== records.get(card).caption) return;
  field(card).value = found.caption;
  marks.set(card, found.mark);
  show(card);
  if (!found.exported) unexported.add(card);
}

function show(card) {
  const text = field(card).value;
  card.classList.toggle("edited", text !== records.get(card).caption);
  card.querySelector("img")?.setAttribute("alt", text);
  for (const button of card.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict(card)));
  }
}

function decide(card, wanted) {
  marks.set(card, mark(card) === wanted ? null : wanted);
  show(card);
  keep(card);
  count();
}

function exported() {
  const at = new Date().toISOString();
  const lines = given.map((card) => {
    const record = records.get(card);
    if (!isChanged(card)) return JSON.stringify(record);
    const line = { ...record };
    if (isEdited(card)) Object.assign(line, { caption: field(card).value,
      original: record.caption });
    const proposed = record.review ? record.review.proposed : record.caption;
    if (verdict(card)) line.review = { verdict: verdict(card), proposed, by: "", at };
    else delete line.review;
    return JSON.stringify(line);
  });
  return lines.map((line) => `${line}\n`).join("");
}

list.addEventListener("keydown", (event) => {
  const card = event.target.closest(".card");
  if (event.target.tagName === "TEXTAREA") {
    if (event.key === "Escape" || (event.key === "Enter" && event.ctrlKey)) {
      event.preventDefault();
      go(card);
    }
  } else if (event.target.tagName === "BUTTON" && event.key === "Enter") {
    return; // presses it
  } else if (event.key === "Enter" && field(card)) {
    event.preventDefault();
    field(card).focus();
  } else if (/^[ar]$/i.test(event.key) && field(card) && !(event.ctrlKey || event.metaKey || event.altKey)) {
    event.preventDefault();
    decide(card, event.key.toLowerCase() === "a" ? "accepted" : "rejected");
  } else if (/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) {
    event.preventDefault();
    move(card, event.key);
  }
});
list.addEventListener("focusin", (event) => reachable(event.target.closest(".card")));
list.addEventListener("input", (event) => {
  const card = event.target.closest(".card");
  show(card);
  keep(card);
  count();
});
list.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) decide(button.closest(".card"), button.dataset.verdict);
});
// Another window with this page decided something.
window.addEventListener("storage", (event) => {
  const card = cards.get(event.key);
  if (!card) return;
  marks.delete(card);
  field(card).value = records.get(card).caption;
  unexported.delete(card);
  restore(card);
  show(card);
  count();
});
window.addEventListener("beforeunload", (event) => {
  if (unexported.size) event.preventDefault();
});
filter.addEventListener("input", select);
kind.addEventListener("change", select);
order.addEventListener("change", sort);
document.getElementById("export").addEventListener("click", () => {
  const blob = new Blob([exported()], { type: "application/jsonl" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "captions-edited.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  const done = [...unexported];
  unexported.clear();
  for (const card of done) store(card, true);
  count();
});
for (const card of cards.values()) {
  show(card);
  restore(card);
}
select();
