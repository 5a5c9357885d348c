// Where another window decided otherwise: both decisions side by side, and the person chooses.

import { byId, element, plural, text } from "./dom.js";

export class Conflicts {
  #items;
  #decisions;

  constructor(items, decisions) {
    this.#items = items;
    this.#decisions = decisions;
    this.dialog = byId("conflicts");
    decisions.addEventListener("state", () => this.#state());
    this.dialog.addEventListener("keydown", (event) => this.#pressed(event));
  }

  open() {
    if (this.#decisions.conflicts.size === 0 || this.dialog.open) return;
    this.#draw();
    this.dialog.showModal();
    this.#focus();
  }

  #state() {
    if (!this.dialog.open) return;
    if (this.#decisions.conflicts.size === 0) this.dialog.close();
    else if (byId("conflict").dataset.key !== this.#first()[0]) this.#next();
  }

  #first() {
    return this.#decisions.conflicts.entries().next().value;
  }

  #next() {
    this.#draw();
    this.#focus();
  }

  #focus() {
    byId("conflict").querySelector("button")?.focus();
  }

  #draw() {
    const [key, { change, reason }] = this.#first();
    const row = this.#items.rows.get(this.#items.idOf(key));
    byId("conflicts-left").textContent = plural(this.#decisions.conflicts.size, "conflict");
    const box = byId("conflict");
    box.dataset.key = key;
    box.replaceChildren(
      text(change.name ?? "A record", "h3"),
      reason === null ? "" : element("p", { class: "bad" }, reason),
      row && !row.missing ? element("img", { src: `/thumb/${row.id}`, alt: "" }) : "",
      element(
        "div", { class: "sides" },
        this.#side(key, true, "Yours", change, row !== undefined, "1"),
        this.#side(key, false, "In the file now", row, true, "2"),
      ),
    );
  }

  #side(key, mine, heading, what, possible, digit) {
    return element(
      "section", { "aria-label": heading },
      element("h4", {}, heading),
      element("p", { class: "soft" }, what ? (what.verdict ?? "unreviewed") : "not there"),
      text(what?.caption ?? "no caption", "p", { class: "said" }),
      possible && element(
        "button",
        { type: "button", onclick: () => this.#decisions.resolve(key, mine) },
        element("kbd", {}, digit), mine ? " Save mine" : " Keep this",
      ),
    );
  }

  #pressed(event) {
    const place = ["1", "2"].indexOf(event.key);
    if (place < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    byId("conflict").querySelectorAll("section")[place].querySelector("button")?.click();
  }
}
