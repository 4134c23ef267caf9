// Every document that the server and graphql-js are asked about: those that somebody thought of, random ones, and random ones with
// something changed. The same seed gives the same corpus.

import lexical from "./cases/lexical.mjs";
import operations from "./cases/operations.mjs";
import selections from "./cases/selections.mjs";
import values from "./cases/values.mjs";

/** What people thought of. */
export function written() {
  return [lexical, values, selections, operations].flatMap((topics) =>
    Object.entries(topics).flatMap(([topic, cases]) =>
      cases.map(([document, variables, operationName], at) => ({
        name: `${topic} ${at + 1}`,
        document,
        variables,
        operationName,
      })),
    ),
  );
}

export const SEED = 20250903;

/** All of them. */
export function corpus() {
  return written();
}
