// What the server says of a request: is it refused before execution?

import assert from "node:assert/strict";
import { on, once } from "node:events";

/** The request as JSON; by hand, for how a number is written counts. */
function written({ document, operationName, variables }) {
  const members = [`"query":${JSON.stringify(document)}`];
  if (operationName !== undefined) members.push(`"operationName":${JSON.stringify(operationName)}`);
  if (variables !== undefined) members.push(`"variables":${variables}`);
  return `{${members.join(",")}}`;
}

/** Why it is refused. Only the client's own fault is a verdict: a limit, a lost token or a fault of the server is none. */
function reason([{ message, extensions }]) {
  if (extensions?.code !== "BAD_USER_INPUT") throw new Error(`no verdict: ${extensions?.code}: ${message}`);
  return message;
}

/** Why the server refuses it over HTTP, or null where it does not. */
export async function refusal(url, headers, request) {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: "application/graphql-response+json" },
    body: written(request),
  });
  const answer = await response.json();
  // A subscription that is well asks for a form that this client does not take.
  if (response.status === 406 || "data" in answer) return null;
  if (response.status !== 400) throw new Error(`no verdict: ${response.status} ${JSON.stringify(answer)}`);
  return reason(answer.errors);
}

/** A socket that speaks graphql-transport-ws, one operation after the other. */
export class Socket {
  #socket;
  #messages;
  #asked = 0;

  static async open(socket, headers) {
    const opened = new Socket();
    opened.#socket = socket;
    opened.#messages = on(socket, "message", { close: ["close"] });
    await once(socket, "open");
    opened.#send({ type: "connection_init", payload: headers });
    assert.equal((await opened.#hear()).type, "connection_ack");
    return opened;
  }

  close() {
    this.#socket.close();
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  async #hear() {
    const { value, done } = await this.#messages.next();
    assert.ok(!done, "the socket is open");
    return JSON.parse(value[0]);
  }

  /** Why the server refuses it, or null where it does not. */
  async refusal(request) {
    this.#asked += 1;
    const id = String(this.#asked);
    this.#socket.send(`{"type":"subscribe","id":"${id}","payload":${written(request)}}`);
    // A subscription that is well may say nothing. When a second ping is answered, a refusal would have been told.
    const ping = (round) => this.#send({ type: "ping", payload: { id, round } });
    let why = null;
    ping(1);
    for (;;) {
      const { type, id: of, payload } = await this.#hear();
      // An error of a field, which has a path, says that execution had begun.
      if (type === "error" && of === id && payload[0].path === undefined) why = reason(payload);
      if (type !== "pong" || payload.id !== id) continue;
      if (payload.round === 2) break;
      ping(2);
    }
    this.#send({ type: "complete", id });
    return why;
  }
}
