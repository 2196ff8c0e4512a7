// Asking the service, and remembering what it has not acknowledged yet.

export class Refused extends Error {
  constructor(status, error) {
    super(error.what);
    this.status = status;
    this.code = error.code;
  }
}

export async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const told = await answer.json().catch(() => ({ error: { code: "internal", what: answer.statusText } }));
  throw new Refused(answer.status, told.error);
}

// Not crypto.randomUUID: plants serve this page without TLS, where browsers don't have it.
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const KEPT = "pcb-unsent";
const FIRST_WAIT = 250;
const LONGEST_WAIT = 4000;

// Sends entries one after another, each until it is acknowledged or refused for good. What isn't
// acknowledged survives a closed page, in the browser's own storage, for the operator who said it.
export class Outbox {
  constructor(page, whenChanged, whenRefused) {
    this.page = page;
    this.whenChanged = whenChanged;
    this.whenRefused = whenRefused;
    this.unsent = [];
    this.sending = null;
  }

  // Takes over what other pages of the same operator have left in this browser.
  open(operator) {
    const own = `${KEPT} ${operator} `;
    this.kept = own + this.page;
    for (const left of Object.keys(localStorage).filter((key) => key.startsWith(own))) {
      this.unsent.push(...JSON.parse(localStorage.getItem(left)));
      localStorage.removeItem(left);
    }
    this.keep();
  }

  put(entry) {
    this.unsent.push(entry);
    this.keep();
    this.send();
  }

  keep() {
    if (this.unsent.length) localStorage.setItem(this.kept, JSON.stringify(this.unsent));
    else localStorage.removeItem(this.kept);
    this.whenChanged(this.unsent.length);
  }

  send() {
    this.sending ??= this.sendAll().finally(() => { this.sending = null; });
    return this.sending;
  }

  async sendAll() {
    let wait = FIRST_WAIT;
    while (this.unsent.length) {
      try {
        await ask("POST", "/v1/review/entries", this.unsent[0]);
        wait = FIRST_WAIT;
      } catch (error) {
        const forGood = error instanceof Refused && [403, 404, 409, 422].includes(error.status);
        if (!forGood) {
          if (error instanceof Refused && error.status === 401) { this.whenRefused(error, null); return; }
          this.whenChanged(this.unsent.length);
          await new Promise((resolve) => setTimeout(resolve, wait));
          wait = Math.min(2 * wait, LONGEST_WAIT);
          continue;
        }
        this.whenRefused(error, this.unsent[0]);
      }
      this.unsent.shift();
      this.keep();
    }
  }
}
