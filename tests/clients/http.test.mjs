// GraphQL over HTTP: the public audit suite of graphql-http, one test for each audit.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { serverAudits } from "graphql-http";

import { Server } from "./support/server.mjs";

const AUDITS = 61;

suite("graphql-http", () => {
  let server;
  let headers;

  before(async () => {
    server = await Server.start();
    headers = server.headers("sam");
  });
  after(() => server?.stop());

  const audits = serverAudits({
    url: () => server.url,
    fetchFn: (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
  });

  test("the suite has all its audits", () => assert.equal(audits.length, AUDITS));

  for (const { id, name, fn } of audits) {
    test(`${id} ${name}`, async () => {
      const { status, reason, response } = await fn();
      assert.equal(status, "ok", reason && `${reason} (answered with ${response?.status})`);
    });
  }
});
