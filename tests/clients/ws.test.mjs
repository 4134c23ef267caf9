// graphql-transport-ws with its reference client, graphql-ws.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, suite, test } from "node:test";

import { CloseCode, createClient } from "graphql-ws";
import { WebSocket } from "ws";

import { Server } from "./support/server.mjs";
import {
  CREATED,
  PENDING,
  SUBMIT,
  aliceAsks,
  aliceTakesBack,
  eventCursor,
  metric,
  packageId,
  until,
} from "./support/story.mjs";

suite("graphql-ws", () => {
  let server;
  const clients = [];

  before(async () => {
    server = await Server.start();
  });
  after(async () => {
    for (const client of clients) await client.dispose();
    await server?.stop();
  });

  const connect = (name, more = {}) => {
    const client = createClient({
      url: server.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: name && server.headers(name),
      retryAttempts: 0,
      ...more,
    });
    clients.push(client);
    return client;
  };

  const only = async (results) => {
    const { value } = await results.next();
    assert.deepEqual(await results.next(), { done: true, value: undefined });
    return value;
  };

  test("a query is answered once, and is complete", async () => {
    const query = "query Me { viewer { user { displayName } directoryRoles } }";
    assert.deepEqual(await only(connect("sam").iterate({ query })), {
      data: { viewer: { user: { displayName: "Sam Okafor" }, directoryRoles: ["SECURITY_ADMINISTRATOR"] } },
    });
  });

  test("a mutation with variables is answered once, and is complete", async () => {
    const variables = { input: { accessPackageId: await packageId(server, "Wiki") } };
    const { data } = await only(connect("zoe").iterate({ query: SUBMIT, variables, operationName: "Submit" }));
    assert.deepEqual(data.submitAccessRequest.userErrors, []);
    assert.equal(data.submitAccessRequest.request.state, "DELIVERED");
  });

  test("many operations share a socket, and each gets its own answer", async () => {
    let opened = 0;
    const client = connect("ines", { on: { opened: () => (opened += 1) } });
    const names = ["Wiki", "Finance data", "Production access"];
    const query = "query($search: String) { accessPackages(filter: { search: $search }) { nodes { displayName } } }";
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, at) => only(client.iterate({ query, variables: { search: names[at % 3] } }))),
    );
    answers.forEach(({ data }, at) => assert.deepEqual(data.accessPackages.nodes, [{ displayName: names[at % 3] }]));
    assert.equal(opened, 1);
  });

  test("a subscription tells what happens, and after a lost connection it resumes where it was told to", async () => {
    let opened = 0;
    const client = connect("sam", { retryAttempts: 5, retryWait: async () => {}, on: { opened: () => (opened += 1) } });
    const variables = { after: await eventCursor(server) };
    const events = client.iterate({ query: CREATED, variables });
    const id = await aliceAsks(server);
    const first = (await events.next()).value.data.pendingRiskApprovalCreated;
    assert.equal(first.stage.source, "ID_PROTECTION");
    assert.deepEqual(first.stage.request, { id, requestor: { displayName: "Alice Moreau" } });

    client.terminate();
    const again = (await events.next()).value.data.pendingRiskApprovalCreated;
    assert.deepEqual(again, first);
    assert.equal(opened, 2);

    // The next one is another: nothing is told twice on one connection.
    await aliceTakesBack(server, id);
    const next = await aliceAsks(server);
    const second = (await events.next()).value.data.pendingRiskApprovalCreated;
    assert.equal(second.stage.request.id, next);

    const running = await metric(server, "riskgate_subscriptions");
    await events.return();
    await until(async () => (await metric(server, "riskgate_subscriptions")) === running - 1);
    await aliceTakesBack(server, next);
  });

  test("a subscription that ends by itself is complete for the client too", async () => {
    const requestId = await aliceAsks(server);
    const query = `
      subscription($requestId: ID!) { accessRequestUpdated(requestId: $requestId) { request { state } } }`;
    const changes = connect("alice").iterate({ query, variables: { requestId } });
    const state = ({ value }) => value.data.accessRequestUpdated.request.state;
    assert.equal(state(await changes.next()), "PENDING_APPROVAL");
    await aliceTakesBack(server, requestId);
    assert.equal(state(await changes.next()), "CANCELED");
    assert.equal((await changes.next()).done, true);
  });

  test("a refused document ends its own operation and no other", async () => {
    const client = connect("sam");
    const events = client.iterate({ query: CREATED, variables: { after: await eventCursor(server) } });
    const waiting = events.next();
    for (const query of ["{ nothing }", "{", "query($x: Nothing) { viewer { user { id } } }"]) {
      await assert.rejects(only(client.iterate({ query })), (errors) => {
        assert.ok(Array.isArray(errors));
        assert.ok(errors.length > 0);
        for (const error of errors) assert.equal(error.extensions.code, "BAD_USER_INPUT");
        return true;
      });
    }
    const { data } = await only(client.iterate({ query: PENDING }));
    assert.ok(Array.isArray(data.pendingRiskApprovals.nodes));
    const id = await aliceAsks(server);
    assert.equal((await waiting).value.data.pendingRiskApprovalCreated.stage.request.id, id);
    await events.return();
    await aliceTakesBack(server, id);
  });

  test("the client's pings are answered, with their payload", async () => {
    const { promise, resolve } = Promise.withResolvers();
    const client = connect("sam", {
      lazy: false,
      keepAlive: 30,
      on: {
        ping: (received) => received || resolve("ping"),
        pong: (received) => received && resolve("pong"),
      },
    });
    clients.push(client);
    await promise;
    const socket = new WebSocket(server.socketUrl, "graphql-transport-ws");
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "ping", payload: { at: [1, "zwei", null] } }));
    const [pong] = await once(socket, "message");
    assert.deepEqual(JSON.parse(pong), { type: "pong", payload: { at: [1, "zwei", null] } });
    socket.close();
  });

  test("an id is free again when its operation has ended", async () => {
    const client = connect("sam", { generateID: () => "the only one" });
    for (let round = 0; round < 3; round += 1) assert.ok((await only(client.iterate({ query: PENDING }))).data);
  });

  test("an id that is in use closes the socket, and the client knows why", async () => {
    const client = connect("sam", { generateID: () => "the only one" });
    const running = client.iterate({ query: CREATED }).next();
    await assert.rejects(Promise.all([running, client.iterate({ query: CREATED }).next()]), {
      code: CloseCode.SubscriberAlreadyExists,
      reason: "Subscriber for the only one already exists",
    });
  });

  for (const [who, connectionParams] of [
    ["no token", undefined],
    ["a token that is none", { authorization: "Bearer nonsense" }],
    ["a disabled person's token", () => server.headers("dan")],
  ]) {
    test(`${who} opens nothing`, async () => {
      const client = connect(undefined, { connectionParams });
      await assert.rejects(client.iterate({ query: PENDING }).next(), {
        code: CloseCode.Forbidden,
        reason: "Forbidden",
      });
    });
  }

  test("a socket that the client closes is closed by both", async () => {
    const { promise, resolve } = Promise.withResolvers();
    const client = connect("sam", { on: { closed: resolve } });
    await only(client.iterate({ query: PENDING }));
    const { code, wasClean } = await promise;
    assert.deepEqual({ code, wasClean }, { code: 1000, wasClean: true });
  });

  test("the legacy protocol of the same name is not spoken", async () => {
    const socket = new WebSocket(server.socketUrl, "graphql-ws");
    const [error] = await once(socket, "error");
    assert.equal(error.message, "Server sent no subprotocol");
  });
});
