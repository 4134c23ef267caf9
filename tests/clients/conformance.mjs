// Asks the server and graphql-js about every document of the corpus.
//
//     node conformance.mjs [--list] [--all] [--only NAME] [--seed NUMBER]
//
// Tells how many verdicts differ, and, with --list, which. --all lists the others too; --only takes the beginning of a name.

import { parseArgs } from "node:util";

import { SEED, corpus } from "./oracle/corpus.mjs";
import { refusal as expected } from "./oracle/oracle.mjs";
import { refusal as actual } from "./oracle/server.mjs";
import { Server } from "./support/server.mjs";

const { values: options } = parseArgs({
  options: {
    list: { type: "boolean" },
    all: { type: "boolean" },
    only: { type: "string", default: "" },
    seed: { type: "string", default: String(SEED) },
  },
});

const server = await Server.start();
const headers = server.headers("rhea");
const topics = new Map();

for (const request of corpus(Number(options.seed)).filter(({ name }) => name.startsWith(options.only))) {
  const topic = request.name.replace(/ \d+$/, "");
  const count = topics.get(topic) ?? { accepted: 0, refused: 0, differ: 0 };
  topics.set(topic, count);
  const ours = await actual(server.url, headers, request).catch((error) => error.message);
  const theirs = expected(request);
  count[theirs === null ? "accepted" : "refused"] += 1;
  const isDifferent = (ours === null) !== (theirs === null) || ours?.startsWith("no verdict");
  if (isDifferent) count.differ += 1;
  if (options.all || (options.list && isDifferent)) {
    const { name, document, operationName, variables } = request;
    console.log(`${isDifferent ? "DIFFER" : "agree"} ${name}: ${JSON.stringify(document)}`);
    if (variables !== undefined) console.log(`    variables: ${variables}`);
    if (operationName !== undefined) console.log(`    operation: ${operationName}`);
    console.log(`    server:     ${ours ?? "accepted"}`);
    console.log(`    graphql-js: ${theirs ?? "accepted"}\n`);
  }
}

console.table(Object.fromEntries(topics));
const differ = [...topics.values()].reduce((sum, count) => sum + count.differ, 0);
console.log(`${differ} verdicts differ`);
process.exitCode = differ === 0 ? 0 : 1;
// Fails where the server logged a fault of its own.
await server.stop();
