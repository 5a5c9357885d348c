// Search, filter and order, and the list that they give.

import { ask } from "./api.js";
import { byId, element, hint, plural, sentence } from "./dom.js";
import { FILTERS, ORDERS, RANKED, select } from "./view.js";

const SETTLED = 120; // ms without a key before the search is made
const CHOICE = "capgen-review-view";

export class Tools {
  #ranked = [];
  #timer = null;
  #former = "file";
  #items;

  // `shown(ids, fromStart)` is told of each new list; `current()` is the record that is shown.
  constructor(items, { hasDraft, shown, current, tell, back }) {
    this.#items = items;
    Object.assign(this, { hasDraft, shown, current, tell, back });
    fill(byId("filter"), Object.entries(FILTERS).map(([name, [label]]) => [name, label]));
    fill(byId("order"), Object.entries(ORDERS));
    this.#restore();
    const narrow = matchMedia("(max-width: 44rem)");
    byId("tools").open = !narrow.matches;
    narrow.addEventListener("change", () => (byId("tools").open = !narrow.matches));
    byId("filter").addEventListener("change", () => this.apply());
    byId("order").addEventListener("change", () => this.#ordered());
    byId("unsure-below").addEventListener("input", () => this.#soon());
    byId("search").addEventListener("input", () => this.#soon());
    for (const name of ["filter", "order", "unsure-below", "search"]) {
      byId(name).addEventListener("keydown", (event) => this.#pressed(event));
    }
  }

  get unsureBelow() {
    return Number(byId("unsure-below").value) / 100;
  }

  search() {
    byId("tools").open = true;
    byId("search").select();
  }

  // A new order is worked through from its start.
  apply(fromStart = false) {
    clearTimeout(this.#timer);
    this.#keep();
    const ids = select(this.#items, {
      filter: byId("filter").value,
      order: byId("order").value,
      contains: byId("search").value,
      unsureBelow: this.unsureBelow,
      ranked: this.#ranked,
      hasDraft: this.hasDraft,
    });
    byId("shown").textContent = `${plural(ids.length, "picture")} shown`;
    this.shown(ids, fromStart);
  }

  // Shows the list from the start, in the order that was kept.
  async start() {
    if (RANKED.includes(byId("order").value)) await this.#ordered();
    else this.apply();
  }

  orderLike() {
    byId("order").value = "like";
    return this.#ordered();
  }

  async #ordered() {
    const order = byId("order").value;
    if (!RANKED.includes(order)) {
      this.#former = order;
      return this.apply(true);
    }
    this.tell(`Ordering: ${ORDERS[order]}…`);
    try {
      this.#ranked = await this.#ranks(order);
      this.#former = order;
      this.apply(true);
      this.tell(`Ordered: ${ORDERS[order]}.`);
    } catch (error) {
      byId("order").value = this.#former;
      this.tell(`Not ordered: ${sentence(error.message)}${hint(error)}`);
    }
    return undefined;
  }

  async #ranks(order) {
    if (order === "random") return this.#items.random;
    const id = this.current();
    const path = order === "gain" ? "/api/gain" : `/api/like/${id}`;
    const { ids } = await ask(path, undefined, { patience: 300_000 });
    return order === "like" ? [id, ...ids.filter((other) => other !== id)] : ids;
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.apply(), SETTLED);
  }

  #pressed(event) {
    if (event.isComposing || !["Escape", "Enter"].includes(event.key)) return;
    // Enter opens a select.
    if (event.key === "Enter" && event.target.matches("select")) return;
    event.preventDefault();
    this.apply();
    this.back();
  }

  #keep() {
    const choice = ["filter", "order", "unsure-below", "search"].map((name) => byId(name).value);
    sessionStorage.setItem(CHOICE, JSON.stringify(choice));
  }

  // After a reload the list is as it was.
  #restore() {
    const [filter, order, below, search] = JSON.parse(sessionStorage.getItem(CHOICE) ?? "[]");
    if (filter in FILTERS) byId("filter").value = filter;
    if (order in ORDERS && order !== "like") byId("order").value = order;
    byId("unsure-below").value = below ?? 50;
    byId("search").value = search ?? "";
  }
}

function fill(choice, options) {
  choice.replaceChildren(...options.map(([value, label]) => element("option", { value }, label)));
}
