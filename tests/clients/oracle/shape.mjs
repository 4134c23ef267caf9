// Does an answer have exactly the form that the specification gives it? Collects the fields of a valid document as the specification
// does, and compares: keys, their order, kinds of values, and what became null.

import assert from "node:assert/strict";

import {
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  Kind,
  TypeInfo,
  getDirectiveValues,
  getVariableValues,
  isAbstractType,
  isEnumType,
  isLeafType,
  isListType,
  isNonNullType,
  parse,
  print,
  typeFromAST,
  visit,
  visitWithTypeInfo,
} from "graphql";

import { operationOf, schema } from "./oracle.mjs";

/** The alias under which every object of an abstract type tells what it is. */
const TYPE = "concrete__";

const LEAVES = {
  ID: (value) => typeof value === "string",
  String: (value) => typeof value === "string",
  Boolean: (value) => typeof value === "boolean",
  Int: (value) => Number.isInteger(value) && Math.abs(value) <= 2 ** 31,
  DateTime: (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(value),
  Duration: (value) => typeof value === "string" && /^P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?$/.test(value),
};

/** The same document, in which every object of an abstract type tells what it is. */
export function telling(text) {
  const types = new TypeInfo(schema);
  const added = {
    kind: Kind.FIELD,
    alias: { kind: Kind.NAME, value: TYPE },
    name: { kind: Kind.NAME, value: "__typename" },
  };
  const document = visit(
    parse(text),
    visitWithTypeInfo(types, {
      SelectionSet: {
        leave: (node) => {
          const isTold = isAbstractType(types.getParentType());
          return isTold ? { ...node, selections: [added, ...node.selections] } : undefined;
        },
      },
    }),
  );
  return print(document);
}

class Checker {
  constructor(document, variableValues) {
    this.variableValues = variableValues;
    this.fragments = new Map();
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.fragments.set(definition.name.value, definition);
    }
  }

  isLeftOut(node) {
    const skip = getDirectiveValues(GraphQLSkipDirective, node, this.variableValues);
    const include = getDirectiveValues(GraphQLIncludeDirective, node, this.variableValues);
    return skip?.if === true || include?.if === false;
  }

  collect(type, selectionSets, collected = new Map(), visited = new Set()) {
    for (const node of selectionSets.flatMap(({ selections }) => selections)) {
      if (this.isLeftOut(node)) continue;
      if (node.kind === Kind.FIELD) {
        const key = (node.alias ?? node.name).value;
        if (!collected.has(key)) collected.set(key, []);
        collected.get(key).push(node);
        continue;
      }
      const fragment = node.kind === Kind.FRAGMENT_SPREAD ? this.fragments.get(node.name.value) : node;
      if (node.kind === Kind.FRAGMENT_SPREAD) {
        if (visited.has(fragment)) continue;
        visited.add(fragment);
      }
      const condition = fragment.typeCondition ? typeFromAST(schema, fragment.typeCondition) : type;
      const applies = condition === type || (isAbstractType(condition) && schema.isSubType(condition, type));
      if (applies) this.collect(type, [fragment.selectionSet], collected, visited);
    }
    return collected;
  }

  object(type, selectionSets, value, path) {
    assert.ok(value !== null && typeof value === "object" && !Array.isArray(value), `${path.join(".")} is an object`);
    let concrete = type;
    if (isAbstractType(type)) {
      concrete = schema.getType(value[TYPE]);
      assert.ok(concrete && schema.isSubType(type, concrete), `${path.join(".")} is a ${type}, not ${value[TYPE]}`);
    }
    const collected = this.collect(concrete, selectionSets);
    assert.deepEqual(Object.keys(value), [...collected.keys()], `the keys at ${path.join(".")}`);
    for (const [key, nodes] of collected) this.field(concrete, nodes, value[key], [...path, key]);
  }

  field(parent, nodes, value, path) {
    const name = nodes[0].name.value;
    if (name === "__typename") return assert.equal(value, parent.name, path.join("."));
    return this.value(parent.getFields()[name].type, selectionSets(nodes), value, path);
  }

  value(type, sets, value, path) {
    const where = path.join(".");
    if (isNonNullType(type)) {
      assert.notEqual(value, null, `${where} is a ${type}, not null`);
      return this.value(type.ofType, sets, value, path);
    }
    if (value === null) return undefined;
    if (isListType(type)) {
      assert.ok(Array.isArray(value), `${where} is a list`);
      return value.forEach((item, at) => this.value(type.ofType, sets, item, [...path, at]));
    }
    if (!isLeafType(type)) return this.object(type, sets, value, path);
    const fits = isEnumType(type) ? type.getValue(value) !== undefined : LEAVES[type.name](value);
    return assert.ok(fits, `${where} is no ${type}: ${JSON.stringify(value)}`);
  }

  /** Where a null must stand for a field that failed: the nearest place that may be null, at it or above. */
  nearestNullable(operation, root, data, path) {
    let type = root;
    let sets = [operation.selectionSet];
    let value = data;
    let nearest = [];
    for (const [at, step] of path.entries()) {
      if (typeof step === "number") {
        assert.ok(isListType(type), `${path.join(".")}, where an error is, is in a list`);
        type = type.ofType;
      } else {
        const parent = isAbstractType(type) ? schema.getType(value?.[TYPE]) : type;
        // Below a null nobody tells which of the possible types an object would have had.
        if (!parent) return nearest;
        const nodes = this.collect(parent, sets).get(step);
        assert.ok(nodes, `${path.join(".")}, where an error is, is a field of the document`);
        type = parent.getFields()[nodes[0].name.value].type;
        sets = selectionSets(nodes);
      }
      value = value?.[step];
      if (isNonNullType(type)) type = type.ofType;
      else nearest = path.slice(0, at + 1);
    }
    return nearest;
  }
}

const selectionSets = (nodes) => nodes.map((node) => node.selectionSet).filter((set) => set);

/** The first null on a way into the data. */
function firstNull(data, path) {
  let value = data;
  for (let at = 0; at <= path.length; at += 1) {
    if (value === null) return path.slice(0, at);
    value = value?.[path[at]];
  }
  return assert.fail(`${path.join(".")} has an error, and is not null`);
}

/** Throws where the answer to a valid request has not the form that the specification gives it. */
export function check({ document: text, operationName, variables }, answer) {
  const document = parse(text);
  const operation = operationOf(document, operationName);
  const { variableValues } = getVariableValues(
    schema,
    operation.variableDefinitions ?? [],
    JSON.parse(variables ?? "{}"),
  );
  const root = schema.getRootType(operation.operation);
  const checker = new Checker(document, variableValues);
  assert.ok("data" in answer, `it is refused: ${JSON.stringify(answer.errors)}`);
  for (const key of Object.keys(answer))
    assert.ok(["errors", "data", "extensions"].includes(key), `${key} is in an answer`);
  if (answer.data !== null) checker.object(root, [operation.selectionSet], answer.data, []);
  if ("errors" in answer) assert.ok(answer.errors.length > 0, "errors are there or left out");
  if (answer.data === null) assert.ok("errors" in answer, "nothing fails without an error");
  const allowedNulls = new Set();
  for (const { message, path, locations } of answer.errors ?? []) {
    assert.equal(typeof message, "string");
    assert.ok(Array.isArray(path) && path.length > 0, `an error of a field has a path: ${message}`);
    for (const { line, column } of locations ?? []) assert.ok(line > 0 && column > 0);
    allowedNulls.add(checker.nearestNullable(operation, root, answer.data, path).join("."));
  }
  for (const { path } of answer.errors ?? []) {
    const where = firstNull(answer.data, path).join(".");
    assert.ok(allowedNulls.has(where), `${path.join(".")} failed, which is no reason for null at "${where}"`);
  }
}
