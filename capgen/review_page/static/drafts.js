// What a person typed and has not saved: kept in the browser with every letter.

export class Drafts {
  #items;
  #kept;
  #drafts = new Map();

  constructor(items, kept) {
    this.#items = items;
    this.#kept = kept;
  }

  async adopt() {
    for (const draft of await this.#kept.adopt("drafts")) this.#drafts.set(draft.key, draft);
  }

  // Returns {text, version} or undefined.
  of(id) {
    return this.#drafts.get(this.#items.keyOf(id));
  }

  // `seen` is the version of the record that the person saw. Resolves once the browser has it.
  write(id, text, seen) {
    const key = this.#items.keyOf(id);
    const version = this.#drafts.get(key)?.version ?? seen;
    const draft = { key, text, version, at: Date.now() };
    this.#drafts.set(key, draft);
    return this.#kept.put("drafts", draft);
  }

  remove(id) {
    const key = this.#items.keyOf(id);
    if (!this.#drafts.delete(key)) return Promise.resolve();
    return this.#kept.remove("drafts", key);
  }

  // A draft that knew the record before this window's own decision knows it after, too.
  follow(id, before, after) {
    const draft = this.of(id);
    if (draft === undefined || draft.version !== before) return;
    draft.version = after;
    this.#kept.put("drafts", draft);
  }
}
