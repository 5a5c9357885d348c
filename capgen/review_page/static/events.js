// What other windows decide, as the server tells it.

import { ApiError } from "./api.js";

export class Events {
  #source = null;
  #interrupted = false;
  #early = [];
  #items = null;
  #decisions = null;
  #window;

  constructor(window) {
    this.#window = window;
  }

  // Begins to listen; resolves once nothing is missed any more, so that what is asked for after
  // it is complete.
  async begin() {
    document.addEventListener("visibilitychange", () => this.#turned());
    this.listen();
    if (this.#source === null) return;
    await new Promise((done) => {
      this.#source.addEventListener("open", done, { once: true });
      this.#source.addEventListener("error", done, { once: true });
    });
  }

  // Tells these from now on, and at once what came before.
  connect(items, decisions) {
    this.#items = items;
    this.#decisions = decisions;
    for (const rows of this.#early.splice(0)) items.update(rows);
  }

  // Listens, again if the browser has given up. A hidden window does not: browsers open few
  // connections to one server, which many windows would use up.
  listen() {
    if (document.hidden) return;
    if (this.#source !== null && this.#source.readyState !== EventSource.CLOSED) return;
    this.#source = new EventSource(`/api/events?window=${encodeURIComponent(this.#window)}`);
    this.#source.onmessage = (event) => this.#tell(JSON.parse(event.data).items);
    this.#source.addEventListener("bye", () => this.#lost("capgen review has ended."));
    this.#source.onerror = () => this.#lost("The server does not answer.");
    this.#source.onopen = () => this.#opened();
  }

  #turned() {
    this.#interrupted = true;
    if (document.hidden) this.#source?.close();
    else this.listen();
  }

  #tell(rows) {
    if (this.#items === null) this.#early.push(rows);
    else this.#items.update(rows);
  }

  #lost(message) {
    this.#interrupted = true;
    if (this.#decisions?.fault === null) this.#decisions.fail(new ApiError(message, 0));
  }

  // What happened in between was not told.
  #opened() {
    if (this.#interrupted) this.#decisions?.retry();
    this.#interrupted = false;
  }
}
