// Decisions on their way to the server: stored in the browser first, sent in order, tried again
// while the server is gone. Only the server's answer makes one saved.
//
// Events: `saved` (changes, rows), `undone` (rows), `state` (the queue, the fault or the conflicts
// have changed), `told` (text for the person).

import { ask, ApiError } from "./api.js";

const LONGEST_WAIT = 15_000;

export class Decisions extends EventTarget {
  fault = null;
  conflicts = new Map();
  #items;
  #kept;
  #reload;
  #queue = [];
  #sending = null;
  #timer = null;
  #wait = 1000;

  // `reload` asks for the records again, and fails if the server has another file.
  constructor(items, kept, reload) {
    super();
    this.#items = items;
    this.#kept = kept;
    this.#reload = reload;
    items.addEventListener("loaded", () => this.#mark());
  }

  get unsaved() {
    return this.#queue.reduce((sum, entry) => sum + entry.changes.length, 0);
  }

  // Takes over what this window, before it was reloaded, and windows that are gone left; begins to
  // send it.
  async adopt() {
    this.#queue.push(...(await this.#kept.adopt("queue")));
    for (const entry of await this.#kept.adopt("conflicts")) this.conflicts.set(entry.key, entry);
    this.#mark();
    this.#told();
    this.#send();
  }

  // Decides about records: `wanted` has id, verdict, caption and, where it is not the present
  // one, the version that the person saw. Resolves once the browser has stored it.
  decide(wanted) {
    const changes = wanted.map((one) => this.#change(one));
    const entry = { key: crypto.randomUUID(), at: Date.now(), changes };
    this.#queue.push(entry);
    this.#mark(entry);
    this.#told();
    const stored = this.#kept
      .put("queue", entry)
      // A full disk keeps nothing here, but the server may still answer.
      .catch(() => this.#told("This browser could not keep the decision."));
    return stored.then(() => void this.#send());
  }

  // Takes back the last decision of this window.
  async undo() {
    const ids = await this.#alone(() => this.#undo());
    this.#send();
    return ids;
  }

  // Asks the server again, at once.
  async retry() {
    clearTimeout(this.#timer);
    try {
      await this.#alone(() => this.#reload());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.fail(error);
    }
    this.fault = null;
    return this.adopt();
  }

  // Notes that the server could not be asked; tries again later.
  fail(error) {
    // That it has ended tells more than that it does not answer.
    if (this.fault === null || error.status > 0 || this.fault.status > 0) this.fault = error;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.retry(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    for (const entry of this.#queue) this.#mark(entry);
    this.#told();
  }

  // Ends a conflict: with this window's decision, or with what the file has.
  async resolve(key, mine) {
    const { change } = this.conflicts.get(key);
    const id = this.#items.idOf(key);
    this.conflicts.delete(key);
    this.#items.clearUnsaved(id);
    if (mine) await this.decide([{ id, verdict: change.verdict, caption: change.caption }]);
    await this.#kept.remove("conflicts", key);
    this.#told();
  }

  #change({ id, verdict, caption, version }) {
    const row = this.#items.rows.get(id);
    const key = this.#items.keyOf(id);
    const before = this.#queue.findLast((entry) => entry.changes.some((one) => one.key === key));
    const earlier = before?.changes.find((one) => one.key === key);
    return {
      ...{ key, name: row.path, verdict, caption, before: before?.key },
      version: earlier?.version ?? version ?? row.version,
    };
  }

  async #undo() {
    const last = this.#queue.at(-1);
    if (last !== undefined) {
      await this.#drop(last);
      this.#told("Taken back; it was not saved yet.");
      return last.changes.map((change) => this.#items.idOf(change.key));
    }
    const { items: rows } = await ask("/api/undo", { window: this.#kept.window });
    this.dispatchEvent(new CustomEvent("undone", { detail: { rows } }));
    this.#items.update(rows);
    return rows.map((row) => row.id);
  }

  async #send() {
    if (this.#sending !== null) return; // whoever is at it sends the rest, too
    await this.#alone(() => this.#sendAll());
    this.#told();
  }

  // Runs one task at a time: what the server answers is about the records as they then are.
  async #alone(task) {
    while (this.#sending !== null) await this.#sending.catch(() => {});
    this.#sending = task().finally(() => (this.#sending = null));
    return this.#sending;
  }

  async #sendAll() {
    while (this.#queue.length > 0 && this.fault === null) {
      const entry = this.#queue[0];
      const lost = entry.changes.filter((change) => this.#items.idOf(change.key) === undefined);
      if (lost.length > 0) {
        await this.#toConflicts(entry, lost, "The picture is no longer in the file.");
        continue;
      }
      try {
        const { items: rows } = await ask("/api/decide", this.#body(entry));
        await this.#saved(entry, entry.changes, rows);
        await this.#drop(entry);
        this.#wait = 1000;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        await this.#failed(entry, error);
      }
    }
  }

  #body({ changes }) {
    return {
      window: this.#kept.window,
      changes: changes.map(({ key, version, verdict, caption }) => ({
        id: this.#items.idOf(key), version, verdict, caption,
      })),
    };
  }

  async #failed(entry, error) {
    const rows = error.status === 409 ? (error.content.conflicts ?? []) : [];
    if (rows.length > 0) return this.#conflicted(entry, rows);
    if (error.passing) return this.fail(error);
    return this.#toConflicts(entry, entry.changes, error.message);
  }

  // Nothing was written. What the file has already was written by an earlier try whose answer
  // was lost; what is in conflict waits for the person; the rest is sent again.
  async #conflicted(entry, rows) {
    const now = new Map(rows.map((row) => [row.id, row]));
    const rowOf = (change) => now.get(this.#items.idOf(change.key));
    const old = entry.changes.filter((change) => rowOf(change) !== undefined);
    const there = old.filter((change) => isSame(rowOf(change), change));
    this.#items.update(rows);
    if (there.length > 0) await this.#saved(entry, there, there.map(rowOf));
    const others = old.filter((change) => !there.includes(change));
    if (others.length === 0 && there.length === entry.changes.length) return this.#drop(entry);
    entry.changes = entry.changes.filter((change) => !there.includes(change));
    return this.#toConflicts(entry, others, null);
  }

  async #toConflicts(entry, changes, reason) {
    for (const change of changes) {
      const conflict = { key: change.key, at: Date.now(), change, reason };
      this.conflicts.set(change.key, conflict);
      await this.#kept.put("conflicts", conflict);
    }
    entry.changes = entry.changes.filter((change) => !changes.includes(change));
    if (entry.changes.length === 0) await this.#drop(entry);
    else await this.#kept.put("queue", entry);
    this.#mark();
    this.#told();
  }

  // Later decisions of this window were made knowing this one.
  async #saved(entry, changes, rows) {
    const versions = new Map(rows.map((row) => [this.#items.keyOf(row.id), row.version]));
    for (const later of this.#queue) {
      const onTop = later.changes.filter(
        (change) => change.before === entry.key && versions.has(change.key),
      );
      for (const change of onTop) change.version = versions.get(change.key);
      if (onTop.length > 0) await this.#kept.put("queue", later);
    }
    this.dispatchEvent(new CustomEvent("saved", { detail: { changes, rows } }));
    this.#items.update(rows);
  }

  async #drop(entry) {
    this.#queue.splice(this.#queue.indexOf(entry), 1);
    for (const { key } of entry.changes) this.#items.clearUnsaved(this.#items.idOf(key));
    this.#mark();
    await this.#kept.remove("queue", entry.key);
  }

  // Shows what is not saved: all of it, or one entry.
  #mark(only) {
    for (const key of only ? [] : this.conflicts.keys()) {
      const id = this.#items.idOf(key);
      if (id !== undefined) this.#items.setUnsaved(id, null, null, "conflict");
    }
    const state = this.fault === null ? "saving" : "failed";
    for (const entry of only ? [only] : this.#queue) {
      for (const { key, verdict, caption } of entry.changes) {
        const id = this.#items.idOf(key);
        if (id !== undefined) this.#items.setUnsaved(id, verdict, caption, state);
      }
    }
  }

  #told(text) {
    this.dispatchEvent(new CustomEvent("state", { detail: { text } }));
  }
}

// Whether a row already is what a change asks for. The server saves a caption as one line, and
// tells by its text whether it is edited.
function isSame(row, change) {
  const kept = (verdict) => verdict === "accepted" || verdict === "edited";
  if (!kept(row.verdict) || !kept(change.verdict)) return row.verdict === change.verdict;
  return oneLine(row.caption) === oneLine(change.caption);
}

const oneLine = (caption) => caption.replace(/[\s\p{Cc}\p{Cs}]+/gu, " ").trim();
