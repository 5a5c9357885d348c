// Find and replace over many captions, with a preview in which single changes can be left out.

import { ask } from "./api.js";
import { difference } from "./difference.js";
import { byId, element, hint, plural, sentence, text } from "./dom.js";

const AT_ONCE = 100; // changes drawn at a time

export class Replace {
  #changes = [];
  #left = new Set();
  #drawn = 0;

  // `ids()` are the records of the list; `apply(changes)` decides.
  constructor(items, { ids, apply }) {
    Object.assign(this, { items, ids, apply });
    this.dialog = byId("replace");
    byId("replace-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#preview();
    });
    byId("replace-apply").addEventListener("click", () => this.#apply());
    byId("replace-all").addEventListener("click", () => this.#tick(true));
    byId("replace-none").addEventListener("click", () => this.#tick(false));
    byId("replace-more").addEventListener("click", () => this.#more());
    byId("replace-list").addEventListener("change", (event) => this.#ticked(event.target));
    // A preview that no longer fits what is asked for must not be applied.
    byId("replace-form").addEventListener("input", () => this.#show([]));
  }

  open() {
    if (this.dialog.open) return;
    this.#show([]);
    byId("replace-said").textContent = "";
    byId("replace-scope").textContent = `In the ${plural(this.ids().length, "caption")} of the list`;
    this.dialog.showModal();
    byId("find").focus();
    byId("find").select();
  }

  async #preview() {
    const question = {
      find: byId("find").value,
      replace: byId("with").value,
      regex: byId("regex").checked,
      whole_word: byId("whole-word").checked,
      ids: this.#candidates(),
    };
    byId("replace-said").textContent = "Looking…";
    try {
      const { changes } = await ask("/api/replace", question);
      this.#show(changes);
      byId("replace-said").textContent =
        changes.length ? "" : `Nothing found in ${plural(question.ids.length, "caption")}.`;
    } catch (error) {
      this.#show([]);
      byId("replace-said").textContent = `${sentence(error.message)}${hint(error)}`;
    }
  }

  // A rejected caption stays rejected.
  #candidates() {
    return this.ids().filter((id) => {
      const row = this.items.at(id);
      return row.verdict !== "rejected" && row.caption !== null;
    });
  }

  #show(changes) {
    this.#changes = changes;
    this.#left.clear();
    this.#drawn = 0;
    byId("replace-list").replaceChildren();
    byId("replace-preview").hidden = changes.length === 0;
    this.#more();
  }

  #more() {
    const next = this.#changes.slice(this.#drawn, this.#drawn + AT_ONCE);
    const lines = next.map((change) => this.#line(change));
    byId("replace-list").append(...lines);
    // The button may go away: the focus moves on to what it brought.
    if (this.#drawn > 0) lines[0]?.querySelector("input").focus();
    this.#drawn += next.length;
    byId("replace-more").hidden = this.#drawn >= this.#changes.length;
    this.#count();
  }

  #line({ id, before, after }) {
    return element(
      "li", {},
      element(
        "label", {},
        element("input", { type: "checkbox", value: id, checked: !this.#left.has(id) }),
        element(
          "span", {},
          text(this.items.at(id).path ?? `record ${id + 1}`, "span", { class: "row-name" }),
          element("span", { dir: "auto", class: "change" }, ...difference(before, after).map(
            ([kind, words]) => (kind === "same" ? words : element(kind, {}, words)))),
        ),
      ),
    );
  }

  #ticked(box) {
    if (box.checked) this.#left.delete(Number(box.value));
    else this.#left.add(Number(box.value));
    this.#count();
  }

  #tick(all) {
    this.#left = new Set(all ? [] : this.#changes.map((change) => change.id));
    for (const box of byId("replace-list").querySelectorAll("input")) box.checked = all;
    this.#count();
  }

  #chosen() {
    return this.#changes.filter((change) => !this.#left.has(change.id));
  }

  #count() {
    const chosen = this.#chosen().length;
    byId("replace-count").textContent =
      `${chosen.toLocaleString("en")} of ${plural(this.#changes.length, "change")} chosen`;
    byId("replace-apply").textContent = `Save ${plural(chosen, "caption")}`;
    byId("replace-apply").disabled = chosen === 0;
  }

  #apply() {
    const changes = this.#chosen();
    this.dialog.close();
    this.apply(changes.map(({ id, before, after }) => ({ id, before, caption: after })));
  }
}
