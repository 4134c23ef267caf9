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

/** Why it refuses it over server-sent events, or null where it does not. */
export async function refusalOfEvents(url, headers, request) {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: "text/event-stream" },
    body: written(request),
  });
  assert.equal(response.status, 200);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  // A stream that is open says so with a comment; it may have nothing else to say.
  if (value.startsWith(":")) return null;
  const [, data] = value.match(/^event: next\ndata: ([^\n]*)\n\nevent: complete\ndata:\n\n$/) ?? assert.fail(value);
  const { errors, ...more } = JSON.parse(data);
  assert.deepEqual(more, {});
  return reason(errors);
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

  /** Why the server refuses it, or null where it does not. Not for subscriptions: one that is well may say nothing. */
  async refusal(request) {
    this.#asked += 1;
    const id = String(this.#asked);
    this.#socket.send(`{"type":"subscribe","id":"${id}","payload":${written(request)}}`);
    let message;
    do message = await this.#hear();
    while (message.id !== id);
    return message.type === "error" ? reason(message.payload) : null;
  }
}
