// What the browser keeps until the server has it: unsent decisions, conflicts, drafts.
//
// IndexedDB and not localStorage: Chromium writes localStorage seconds later, so that a killed
// browser loses it. Each entry belongs to a window, so that no window sends another's decisions;
// entries of windows that are gone are taken over.

const STORES = ["queue", "conflicts", "drafts"];
const ID = "capgen-review-window";

export class Kept {
  #database;
  #memory = new Map(STORES.map((store) => [store, new Map()]));

  constructor(database, window) {
    this.#database = database;
    this.window = window;
  }

  static async open(file, window) {
    const database = await openDatabase(`capgen-review ${file}`).catch(() => null);
    return new Kept(database, window);
  }

  // Whether entries survive the window.
  get lasting() {
    return this.#database !== null;
  }

  // Resolves once the entry, which has a `key`, is stored.
  put(store, entry) {
    const owned = { ...entry, window: this.window };
    this.#memory.get(store).set(entry.key, owned);
    return this.#write(store, (table) => table.put(owned));
  }

  remove(store, key) {
    this.#memory.get(store).delete(key);
    return this.#write(store, (table) => table.delete([this.window, key]));
  }

  // Makes entries of windows that are gone this window's own; returns them, oldest first. One
  // whose key this window has already stays where it is, for later.
  async adopt(store) {
    if (this.#database === null) return [];
    return navigator.locks.request("capgen-review-adopt", async () => {
      const own = this.#memory.get(store);
      const alive = await aliveWindows();
      const found = (await this.#all(store)).filter(
        (entry) => !own.has(entry.key) && (entry.window === this.window || !alive.has(entry.window)),
      );
      found.sort((a, b) => a.at - b.at);
      for (const entry of found) await this.#move(store, entry);
      return found;
    });
  }

  async #move(store, entry) {
    const former = entry.window;
    await this.put(store, entry);
    if (former !== this.window) {
      await this.#write(store, (table) => table.delete([former, entry.key]));
    }
  }

  #all(store) {
    return new Promise((done, fail) => {
      const asked = this.#database.transaction(store).objectStore(store).getAll();
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => fail(asked.error);
    });
  }

  #write(store, change) {
    if (this.#database === null) return Promise.resolve();
    return new Promise((done, fail) => {
      const transaction = this.#database.transaction(store, "readwrite", { durability: "strict" });
      change(transaction.objectStore(store));
      transaction.oncomplete = () => done();
      transaction.onabort = () => fail(transaction.error);
    });
  }
}

function openDatabase(name) {
  return new Promise((done, fail) => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      for (const store of STORES) {
        opening.result.createObjectStore(store, { keyPath: ["window", "key"] });
      }
    };
    opening.onsuccess = () => done(opening.result);
    opening.onerror = () => fail(opening.error);
  });
}

const lockOf = (window) => `capgen-review-window ${window}`;

async function aliveWindows() {
  const { held } = await navigator.locks.query();
  return new Set(held.map((lock) => lock.name.replace(/^capgen-review-window /, "")));
}

// Returns this window's name: the one it had before it was reloaded, unless a copy of the tab
// has it.
export async function claimWindow() {
  const former = sessionStorage.getItem(ID);
  const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
  // The page before a reload may hold the name for another moment.
  if (former !== null && (await claim(former, reloaded ? 1000 : 0))) return former;
  const fresh = crypto.randomUUID();
  sessionStorage.setItem(ID, fresh);
  await claim(fresh, 0);
  return fresh;
}

function claim(name, patience) {
  const waiting = patience
    ? { signal: AbortSignal.timeout(patience) }
    : { ifAvailable: true };
  return new Promise((done) => {
    navigator.locks
      .request(lockOf(name), waiting, (lock) => {
        done(lock !== null);
        return lock === null ? undefined : new Promise(() => {}); // until the window is gone
      })
      .catch(() => done(false));
  });
}
