// A typed portal: what graphql-codegen's client preset makes of our schema has to fit under `tsc --strict`, and to be right.

import { type TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";

import { type FragmentType, graphql, useFragment } from "./made/gql/index.js";
import { type Decision } from "./made/gql/graphql.js";

const Row = graphql(`
  fragment Row on AccessRequest {
    id
    state
    createdAt
    completedAt
    requestor {
      displayName
    }
    stages {
      kind
      dueAt
      ... on RiskApprovalStage {
        source
        evaluation {
          level
        }
      }
    }
  }
`);

const Requests = graphql(`
  query Requests($first: Int!, $filter: AccessRequestFilter) {
    accessRequests(first: $first, filter: $filter) {
      totalCount
      nodes {
        ...Row
      }
    }
  }
`);

const Decide = graphql(`
  mutation Decide($input: DecideApprovalStageInput!) {
    decideApprovalStage(input: $input) {
      stage {
        __typename
        id
        status
      }
      userErrors {
        code
        field
      }
    }
  }
`);

const Approvers = graphql(`
  mutation Approvers($approvers: [SubjectSetInput!]) {
    updateInsiderRiskApproval(input: { approvers: $approvers }) {
      userErrors {
        code
      }
    }
  }
`);

const Created = graphql(`
  subscription Created($after: String) {
    pendingRiskApprovalCreated(after: $after) {
      cursor
      stage {
        id
      }
    }
  }
`);

export async function ask<R, V>(document: TypedDocumentNode<R, V>, variables: V): Promise<R> {
  const response = await fetch(process.env["URL"] ?? "", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: process.env["AUTHORIZATION"] ?? "" },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

function line(reference: FragmentType<typeof Row>): string {
  const row = useFragment(Row, reference);
  const created: string = row.createdAt;
  const completed: string | null | undefined = row.completedAt;
  const risks = row.stages.map((stage) => ("evaluation" in stage ? stage.evaluation.level : stage.kind));
  return [row.state, created, completed ?? "open", row.requestor.displayName, ...risks].join(" ");
}

const { accessRequests } = await ask(Requests, { first: 5, filter: { states: ["DENIED"] } });
for (const node of accessRequests?.nodes ?? []) console.log(line(node));

const decision: Decision = "DENY";
const { decideApprovalStage } = await ask(Decide, { input: { stageId: "stg_nothing", decision } });
console.log(decideApprovalStage?.userErrors.map(({ code }) => code).join());

// What the types have to refuse. Never run.
export function wrong(document: typeof Created): void {
  // @ts-expect-error: a page needs its size
  void ask(Requests, {});
  // @ts-expect-error: a size is a number
  void ask(Requests, { first: "5" });
  // @ts-expect-error: no such state
  void ask(Requests, { first: 5, filter: { states: ["NOTHING"] } });
  // @ts-expect-error: null is no decision
  void ask(Decide, { input: { stageId: "x", decision: null } });
  // @ts-expect-error: the list may be null
  void accessRequests.nodes;
  // @ts-expect-error: exactly one member
  void ask(Approvers, { approvers: [{ userId: "x", groupId: "y" }] });
  // @ts-expect-error: a cursor is a text
  void ask(document, { after: 5 });
}
