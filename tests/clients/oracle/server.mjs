// What the server says of a request: is it refused before execution?

/** Why it is refused, or null where it is not. */
export async function refusal(url, headers, { document, operationName, variables }) {
  // By hand: how a number is written counts.
  const members = [`"query":${JSON.stringify(document)}`];
  if (operationName !== undefined) members.push(`"operationName":${JSON.stringify(operationName)}`);
  if (variables !== undefined) members.push(`"variables":${variables}`);
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: "application/graphql-response+json" },
    body: `{${members.join(",")}}`,
  });
  const answer = await response.json();
  // A subscription that is well asks for a form that this client does not take.
  if (response.status === 406) return null;
  if ("data" in answer) return null;
  const [{ message, extensions }] = answer.errors;
  const reason = `${response.status} ${extensions?.code}: ${message}`;
  if (response.status !== 400 || extensions.code !== "BAD_USER_INPUT") throw new Error(`no verdict: ${reason}`);
  return reason;
}
