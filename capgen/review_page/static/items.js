// The records under review: as the server last told them, and with this window's decisions that
// are not saved yet.

export class Items extends EventTarget {
  rows = new Map();
  name = "";
  file = null;
  random = [];
  #ids = new Map();
  #keys = new Map();
  #unsaved = new Map();

  // Takes the answer of /api/items. Ids are places in the file, which may have changed since:
  // `loaded` tells whether they still mean the `same`.
  load(content) {
    this.name = content.name;
    this.file = content.file ?? content.name;
    this.random = content.random ?? [];
    this.rows = new Map(content.items.map((row) => [row.id, row]));
    const keys = keysOf(content.items);
    const same = keys.size === this.#keys.size &&
      [...keys].every(([id, key]) => this.#keys.get(id) === key);
    this.#keys = keys;
    this.#ids = new Map([...this.#keys].map(([id, key]) => [key, id]));
    this.#unsaved.clear();
    this.dispatchEvent(new CustomEvent("loaded", { detail: { same } }));
  }

  // What names a record for as long as the file has it.
  keyOf(id) {
    return this.#keys.get(id);
  }

  idOf(key) {
    return this.#ids.get(key);
  }

  // Returns a record as this window shows it.
  at(id) {
    const row = this.rows.get(id);
    const own = this.#unsaved.get(id);
    if (own === undefined) return row;
    return own.state === "conflict" ? { ...row, state: own.state } : { ...row, ...own };
  }

  *[Symbol.iterator]() {
    for (const id of this.rows.keys()) yield this.at(id);
  }

  // Takes rows from the server; an older one, which was overtaken on its way, is ignored.
  update(rows) {
    const news = rows.filter((row) => !(this.rows.get(row.id)?.version > row.version));
    for (const row of news) this.rows.set(row.id, row);
    this.#changed(news.map((row) => row.id));
  }

  // Notes what this window wants of a record: `state` is saving, failed or conflict.
  setUnsaved(id, verdict, caption, state) {
    const shown = verdict === null ? (this.rows.get(id)?.proposed ?? null) : caption;
    this.#unsaved.set(id, { verdict, caption: shown, state });
    this.#changed([id]);
  }

  clearUnsaved(id) {
    if (this.#unsaved.delete(id)) this.#changed([id]);
  }

  counts() {
    const counts = { all: this.rows.size, accepted: 0, edited: 0, rejected: 0, left: 0 };
    for (const row of this) counts[row.verdict ?? "left"] += 1;
    return counts;
  }

  #changed(ids) {
    if (ids.length) this.dispatchEvent(new CustomEvent("changed", { detail: new Set(ids) }));
  }
}

// A path may come twice in a file, or be missing.
function keysOf(rows) {
  const seen = new Map();
  const keys = new Map();
  for (const { id, path } of rows) {
    const times = seen.get(path) ?? 0;
    seen.set(path, times + 1);
    keys.set(id, `${times}:${path ?? ""}`);
  }
  return keys;
}
