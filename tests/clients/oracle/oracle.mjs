// What graphql-js says of a request, before anything would run.

import { readFileSync } from "node:fs";

import { GraphQLError, Kind, buildSchema, getVariableValues, parse, validate } from "graphql";

import { root } from "../support/server.mjs";
import { rules } from "./rules.mjs";

export const schema = buildSchema(readFileSync(`${root}schema.graphql`, "utf8"));

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const SPAN = /^P(?=.)(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?$/;

// What the documentation says in words about our own scalars.
const SCALARS = {
  DateTime: (text) => MOMENT.test(text) && !Number.isNaN(Date.parse(text)),
  Duration: (text) => SPAN.test(text),
};

for (const [name, isOne] of Object.entries(SCALARS)) {
  const type = schema.getType(name);
  type.coerceInputValue = (value) => {
    if (typeof value !== "string" || !isOne(value)) throw new GraphQLError(`${value} is no ${name}`);
    return value;
  };
  type.coerceInputLiteral = (node) => (node.kind === Kind.STRING && isOne(node.value) ? node.value : undefined);
}

/** The operation that is meant, or null. */
export function operationOf(document, operationName) {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operationName === undefined) return operations.length === 1 ? operations[0] : null;
  return operations.find((operation) => operation.name?.value === operationName) ?? null;
}

/** Why a request is refused before execution, or null where it is not. `variables` is the text of a JSON object. */
export function refusal({ document, operationName, variables }) {
  let parsed;
  try {
    // Selection sets may not be empty in the edition that is promised; graphql-js has moved on.
    parsed = parse(document, { allowEmptySelectionSets: false });
  } catch (error) {
    return `parse: ${error.message}`;
  }
  const [error] = validate(schema, parsed, rules);
  if (error) return `validate: ${error.message}`;
  const operation = operationOf(parsed, operationName);
  if (!operation) return "operation: which one?";
  const { errors } = getVariableValues(schema, operation.variableDefinitions ?? [], JSON.parse(variables ?? "{}"));
  return errors ? `variables: ${errors[0].message}` : null;
}
