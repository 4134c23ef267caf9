// The server and graphql-js agree about every document of the corpus, whatever it comes over.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { WebSocket } from "ws";

import { corpus } from "./oracle/corpus.mjs";
import { refusal as expected } from "./oracle/oracle.mjs";
import { Socket, refusal as actual } from "./oracle/server.mjs";
import { Server } from "./support/server.mjs";

suite("conformance", () => {
  const requests = corpus().map((request) => ({ ...request, expected: expected(request) }));
  let server;
  let headers;

  before(async () => {
    server = await Server.start();
    headers = server.headers("rhea");
  });
  after(() => server.stop());

  /** Those about which the two differ, a few of them in full. */
  const disagreements = async (ask) => {
    const differ = [];
    for (const request of requests) {
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
    assert.deepEqual(await disagreements((request) => actual(server.url, headers, request)), { count: 0, some: [] });
  });

  test("over a WebSocket", async () => {
    const socket = await Socket.open(new WebSocket(server.socketUrl, "graphql-transport-ws"), headers);
    assert.deepEqual(await disagreements((request) => socket.refusal(request)), { count: 0, some: [] });
    socket.close();
  });
});
