// Relay: its compiler on our schema, and its runtime with what it made.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import { WebSocket } from "ws";

import { Server, root } from "./support/server.mjs";
import { aliceTakesBack, eventCursor, packageId } from "./support/story.mjs";

const {
  Environment,
  Network,
  Observable,
  RecordSource,
  Store,
  commitMutation,
  fetchQuery,
  getSingularSelector,
  requestSubscription,
} = relay;

const COMPILER = join(import.meta.dirname, "node_modules/relay-compiler/cli.js");
const CONFIGURATION = {
  src: "./src",
  schema: "./schema.graphql",
  artifactDirectory: "./made",
  language: "javascript",
  eagerEsModules: false,
  customScalarTypes: { DateTime: "string", Duration: "string" },
};

suite("Relay", () => {
  const folder = mkdtempSync(join(tmpdir(), "riskgate-relay-"));
  const made = (name) => createRequire(import.meta.url)(join(folder, "made", `${name}.graphql.js`));
  let server;

  before(async () => {
    server = await Server.start();
    for (const name of ["src", "made"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "relay.config.json"), JSON.stringify(CONFIGURATION));
    copyFileSync(join(root, "schema.graphql"), join(folder, "schema.graphql"));
    copyFileSync(join(import.meta.dirname, "relay/portal.js"), join(folder, "src/portal.js"));
    execFileSync(process.execPath, [COMPILER], { cwd: folder, stdio: "pipe" });
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await server?.stop();
  });

  const connect = (name) => {
    const socket = createClient({
      url: server.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: server.headers(name),
    });
    const headers = server.headers(name);
    const ask = ({ text: query, name: operationName }, variables) =>
      server.post(headers, { query, operationName, variables });
    const listen = ({ text: query, name: operationName }, variables) =>
      Observable.create((sink) => socket.subscribe({ query, operationName, variables }, sink));
    const environment = new Environment({ network: Network.create(ask, listen), store: new Store(new RecordSource()) });
    return { environment, dispose: () => socket.dispose() };
  };

  const read = (environment, fragment, reference) =>
    environment.lookup(getSingularSelector(made(fragment), reference)).data;

  const change = (environment, mutation, variables) =>
    new Promise((resolve, reject) => {
      commitMutation(environment, { mutation, variables, onCompleted: resolve, onError: reject });
    });

  test("a connection is paged through to its end, and its fragments are read from the store", async () => {
    const { environment } = connect("sam");
    const data = await fetchQuery(environment, made("portalPageQuery"), {}).toPromise();
    assert.equal(read(environment, "portal_person", data.viewer.user).displayName, "Sam Okafor");

    let { users } = read(environment, "portal_people", data);
    assert.equal(users.edges.length, 7);
    while (users.pageInfo.hasNextPage) {
      const variables = { count: 7, cursor: users.pageInfo.endCursor };
      await fetchQuery(environment, made("portalPeoplePageQuery"), variables).toPromise();
      ({ users } = read(environment, "portal_people", data));
    }
    const names = users.edges.map(({ node }) => read(environment, "portal_person", node).displayName);
    assert.equal(names.length, 18);
    assert.deepEqual(names, names.toSorted());
  });

  test("a mutation, an event of it, and the object again by its id", async () => {
    const sam = connect("sam");
    const heard = Promise.withResolvers();
    const stream = requestSubscription(sam.environment, {
      subscription: made("portalCreatedSubscription"),
      variables: { after: await eventCursor(server) },
      onNext: heard.resolve,
      onError: heard.reject,
    });

    const { environment } = connect("alice");
    const input = { accessPackageId: await packageId(server, "Finance data"), justification: "Quarterly report." };
    const { submitAccessRequest } = await change(environment, made("portalSubmitMutation"), { input });
    assert.deepEqual(submitAccessRequest.userErrors, []);
    const { request } = submitAccessRequest;
    assert.equal(read(environment, "portal_request", request).state, "PENDING_APPROVAL");

    const { pendingRiskApprovalCreated } = await heard.promise;
    assert.equal(pendingRiskApprovalCreated.stage.request.id, request.id);
    const { requestor } = pendingRiskApprovalCreated.stage.request;
    assert.equal(read(sam.environment, "portal_person", requestor).displayName, "Alice Moreau");
    stream.dispose();
    await sam.dispose();

    await aliceTakesBack(server, request.id);
    await fetchQuery(environment, made("portalRequestAgainQuery"), { id: request.id }).toPromise();
    assert.equal(read(environment, "portal_request", request).state, "CANCELED");
  });

  test("what the schema has not, the compiler refuses", () => {
    const source = join(folder, "src/wrong.js");
    writeFileSync(source, "graphql`query wrongQuery { viewer { user { nothing } } }`;");
    assert.throws(
      () => execFileSync(process.execPath, [COMPILER, "--validate"], { cwd: folder, stdio: "pipe" }),
      (error) => {
        assert.match(String(error.stderr) + String(error.stdout), /nothing/);
        return true;
      },
    );
    rmSync(source);
  });
});
