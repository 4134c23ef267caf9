// Apollo Client 4: cache, links, persisted queries, subscriptions.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, suite, test } from "node:test";

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

import { Server } from "./support/server.mjs";
import { CREATED, SUBMIT, aliceTakesBack, eventCursor, packageId } from "./support/story.mjs";

const PEOPLE = gql`
  query People($first: Int, $after: String) {
    users(first: $first, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        cursor
        node {
          id
          displayName
        }
      }
    }
  }
`;

suite("Apollo Client", () => {
  let server;
  let possibleTypes;

  before(async () => {
    server = await Server.start();
    // What Apollo's documentation tells to ask for.
    const { __schema } = await server.ask("sam", "{ __schema { types { kind name possibleTypes { name } } } }");
    const abstract = __schema.types.filter((type) => type.possibleTypes);
    possibleTypes = Object.fromEntries(abstract.map((type) => [type.name, type.possibleTypes.map(({ name }) => name)]));
  });
  after(() => server?.stop());

  const cache = () =>
    new InMemoryCache({
      possibleTypes,
      typePolicies: { Query: { fields: { users: relayStylePagination() } } },
    });

  /** A client of somebody, and the requests that it sends. */
  const connect = (name, { links = [], ...options } = {}) => {
    const sent = [];
    const http = new HttpLink({
      uri: server.url,
      headers: name && server.headers(name),
      fetch: (url, init) => {
        sent.push({ method: init.method, url: new URL(url), body: init.body && JSON.parse(init.body) });
        return fetch(url, init);
      },
      ...options,
    });
    return { client: new ApolloClient({ cache: cache(), link: ApolloLink.from([...links, http]) }), sent };
  };

  test("pages are read one after the other into one list", async () => {
    const { client, sent } = connect("sam");
    const read = { query: PEOPLE, variables: { first: 7 } };
    const people = client.watchQuery(read);
    let page = await client.query(read);
    while (page.data.users.pageInfo.hasNextPage) {
      page = await people.fetchMore({ variables: { after: page.data.users.pageInfo.endCursor } });
    }
    const data = client.readQuery(read);
    const names = data.users.edges.map(({ node }) => node.displayName);
    assert.equal(names.length, 18);
    assert.equal(new Set(names).size, 18);
    assert.deepEqual(names, names.toSorted());
    assert.equal(data.users.totalCount, 18);
    assert.equal(sent.length, 3);
  });

  test("fragments on interfaces are matched, and objects are known again by their ids", async () => {
    const { client, sent } = connect("ines");
    const { data } = await client.query({
      query: gql`
        query Controls {
          controlConfigurations {
            id
            version
            ... on IdProtectionRiskApproval {
              levels: riskLevels
            }
            ... on InsiderRiskApproval {
              insiderLevels: riskLevels
            }
          }
        }
      `,
    });
    assert.deepEqual(data.controlConfigurations[0].levels, ["MEDIUM", "HIGH"]);
    assert.deepEqual(data.controlConfigurations[1].insiderLevels, ["ELEVATED"]);

    const mutation = gql`
      mutation Change($input: UpdateInsiderRiskApprovalInput!) {
        updateInsiderRiskApproval(input: $input) {
          controlConfiguration {
            id
            version
            isEnabled
          }
          userErrors {
            code
          }
        }
      }
    `;
    const { version } = data.controlConfigurations[1];
    await client.mutate({ mutation, variables: { input: { expectedVersion: version, decisionTimeout: "P7D" } } });
    const [, insider] = client.readQuery({
      query: gql`
        {
          controlConfigurations {
            id
            version
          }
        }
      `,
    }).controlConfigurations;
    assert.equal(insider.version, version + 1);
    assert.equal(sent.length, 2);
  });

  test("an error of a field comes with its code, and the rest of the data", async () => {
    const { client } = connect("zoe");
    const query = gql`
      {
        viewer {
          user {
            displayName
          }
        }
        auditEvents(first: 1) {
          nodes {
            id
          }
        }
      }
    `;
    const { data, error } = await client.query({ query, errorPolicy: "all" });
    assert.ok(CombinedGraphQLErrors.is(error));
    assert.deepEqual(
      error.errors.map(({ path, extensions }) => [path, extensions.code]),
      [[["auditEvents"], "FORBIDDEN"]],
    );
    assert.equal(data.viewer.user.displayName, "Zoe Kim");
    assert.equal(data.auditEvents, null);
  });

  test("a refused document is an error of GraphQL, not of the network", async () => {
    const { client } = connect("zoe");
    await assert.rejects(
      client.query({
        query: gql`
          {
            nothing
          }
        `,
      }),
      (error) => {
        assert.ok(CombinedGraphQLErrors.is(error));
        assert.equal(error.errors[0].extensions.code, "BAD_USER_INPUT");
        return true;
      },
    );
  });

  test("without a token the error has a code", async () => {
    const { client } = connect(undefined);
    await assert.rejects(client.query({ query: PEOPLE }), (error) => {
      assert.ok(CombinedGraphQLErrors.is(error));
      assert.equal(error.errors[0].extensions.code, "UNAUTHENTICATED");
      return true;
    });
  });

  test("queries go by GET where the client wants that", async () => {
    const { client, sent } = connect("sam", { useGETForQueries: true });
    const { data } = await client.query({ query: PEOPLE, variables: { first: 1 } });
    assert.equal(data.users.edges.length, 1);
    assert.deepEqual(
      sent.map(({ method }) => method),
      ["GET"],
    );
  });

  for (const useGETForHashedQueries of [false, true]) {
    const how = useGETForHashedQueries ? "GET" : "POST";
    test(`a hash alone by ${how} is refused so that the persisted-query link sends the document from then on`, async () => {
      const sha256 = (text) => createHash("sha256").update(text).digest("hex");
      const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries });
      const { client, sent } = connect("sam", { links: [persisted] });
      for (const first of [1, 2, 3]) {
        const { data } = await client.query({ query: PEOPLE, variables: { first }, fetchPolicy: "no-cache" });
        assert.equal(data.users.edges.length, first);
      }
      const [hash, ...documents] = sent;
      assert.equal(hash.method, how);
      const { query, extensions } = hash.body ?? Object.fromEntries(hash.url.searchParams);
      assert.equal(query, undefined);
      assert.ok(JSON.stringify(extensions).includes("sha256Hash"));
      assert.deepEqual(
        documents.map(({ method, body }) => [method, typeof body.query]),
        Array(3).fill(["POST", "string"]),
      );
    });
  }

  test("a mutation and a subscription, each over its own link", async () => {
    const socket = createClient({
      url: server.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: server.headers("sam"),
    });
    const http = new HttpLink({ uri: server.url, headers: server.headers("sam") });
    const isStream = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
    const link = ApolloLink.split(isStream, new GraphQLWsLink(socket), http);
    const sam = new ApolloClient({ cache: cache(), link });

    const heard = Promise.withResolvers();
    const variables = { after: await eventCursor(server) };
    const stream = sam.subscribe({ query: gql(CREATED), variables }).subscribe({
      next: ({ data, error }) => (error ? heard.reject(error) : heard.resolve(data)),
      error: heard.reject,
    });
    const { client } = connect("alice");
    const input = { accessPackageId: await packageId(server, "Finance data") };
    const { data } = await client.mutate({ mutation: gql(SUBMIT), variables: { input } });
    const { id } = data.submitAccessRequest.request;
    const { pendingRiskApprovalCreated } = await heard.promise;
    assert.equal(pendingRiskApprovalCreated.stage.request.id, id);
    stream.unsubscribe();
    await socket.dispose();
    await aliceTakesBack(server, id);
  });

  test("a refused subscription is told as an error", async () => {
    const socket = createClient({
      url: server.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: server.headers("zoe"),
    });
    const client = new ApolloClient({ cache: cache(), link: new GraphQLWsLink(socket) });
    const told = Promise.withResolvers();
    client
      .subscribe({
        query: gql`
          subscription {
            pendingRiskApprovalCreated(after: "nonsense") {
              cursor
            }
          }
        `,
      })
      .subscribe({
        next: ({ error }) => told.resolve(error),
        error: told.resolve,
      });
    const error = await told.promise;
    assert.ok(CombinedGraphQLErrors.is(error));
    assert.match(error.errors[0].extensions.code, /^(BAD_USER_INPUT|FORBIDDEN)$/);
    await socket.dispose();
  });
});
