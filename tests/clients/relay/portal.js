// The documents of a portal on Relay: what its compiler has to understand of our schema.

import { graphql } from "relay-runtime";

export const person = graphql`
  fragment portal_person on User {
    displayName
    manager {
      displayName
    }
  }
`;

export const people = graphql`
  fragment portal_people on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 7 }, cursor: { type: "String" })
  @refetchable(queryName: "portalPeoplePageQuery") {
    users(first: $count, after: $cursor) @connection(key: "portal_users") {
      edges {
        node {
          id
          ...portal_person
        }
      }
    }
  }
`;

export const refetched = graphql`
  fragment portal_request on AccessRequest @refetchable(queryName: "portalRequestAgainQuery") {
    state
    stages {
      kind
      status
      ... on RiskApprovalStage {
        source
      }
    }
  }
`;

export const page = graphql`
  query portalPageQuery {
    viewer {
      user {
        ...portal_person
      }
    }
    ...portal_people
  }
`;

export const submit = graphql`
  mutation portalSubmitMutation($input: SubmitAccessRequestInput!) {
    submitAccessRequest(input: $input) {
      request {
        id
        ...portal_request
      }
      userErrors {
        code
        field
      }
    }
  }
`;

export const created = graphql`
  subscription portalCreatedSubscription($after: String) {
    pendingRiskApprovalCreated(after: $after) {
      cursor
      stage {
        id
        request {
          id
          requestor {
            ...portal_person
          }
        }
      }
    }
  }
`;
