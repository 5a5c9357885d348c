// What the server is asked, and how it fails.

export class ApiError extends Error {
  constructor(message, status, content = {}) {
    super(message);
    this.status = status;
    this.hint = content.hint ?? "";
    this.content = content;
  }

  // Whether the same question may be answered later: nobody answered, the disk was full, the
  // token has changed.
  get passing() {
    return this.status === 0 || this.status >= 500 || this.status === 403 || this.status === 429;
  }
}

const GONE = "The server does not answer.";
const NOT_LET_IN =
  "The server was started again: open the address that capgen review printed, in this browser.";
const PATIENCE = 30_000;

// Asks with GET, or with POST if there is a body; returns the answer's JSON.
export async function ask(path, body, { signal, patience = PATIENCE } = {}) {
  const response = await answer(path, body, signal ?? AbortSignal.timeout(patience));
  const content = await response.json().catch(() => null);
  if (response.ok && content !== null) return content;
  throw failure(response, content);
}

// Returns what is at an address as a Blob.
export async function fetchBlob(path, signal) {
  const response = await answer(path, undefined, signal);
  if (response.ok) return response.blob();
  throw failure(response, await response.json().catch(() => null));
}

async function answer(path, body, signal) {
  const post = body !== undefined && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  try {
    return await fetch(path, { ...post, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(GONE, 0);
  }
}

function failure(response, content) {
  if (response.status === 403) return new ApiError(NOT_LET_IN, 403, content ?? {});
  const message = content?.error ?? `The server answered ${response.status}.`;
  return new ApiError(message, response.status, content ?? {});
}
