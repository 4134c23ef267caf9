// The server and graphql-js agree about every document of the corpus, whatever it comes over.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { WebSocket } from "ws";

import { corpus } from "./oracle/corpus.mjs";
import { refusal as expected } from "./oracle/oracle.mjs";
import { Socket, refusal as actual, refusalOfEvents } from "./oracle/server.mjs";
import { Server } from "./support/server.mjs";

suite("conformance", () => {
  const requests = corpus().map((request) => ({ ...request, expected: expected(request) }));
  let server;
  let headers;

  before(async () => {
    server = await Server.start();
    headers = server.headers("rhea");
  });
  after(() => server?.stop());

  /** Those about which the two differ, a few of them in full. */
  const disagreements = async (asked, ask) => {
    const differ = [];
    for (const request of asked) {
      const ours = await ask(request);
      if ((ours === null) !== (request.expected === null)) differ.push({ ...request, ours });
    }
    return { count: differ.length, some: differ.slice(0, 5) };
  };

  test("the corpus has much of both", () => {
    const accepted = requests.filter((request) => request.expected === null).length;
    assert.ok(accepted > 500, `${accepted} accepted`);
    assert.ok(requests.length - accepted > 1000, `${requests.length - accepted} refused`);
  });

  test("over HTTP", async () => {
    const found = await disagreements(requests, (request) => actual(server.url, headers, request));
    assert.deepEqual(found, { count: 0, some: [] });
  });

  test("over server-sent events", async () => {
    const found = await disagreements(requests, (request) => refusalOfEvents(server.url, headers, request));
    assert.deepEqual(found, { count: 0, some: [] });
  });

  test("over a WebSocket", async () => {
    const socket = await Socket.open(new WebSocket(server.socketUrl, "graphql-transport-ws"), headers);
    const asked = requests.filter(({ document }) => !document.includes("subscription"));
    const found = await disagreements(asked, (request) => socket.refusal(request));
    socket.close();
    assert.deepEqual(found, { count: 0, some: [] });
  });
});
