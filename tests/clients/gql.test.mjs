// Python's gql, over HTTP and over a WebSocket.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { Server } from "./support/server.mjs";
import { aliceAsks, aliceTakesBack, eventCursor, packageId } from "./support/story.mjs";

const PYTHON = join(import.meta.dirname, "venv/bin/python");
const STORIES = join(import.meta.dirname, "python/stories.py");

suite("gql", () => {
  let server;

  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  /** What a story tells. */
  const tell = async (story, token, variables = {}) => {
    const args = [STORIES, story, server.url, server.socketUrl, token, JSON.stringify(variables)];
    const { stdout } = await promisify(execFile)(PYTHON, args);
    return JSON.parse(stdout);
  };

  test("the schema is asked for, and documents are judged with it", async () => {
    const { types, refused } = await tell("schema", server.token("zoe"));
    assert.ok(types > 80, `${types} types`);
    assert.equal(refused, "Cannot query field 'nothing' on type 'Query'.");
  });

  for (const story of ["query", "query_over_socket"]) {
    test(story.replaceAll("_", " "), async () => {
      const { users } = await tell(story, server.token("sam"), { first: 2 });
      assert.deepEqual(users, {
        totalCount: 18,
        nodes: [{ displayName: "Ada Lovett" }, { displayName: "Alice Moreau" }],
      });
    });
  }

  test("many at once", async () => {
    assert.deepEqual(await tell("many", server.token("sam")), { answers: 20, same: true });
  });

  test("a mutation", async () => {
    const input = { accessPackageId: await packageId(server, "Wiki") };
    const { submitAccessRequest } = await tell("mutation", server.token("zoe"), { input });
    assert.deepEqual(submitAccessRequest.userErrors, []);
    assert.equal(submitAccessRequest.request.state, "DELIVERED");
  });

  test("a refused document has a code", async () => {
    const [error] = await tell("refused", server.token("zoe"));
    assert.equal(error.extensions.code, "BAD_USER_INPUT");
  });

  test("an error of a field comes with the rest of the data", async () => {
    const { errors, data } = await tell("field_error", server.token("zoe"));
    assert.deepEqual(
      errors.map(({ path, extensions }) => [path, extensions.code]),
      [[["auditEvents"], "FORBIDDEN"]],
    );
    assert.deepEqual(data, { viewer: { user: { displayName: "Zoe Kim" } }, auditEvents: null });
  });

  test("a token that is none is told", async () => {
    const [error] = await tell("nobody", "nonsense");
    assert.equal(error.extensions.code, "UNAUTHENTICATED");
    assert.deepEqual(await tell("nobody_over_socket", "nonsense"), { code: 4403, reason: "Forbidden" });
  });

  test("a subscription hears of what happens, while a query runs on the same socket", async () => {
    const before = await eventCursor(server);
    const id = await aliceAsks(server);
    const told = await tell("subscription", server.token("sam"), { after: before });
    const { pendingRiskApprovalCreated, totalCount } = told;
    assert.deepEqual(pendingRiskApprovalCreated.stage.request, { id, requestor: { displayName: "Alice Moreau" } });
    assert.equal(totalCount, 18);
    await aliceTakesBack(server, id);
  });
});
