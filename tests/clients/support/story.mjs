// What the tests tell of the demo world: alice, whose account is at HIGH risk, asks for access, and sam, who decides about such risk,
// hears of it.

import assert from "node:assert/strict";

export const PENDING = `
  query Pending {
    pendingRiskApprovals { eventCursor nodes { id } }
  }`;

export const CREATED = `
  subscription Created($after: String) {
    pendingRiskApprovalCreated(after: $after) {
      cursor
      stage { id source request { id requestor { displayName } } }
    }
  }`;

export const SUBMIT = `
  mutation Submit($input: SubmitAccessRequestInput!) {
    submitAccessRequest(input: $input) { request { id state } userErrors { code } }
  }`;

export const CANCEL = `
  mutation Cancel($input: CancelAccessRequestInput!) {
    cancelAccessRequest(input: $input) { request { state } userErrors { code } }
  }`;

/** The id of a package of the demo world. */
export async function packageId(server, search) {
  const query = "query Find($search: String) { accessPackages(filter: { search: $search }) { nodes { id } } }";
  const { accessPackages } = await server.ask("ines", query, { search });
  assert.equal(accessPackages.nodes.length, 1);
  return accessPackages.nodes[0].id;
}

/** Alice asks for the finance data; tells the request's id. */
export async function aliceAsks(server) {
  const input = { accessPackageId: await packageId(server, "Finance data"), justification: "Quarterly report." };
  const { submitAccessRequest } = await server.ask("alice", SUBMIT, { input });
  assert.deepEqual(submitAccessRequest.userErrors, []);
  return submitAccessRequest.request.id;
}

/** Alice takes her request back, so that she may ask again. */
export async function aliceTakesBack(server, requestId) {
  const { cancelAccessRequest } = await server.ask("alice", CANCEL, { input: { requestId } });
  assert.deepEqual(cancelAccessRequest, { request: { state: "CANCELED" }, userErrors: [] });
}

/** Where sam begins to listen: what was there before is left out, what comes from now on is not. */
export async function eventCursor(server) {
  return (await server.ask("sam", PENDING)).pendingRiskApprovals.eventCursor;
}

/** A value of the metrics page. */
export async function metric(server, name) {
  const text = await (await fetch(`${server.origin}/metrics`)).text();
  const [, value] = text.match(new RegExp(`^${name} (\\d+)$`, "m")) ?? assert.fail(`no ${name} in ${text}`);
  return Number(value);
}

/** Waits until a condition holds; the runner's time-out ends it otherwise. */
export async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
