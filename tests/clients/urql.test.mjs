// urql 6: its cache, its persisted exchange, subscriptions over both kinds of streams.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

import { Server } from "./support/server.mjs";
import { CANCEL, CREATED, SUBMIT, aliceAsks, aliceTakesBack, eventCursor, packageId } from "./support/story.mjs";

const PEOPLE = "query People($first: Int) { users(first: $first) { nodes { id displayName } } }";

suite("urql", () => {
  let server;

  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  /** A client of somebody, and the requests that it sends. */
  const connect = (name, { exchanges = [cacheExchange, fetchExchange], ...options } = {}) => {
    const sent = [];
    const headers = name ? server.headers(name) : {};
    const client = new Client({
      url: server.url,
      exchanges,
      fetchOptions: { headers },
      preferGetMethod: false,
      fetch: (url, init) => {
        sent.push({ method: init.method, url: new URL(url), body: init.body && JSON.parse(init.body) });
        return fetch(url, init);
      },
      ...options,
    });
    return { client, sent };
  };

  /** The first result of a subscription, after something was done. */
  const firstEvent = async (client, variables, act) => {
    const heard = Promise.withResolvers();
    const { unsubscribe } = client.subscription(CREATED, variables).subscribe(heard.resolve);
    const id = await act();
    const { data, error } = await heard.promise;
    unsubscribe();
    assert.equal(error?.message, undefined);
    assert.equal(data.pendingRiskApprovalCreated.stage.request.id, id);
    await aliceTakesBack(server, id);
  };

  test("a query is asked once, and then known", async () => {
    const { client, sent } = connect("sam");
    for (let round = 0; round < 2; round += 1) {
      const { data, error } = await client.query(PEOPLE, { first: 3 });
      assert.equal(error?.message, undefined);
      assert.equal(data.users.nodes.length, 3);
    }
    assert.equal(sent.length, 1);
  });

  test("mutations, and what they refuse", async () => {
    const { client } = connect("alice");
    const input = { accessPackageId: await packageId(server, "Production access") };
    const { data } = await client.mutation(SUBMIT, { input });
    assert.deepEqual(data.submitAccessRequest.userErrors, [
      { code: "JUSTIFICATION_REQUIRED", __typename: "UserError" },
    ]);
    const { error } = await client.mutation(CANCEL, { input: {} });
    assert.equal(error.graphQLErrors[0].extensions.code, "BAD_USER_INPUT");
  });

  test("an error of a field comes with its code and the rest of the data", async () => {
    const { client } = connect("zoe");
    const { data, error } = await client.query("{ viewer { user { id } } auditEvents(first: 1) { nodes { id } } }", {});
    assert.equal(error.graphQLErrors[0].extensions.code, "FORBIDDEN");
    assert.equal(data.auditEvents, null);
    assert.ok(data.viewer.user.id);
  });

  test("without a token the answer says so", async () => {
    const { client } = connect(undefined);
    const { error } = await client.query(PEOPLE, {});
    assert.equal(error.response.status, 401);
  });

  for (const preferGetForPersistedQueries of [false, true]) {
    const how = preferGetForPersistedQueries ? "GET" : "POST";
    test(`a hash alone by ${how} is refused so that the persisted exchange sends documents from then on`, async () => {
      const exchanges = [persistedExchange({ preferGetForPersistedQueries }), fetchExchange];
      const { client, sent } = connect("sam", { exchanges });
      for (const first of [1, 2, 3]) {
        const { data, error } = await client.query(PEOPLE, { first });
        assert.equal(error?.message, undefined);
        assert.equal(data.users.nodes.length, first);
      }
      const [hash, ...documents] = sent;
      assert.equal(hash.method, how);
      const { query, extensions } = hash.body ?? Object.fromEntries(hash.url.searchParams);
      assert.ok(!query);
      assert.ok(JSON.stringify(extensions).includes("sha256Hash"));
      assert.equal(documents.length, 3);
      for (const { body, url } of documents) assert.ok(body?.query ?? url.searchParams.get("query"));
    });
  }

  test("a subscription over a WebSocket", async () => {
    const socket = createClient({
      url: server.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: server.headers("sam"),
    });
    const forwardSubscription = ({ query, variables, operationName }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables, operationName }, sink) }),
    });
    const { client } = connect("sam", { exchanges: [subscriptionExchange({ forwardSubscription })] });
    await firstEvent(client, { after: await eventCursor(server) }, () => aliceAsks(server));
    await socket.dispose();
  });

  test("a subscription over server-sent events", async () => {
    const { client, sent } = connect("sam", { exchanges: [fetchExchange], fetchSubscriptions: true });
    await firstEvent(client, { after: await eventCursor(server) }, () => aliceAsks(server));
    assert.equal(sent.length, 1);
  });
});
