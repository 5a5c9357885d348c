// Writing a caption. Every letter is kept in the browser; leaving keeps the draft.

import { byId } from "./dom.js";

export class Editor {
  #id = null;
  #start = "";
  #items;
  #drafts;

  // `save(id, text, version)` decides; `closed()` puts the focus back.
  constructor(items, drafts, { save, closed, tell }) {
    this.#items = items;
    this.#drafts = drafts;
    Object.assign(this, { save, closed, tell });
    this.field = byId("field");
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => this.#pressed(event));
    byId("save").addEventListener("click", () => this.#save());
    byId("leave").addEventListener("click", () => this.close());
    byId("discard").addEventListener("click", () => this.#discard());
  }

  get id() {
    return this.#id;
  }

  open(id) {
    const row = this.#items.at(id);
    const draft = this.#drafts.of(id);
    this.#id = id;
    this.#start = row.caption ?? "";
    this.field.value = draft?.text ?? this.#start;
    this.version = draft?.version ?? this.#items.rows.get(id).version;
    byId("editor").hidden = false;
    byId("read").hidden = true;
    byId("field-label").textContent = `Caption of ${row.path ?? `record ${id + 1}`}`;
    this.#say(draft ? "This is your draft." : "");
    this.noteChange();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
    this.field.focus();
  }

  // Leaves; what was typed stays as a draft.
  close() {
    if (this.#id === null) return;
    this.#id = null;
    byId("editor").hidden = true;
    byId("read").hidden = false;
    this.closed();
  }

  // What this window itself decides about the record meanwhile is known.
  follow(id, before, after) {
    if (id === this.#id && this.version === before) this.version = after;
  }

  // Says if the caption that is being edited has meanwhile changed.
  noteChange() {
    if (this.#id === null) return;
    const row = this.#items.rows.get(this.#id);
    const changed = row.version !== (this.#drafts.of(this.#id)?.version ?? this.version);
    byId("meanwhile").hidden = !changed;
    if (changed) {
      byId("meanwhile").textContent =
        `Meanwhile ${row.verdict ?? "taken back"}: ${row.caption ?? "no caption"}`;
    }
  }

  #pressed(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#save();
    }
  }

  async #typed() {
    const id = this.#id;
    const unchanged = this.field.value === this.#start;
    this.#say("…");
    try {
      await (unchanged ? this.#drafts.remove(id) : this.#drafts.write(id, this.field.value, this.version));
      if (id === this.#id) this.#say(unchanged ? "" : "Draft kept in this browser.");
    } catch {
      this.#say("This browser cannot keep the draft.");
    }
  }

  async #save() {
    const id = this.#id;
    const caption = this.field.value.trim();
    if (caption === "") {
      this.tell("Write a caption, or leave and reject it.");
      this.field.focus();
      return;
    }
    const version = this.#drafts.of(id)?.version ?? this.version;
    // Stored as a decision before it is no longer a draft.
    const stored = this.save(id, caption, version);
    this.close();
    await stored;
    await this.#drafts.remove(id);
  }

  async #discard() {
    await this.#drafts.remove(this.#id);
    this.close();
  }

  #say(text) {
    byId("draft-state").textContent = text;
  }
}
