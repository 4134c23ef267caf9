"""Python's gql at work: one story a call, told as JSON. gql.test.mjs says which, and judges what is told.

    python stories.py STORY HTTP_URL SOCKET_URL TOKEN [VARIABLES]
"""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError

STORY, HTTP_URL, SOCKET_URL, TOKEN, *REST = sys.argv[1:]
VARIABLES = json.loads(REST[0]) if REST else {}
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

PEOPLE = gql("query People($first: Int) { users(first: $first) { totalCount nodes { displayName } } }")
CREATED = gql(
    """
    subscription Created($after: String) {
      pendingRiskApprovalCreated(after: $after) { stage { request { id requestor { displayName } } } }
    }
    """
)
SUBMIT = gql(
    """
    mutation Submit($input: SubmitAccessRequestInput!) {
      submitAccessRequest(input: $input) { request { id state } userErrors { code } }
    }
    """
)


def over_http(**more):
    return Client(transport=HTTPXTransport(url=HTTP_URL, headers=HEADERS), **more)


def over_socket():
    transport = WebsocketsTransport(
        url=SOCKET_URL,
        init_payload=HEADERS,
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        ping_interval=0.05,
    )
    return Client(transport=transport)


def execute(client, document):
    document.variable_values = VARIABLES
    return client.execute(document)


def schema():
    """Asks for the schema, and refuses a wrong document by itself."""
    with over_http(fetch_schema_from_transport=True) as session:
        types = len(session.client.schema.type_map)
        try:
            session.execute(gql("{ nothing }"))
        except GraphQLError as error:
            return {"types": types, "refused": error.message}
    return {"types": types}


def query():
    """A query, synchronously."""
    return execute(over_http(), PEOPLE)


async def many():
    """Many queries at once over one client."""
    async with Client(transport=HTTPXAsyncTransport(url=HTTP_URL, headers=HEADERS)) as session:
        answers = await asyncio.gather(*(session.execute(PEOPLE) for _ in range(20)))
    return {"answers": len(answers), "same": all(answer == answers[0] for answer in answers)}


def mutation():
    """A mutation."""
    return execute(over_http(), SUBMIT)


def refused():
    """A document that does not fit the schema, judged by the server."""
    try:
        over_http().execute(gql("{ nothing }"))
    except TransportQueryError as error:
        return error.errors


def field_error():
    """A field that the viewer may not read, beside one that they may."""
    try:
        over_http().execute(gql("{ viewer { user { displayName } } auditEvents(first: 1) { nodes { id } } }"))
    except TransportQueryError as error:
        return {"errors": error.errors, "data": error.data}


def nobody():
    """A token that is none."""
    try:
        over_http().execute(PEOPLE)
    except TransportQueryError as error:
        return error.errors


def query_over_socket():
    """A query over a WebSocket."""
    return execute(over_socket(), PEOPLE)


async def subscription():
    """The first event, then a query on the same socket, then the end of the subscription."""
    CREATED.variable_values = VARIABLES
    async with over_socket() as session:
        events = session.subscribe(CREATED)
        event = await anext(events)
        people = await session.execute(PEOPLE)
        await events.aclose()
    return {**event, "totalCount": people["users"]["totalCount"]}


async def nobody_over_socket():
    """A socket with a token that is none."""
    try:
        async with over_socket() as session:
            await session.execute(PEOPLE)
    except TransportConnectionFailed as error:
        closed = error.__cause__.rcvd
        return {"code": closed.code, "reason": closed.reason}


told = globals()[STORY]()
print(json.dumps(asyncio.run(told) if asyncio.iscoroutine(told) else told))
