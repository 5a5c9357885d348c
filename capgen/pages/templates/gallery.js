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
const shown = () => [...list.children].filter((card) => !card.hidden);

function count() {
  const failed = given.filter(isFailed).length;
  const edited = given.filter(isEdited).length;
  document.getElementById("counts").textContent =
    `${given.length - failed} captioned, ${failed} failed, ${edited} edited, ` +
    `${shown().length} shown`;
}

function select() {
  const wanted = filter.value.toLowerCase();
  for (const card of given) {
    const tags = card.querySelector(".tags")?.textContent ?? "";
    const text = `${records.get(card).path} ${field(card)?.value ?? card.textContent} ${tags}`;
    const kinds = { all: true, captioned: !isFailed(card), failed: isFailed(card),
      edited: isEdited(card) };
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

function exported() {
  const lines = given.map((card) => {
    const record = records.get(card);
    if (!isEdited(card)) return JSON.stringify(record);
    return JSON.stringify({ ...record, caption: field(card).value, original: record.caption });
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
  } else if (event.key === "Enter" && field(card)) {
    event.preventDefault();
    field(card).focus();
  } else if (/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) {
    event.preventDefault();
    move(card, event.key);
  }
});
list.addEventListener("focusin", (event) => reachable(event.target.closest(".card")));
list.addEventListener("input", (event) => {
  const card = event.target.closest(".card");
  card.classList.toggle("edited", event.target.value !== records.get(card).caption);
  card.querySelector("img")?.setAttribute("alt", event.target.value);
  count();
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
});
select();
