// The large picture, and the next ones fetched before they are needed.

import { element } from "./dom.js";

const SIZES = [640, 1024, 1600, 2048];
const HELD = 5;

export class Picture {
  #stage;
  #held = new Map();

  constructor(stage) {
    this.#stage = stage;
  }

  show(row) {
    this.#stage.replaceChildren();
    if (row.missing) {
      this.#stage.append(element("p", { class: "missing" }, "The file of this picture is gone."));
      return;
    }
    const image = this.#fetch(row.id);
    image.alt = row.caption ?? "A picture without a caption";
    image.dir = "auto";
    if (!image.complete) this.#showThumb(row.id, image);
    this.#stage.append(image);
  }

  describe(row) {
    const image = this.#stage.querySelector(".large");
    if (image && row.caption !== null) image.alt = row.caption;
  }

  prefetch(ids) {
    for (const id of ids) if (id !== undefined) this.#fetch(id).decode().catch(() => {});
  }

  // Something to see until the picture is there.
  #showThumb(id, image) {
    const thumb = element("img", { src: `/thumb/${id}`, alt: "", class: "standing-in" });
    this.#stage.append(thumb);
    image.addEventListener("load", () => thumb.remove(), { once: true });
  }

  #fetch(id) {
    const image = this.#held.get(id) ?? this.#make(id);
    this.#held.delete(id); // and put back as the newest
    this.#held.set(id, image);
    if (this.#held.size > HELD) this.#held.delete(this.#held.keys().next().value);
    return image;
  }

  #make(id) {
    const image = element("img", { class: "large", decoding: "sync" });
    image.addEventListener("error", () => this.#failed(image), { once: true });
    image.src = `/image/${id}?size=${this.#size()}`;
    return image;
  }

  #failed(image) {
    for (const [id, held] of this.#held) if (held === image) this.#held.delete(id);
    if (!image.isConnected) return;
    this.#stage.replaceChildren(
      element("p", { class: "missing" }, "This picture could not be shown."),
    );
  }

  #size() {
    const { clientWidth, clientHeight } = this.#stage;
    const pixels = Math.max(clientWidth, clientHeight) * devicePixelRatio;
    return SIZES.find((size) => size >= pixels) ?? SIZES.at(-1);
  }
}
