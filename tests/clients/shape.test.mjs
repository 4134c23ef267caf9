// Answers have exactly the keys, the order, the kinds of values and the nulls of the specification: random queries of several
// people, checked against the schema and the document alone.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { Dice } from "./oracle/dice.mjs";
import { randomRequest } from "./oracle/document.mjs";
import { refusal } from "./oracle/oracle.mjs";
import { check, telling } from "./oracle/shape.mjs";
import { Server } from "./support/server.mjs";

const SEED = 20250903;
const QUERIES = 300;

// What the checker has to see, lest it praise anything.
const DOCUMENT = `{
  viewer { directoryRoles user { displayName manager { id } } }
  catalogs(first: 1) { nodes { accessPackages(first: -1) { totalCount } } }
  node(id: "x") { concrete__: __typename id ... on User { isEnabled } }
}`;
const RIGHT = {
  data: {
    viewer: { directoryRoles: ["GLOBAL_READER"], user: { displayName: "Glen Hughes", manager: null } },
    catalogs: null,
    node: { concrete__: "User", id: "usr_1", isEnabled: true },
  },
  errors: [{ message: "no", path: ["catalogs", "nodes", 0, "accessPackages"] }],
};
const WRONG = {
  "a key less": ({ data }) => delete data.viewer.user.manager,
  "a key more": ({ data }) => (data.viewer.user.id = "usr_1"),
  "another order": ({ data }) => (data.viewer.user = { manager: null, displayName: "Glen Hughes" }),
  "another kind": ({ data }) => (data.viewer.user.displayName = 5),
  "an unknown word": ({ data }) => (data.viewer.directoryRoles[0] = "NOBODY"),
  "no list": ({ data }) => (data.viewer.directoryRoles = "GLOBAL_READER"),
  "null where none may be": ({ data }) => (data.viewer.user.displayName = null),
  "a type that it cannot be": ({ data }) => (data.node.concrete__ = "Viewer"),
  "another type's fields": ({ data }) => (data.node.concrete__ = "Group"),
  "a member of its own": (answer) => (answer.status = 200),
  "no data": (answer) => delete answer.data,
  "an error for nothing": ({ errors }) => (errors[0].path = ["viewer", "user"]),
  "an error of no field": ({ errors }) => (errors[0].path = ["catalogs", "edges"]),
  "an error without a path": ({ errors }) => delete errors[0].path,
  "an error where no null is": ({ errors }) => (errors[0].path = ["node", "id"]),
  "no errors in a list of them": (answer) => Object.assign(answer, { errors: [] }),
};

test("the checker praises what is right, and nothing else", () => {
  check({ document: DOCUMENT }, RIGHT);
  for (const [what, spoil] of Object.entries(WRONG)) {
    const answer = structuredClone(RIGHT);
    spoil(answer);
    assert.throws(() => check({ document: DOCUMENT }, answer), assert.AssertionError, what);
  }
  const tooFar = structuredClone(RIGHT);
  tooFar.data = null;
  assert.throws(() => check({ document: DOCUMENT }, tooFar), /no reason for null/);
});

suite("shapes", () => {
  let server;

  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  for (const [person, name] of ["ada", "rhea", "mona", "alice"].entries()) {
    test(`${QUERIES} random queries of ${name}`, async () => {
      const dice = new Dice(SEED + person);
      const headers = { ...server.headers(name), "content-type": "application/json" };
      let objects = 0;
      let failed = 0;
      for (let at = 0; at < QUERIES;) {
        const request = randomRequest(dice, "query");
        request.document = telling(request.document);
        if (refusal(request)) continue;
        at += 1;
        const { document: query, operationName, variables } = request;
        const body = JSON.stringify({ query, operationName, variables: JSON.parse(variables) });
        const response = await fetch(server.url, { method: "POST", headers, body });
        const text = await response.text();
        const answer = JSON.parse(text);
        try {
          // Also nothing that reading JSON would hide, such as a key that stands there twice.
          assert.equal(JSON.stringify(answer), text);
          check(request, answer);
        } catch (error) {
          throw new Error(`${error.message}\n${query}\n${variables}\n${text}`, { cause: error });
        }
        objects += text.split("{").length;
        failed += answer.errors?.length ?? 0;
      }
      // A world in which nothing is there, or nothing fails, would show nothing.
      assert.ok(objects > 5 * QUERIES, `only ${objects} objects`);
      assert.ok(failed > QUERIES / 10, `only ${failed} errors`);
    });
  }
});
