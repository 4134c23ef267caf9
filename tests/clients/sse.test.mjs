// GraphQL over server-sent events, in distinct connections, with the protocol's reference client, graphql-sse.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { createClient } from "graphql-sse";

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

suite("graphql-sse", () => {
  let server;

  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  const connect = (name, more = {}) =>
    createClient({ url: server.url, headers: name && server.headers(name), retryAttempts: 0, ...more });

  const only = async (results) => {
    const { value } = await results.next();
    assert.deepEqual(await results.next(), { done: true, value: undefined });
    return value;
  };

  test("a query is answered once, and is complete", async () => {
    const query = "query Me { viewer { user { displayName } } }";
    assert.deepEqual(await only(connect("sam").iterate({ query })), {
      data: { viewer: { user: { displayName: "Sam Okafor" } } },
    });
  });

  test("a mutation with variables is answered once, and is complete", async () => {
    const variables = { input: { accessPackageId: await packageId(server, "Wiki") } };
    const { data } = await only(connect("zoe").iterate({ query: SUBMIT, variables, operationName: "Submit" }));
    assert.deepEqual(data.submitAccessRequest.userErrors, []);
  });

  test("a subscription tells what happens, and resumes after a cursor", async () => {
    const client = connect("sam");
    const events = client.iterate({ query: CREATED, variables: { after: await eventCursor(server) } });
    const seen = [];
    for (let round = 0; round < 2; round += 1) {
      const id = await aliceAsks(server);
      const event = (await events.next()).value.data.pendingRiskApprovalCreated;
      assert.equal(event.stage.request.id, id);
      seen.push(event);
      await aliceTakesBack(server, id);
    }
    const running = await metric(server, "riskgate_subscriptions");
    await events.return();
    await until(async () => (await metric(server, "riskgate_subscriptions")) === running - 1);

    const id = await aliceAsks(server);
    const resumed = client.iterate({ query: CREATED, variables: { after: seen[1].cursor } });
    assert.equal((await resumed.next()).value.data.pendingRiskApprovalCreated.stage.request.id, id);
    await resumed.return();
    await aliceTakesBack(server, id);
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

  for (const query of ["{ nothing }", "{", "subscription { pendingRiskApprovalCreated { nothing } }"]) {
    test(`${query} is refused in a result without data`, async () => {
      const result = await only(connect("sam").iterate({ query }));
      assert.equal("data" in result, false);
      assert.equal(result.errors[0].extensions.code, "BAD_USER_INPUT");
    });
  }

  for (const [who, headers] of [
    ["no token", undefined],
    ["a token that is none", { authorization: "Bearer nonsense" }],
    ["a disabled person's token", () => server.headers("dan")],
  ]) {
    test(`${who} opens nothing`, async () => {
      const client = connect(undefined, { headers });
      await assert.rejects(client.iterate({ query: PENDING }).next(), (error) => {
        assert.equal(error.response.status, 401);
        assert.equal(error.response.headers.get("www-authenticate"), "Bearer");
        return true;
      });
    });
  }
});
