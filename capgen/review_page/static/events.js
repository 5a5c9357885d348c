// What other windows decide, as the server tells it.

import { ApiError } from "./api.js";

export class Events {
  #source = null;
  #interrupted = false;
  #items;
  #decisions;
  #window;

  constructor(items, decisions, window) {
    this.#items = items;
    this.#decisions = decisions;
    this.#window = window;
  }

  // Listens, again if the browser has given up. A hidden window does not: browsers open few
  // connections to one server, which many windows would use up.
  listen() {
    if (document.hidden) return;
    if (this.#source !== null && this.#source.readyState !== EventSource.CLOSED) return;
    this.#source = new EventSource(`/api/events?window=${encodeURIComponent(this.#window)}`);
    this.#source.onmessage = (event) => this.#items.update(JSON.parse(event.data).items);
    this.#source.addEventListener("bye", () => this.#lost("capgen review has ended."));
    this.#source.onerror = () => this.#lost("The server does not answer.");
    this.#source.onopen = () => this.#opened();
  }

  // Stops while the window is hidden, and catches up when it is seen again.
  follow() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#source?.close();
      else this.#decisions.retry();
    });
    this.listen();
  }

  #lost(message) {
    this.#interrupted = true;
    if (this.#decisions.fault === null) this.#decisions.fail(new ApiError(message, 0));
  }

  // What happened in between was not told.
  #opened() {
    if (this.#interrupted) this.#decisions.retry();
    this.#interrupted = false;
  }
}
