// How far confidence and acceptance agree: the share accepted where the model was so sure.

import { ask } from "./api.js";
import { byId, element, percent, svgElement } from "./dom.js";

const WIDTH = 420;
const HEIGHT = 200;
const EDGE = { left: 38, bottom: 26, top: 8, right: 20 };

export async function showAgreement() {
  const dialog = byId("agreement");
  if (dialog.open) return;
  byId("agreement-content").replaceChildren(element("p", {}, "Counting…"));
  dialog.showModal();
  try {
    const found = await ask("/api/agreement");
    byId("agreement-content").replaceChildren(...contents(found));
  } catch (error) {
    byId("agreement-content").replaceChildren(element("p", { class: "bad" }, error.message));
  }
}

const points = (share) => `${(100 * share).toFixed(0)} points on average`;

function contents({ bins, reviewed, accepted, edited, rejected, ...others }) {
  const error = others.expected_calibration_error ?? null;
  const used = bins.filter((bin) => bin.reviewed > 0);
  const summary =
    `${reviewed} reviewed: ${accepted} accepted, ${edited} edited, ${rejected} rejected.`;
  if (used.length === 0) {
    return [element("p", {}, summary), element("p", {}, "No reviewed caption has a confidence yet.")];
  }
  return [
    element("p", {}, summary, error === null ? "" : ` Confidence is off by ${points(error)}.`),
    element(
      "p", { class: "soft" },
      "Bars: the share of captions that were right, accepted or with other punctuation only. " +
        "Marks: the confidence they had. Where a bar ends at its mark, confidence tells how " +
        "often a caption is right.",
    ),
    chart(used),
    table(used),
  ];
}

function chart(bins) {
  const x = (share) => EDGE.left + share * (WIDTH - EDGE.left - EDGE.right);
  const y = (share) => HEIGHT - EDGE.bottom - share * (HEIGHT - EDGE.top - EDGE.bottom);
  const lines = [0, 0.5, 1].flatMap((share) => [
    svgElement("line", { class: "grid-line", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
    svgElement("text", { x: x(0) - 5, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    svgElement("text", { x: x(share), y: HEIGHT - 8, "text-anchor": "middle" }, percent(share)),
  ]);
  const bars = bins.map((bin) => {
    const share = bin.accepted / bin.reviewed;
    const width = Math.max(2, x(bin.to) - x(bin.from) - 3);
    return svgElement("rect", {
      class: "bar", x: x(bin.from) + 1.5, y: y(share), width, height: y(0) - y(share),
    });
  });
  const marks = bins.map((bin) => svgElement("circle", {
    class: "saved", r: 4, cx: x((bin.from + bin.to) / 2), cy: y(bin.mean_confidence),
  }));
  const label = "Share of right captions by confidence; the table below has the numbers";
  return svgElement(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    ...lines, ...bars, ...marks,
  );
}

function table(bins) {
  const heads = ["Confidence", "Reviewed", "Right", "Mean confidence"];
  const rows = bins.map((bin) => element(
    "tr", {},
    element("th", { scope: "row" }, `${percent(bin.from)} to ${percent(bin.to)}`),
    element("td", { class: "number" }, String(bin.reviewed)),
    element("td", { class: "number" }, percent(bin.accepted / bin.reviewed)),
    element("td", { class: "number" }, percent(bin.mean_confidence)),
  ));
  return element(
    "table", {},
    element("caption", {}, "Right captions by confidence"),
    element("thead", {}, element("tr", {}, ...heads.map((head, place) =>
      element("th", { scope: "col", class: place ? "number" : null }, head)))),
    element("tbody", {}, ...rows),
  );
}
