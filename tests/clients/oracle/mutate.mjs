// One thing changed in a document's tree, so that some rule may be broken. Whether one is, the oracle says.

import { Kind, TypeInfo, parse, parseType, parseValue, print, visit, visitWithTypeInfo } from "graphql";

import { schema } from "./oracle.mjs";

const name = (value) => ({ kind: Kind.NAME, value });
const variable = (value) => ({ kind: Kind.VARIABLE, name: name(value) });
const argument = (key, value) => ({ kind: Kind.ARGUMENT, name: name(key), value });
const directive = (key, args) => ({ kind: Kind.DIRECTIVE, name: name(key), arguments: args });
const field = (key, alias) => ({
  kind: Kind.FIELD,
  name: name(key),
  alias: alias && name(alias),
  arguments: [],
  directives: [],
});
const named = (key) => ({ kind: Kind.NAMED_TYPE, name: name(key) });
const selectionSet = (...selections) => ({ kind: Kind.SELECTION_SET, selections });
const clone = (node) => JSON.parse(JSON.stringify(node));

const TYPES = Object.keys(schema.getTypeMap());
const FIELDS = [
  ...new Set(Object.values(schema.getTypeMap()).flatMap((type) => Object.keys(type.getFields?.() ?? {}))),
];
const VALUES = [
  "null",
  "0",
  "2147483648",
  "-1",
  "1.5",
  "true",
  '"x"',
  '""',
  "ID_PROTECTION",
  "NOTHING",
  "[]",
  "[null]",
  "[1]",
  "{}",
  '{userId: "x"}',
  "{userId: null}",
  '{search: "a", search: "b"}',
  '{id: "x"}',
  '"""x"""',
  "$undefined",
];
const WRITTEN_TYPES = [
  "Int",
  "Int!",
  "[Int]",
  "String",
  "ID",
  "ID!",
  "[ID!]!",
  "Boolean",
  "Boolean!",
  "DateTime!",
  "UserFilter",
  "SubjectSetInput",
  "User",
  "Nothing",
  "[[ID]]",
];

const LISTS = {
  OperationDefinition: ["variableDefinitions", "directives"],
  VariableDefinition: ["directives"],
  FragmentDefinition: ["directives"],
  Field: ["arguments", "directives"],
  FragmentSpread: ["directives"],
  InlineFragment: ["directives"],
  ObjectValue: ["fields"],
};

/** Every node by its kind, values also with the holder that they can be replaced in. */
function collect(document) {
  const nodes = Object.fromEntries(Object.values(Kind).map((kind) => [kind, []]));
  const values = [];
  const composites = [];
  const types = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(types, {
      enter(node, key, parent) {
        nodes[node.kind].push(node);
        if (key === "value" && parent?.kind !== undefined) values.push({ holder: parent, key });
        if (node.kind === Kind.SELECTION_SET) composites.push({ node, type: types.getParentType() });
      },
    }),
  );
  return { nodes, values, composites };
}

const CHANGES = {
  "an unknown field": ({ dice, nodes }) =>
    (dice.of(nodes.Field).name = name(dice.of(["nothing", "__nothing", "ID", "User"]))),
  "another type's field": ({ dice, nodes }) => (dice.of(nodes.Field).name = name(dice.of(FIELDS))),
  "no selections": ({ dice, nodes }) => delete dice.of(nodes.Field.filter((node) => node.selectionSet)).selectionSet,
  "selections of a leaf": ({ dice, nodes }) =>
    (dice.of(nodes.Field.filter((node) => !node.selectionSet)).selectionSet = selectionSet(field("id"))),
  "an unknown argument": ({ dice, nodes }) =>
    dice.of(nodes.Field).arguments.push(argument("unknown", parseValue(dice.of(VALUES)))),
  "an argument twice": ({ dice, nodes }) => {
    const owner = dice.of(nodes.Field.filter((node) => node.arguments.length > 0));
    owner.arguments.push(clone(dice.of(owner.arguments)));
  },
  "an argument less": ({ dice, nodes }) =>
    dice.of(nodes.Field.filter((node) => node.arguments.length > 0)).arguments.pop(),
  "another argument's name": ({ dice, nodes }) =>
    (dice.of(nodes.Argument).name = name(dice.of(["id", "ids", "first", "filter", "if"]))),
  "another value": ({ dice, values }) => {
    const { holder, key } = dice.of(values);
    holder[key] = parseValue(dice.of(VALUES));
  },
  "a value in a list": ({ dice, values }) => {
    const { holder, key } = dice.of(values);
    holder[key] = { kind: Kind.LIST, values: [holder[key]] };
  },
  "another variable": ({ dice, nodes, values }) => {
    const { holder, key } = dice.of(values);
    holder[key] = variable(dice.of(nodes.VariableDefinition).variable.name.value);
  },
  "an input field twice": ({ dice, nodes }) => {
    const owner = dice.of(nodes.ObjectValue.filter((node) => node.fields.length > 0));
    owner.fields.push(clone(dice.of(owner.fields)));
  },
  "an unknown input field": ({ dice, nodes }) =>
    dice
      .of(nodes.ObjectValue)
      .fields.push({ kind: Kind.OBJECT_FIELD, name: name("unknown"), value: parseValue(dice.of(VALUES)) }),
  "an input field less": ({ dice, nodes }) =>
    dice.of(nodes.ObjectValue.filter((node) => node.fields.length > 0)).fields.pop(),
  "a variable less": ({ dice, nodes }) =>
    dice.of(nodes.OperationDefinition.filter((node) => node.variableDefinitions.length > 0)).variableDefinitions.pop(),
  "a variable twice": ({ dice, nodes }) => {
    const owner = dice.of(nodes.OperationDefinition.filter((node) => node.variableDefinitions.length > 0));
    owner.variableDefinitions.push(clone(dice.of(owner.variableDefinitions)));
  },
  "a variable for nothing": ({ dice, nodes }) =>
    dice
      .of(nodes.OperationDefinition)
      .variableDefinitions.push({
        kind: Kind.VARIABLE_DEFINITION,
        variable: variable("unused"),
        type: parseType(dice.of(WRITTEN_TYPES)),
        directives: [],
      }),
  "another type of a variable": ({ dice, nodes }) =>
    (dice.of(nodes.VariableDefinition).type = parseType(dice.of(WRITTEN_TYPES))),
  "a variable that may be null": ({ dice, nodes }) => {
    const owner = dice.of(nodes.VariableDefinition.filter((node) => node.type.kind === Kind.NON_NULL_TYPE));
    owner.type = owner.type.type;
  },
  "another default": ({ dice, nodes }) =>
    (dice.of(nodes.VariableDefinition).defaultValue = parseValue(dice.of(VALUES))),
  "a fragment less": ({ document }) => {
    const at = document.definitions.findIndex((node) => node.kind === Kind.FRAGMENT_DEFINITION);
    document.definitions.splice(at, at < 0 ? NaN : 1);
  },
  "a fragment twice": ({ dice, document, nodes }) =>
    document.definitions.push(clone(dice.of(nodes.FragmentDefinition))),
  "a fragment for nothing": ({ dice, document }) =>
    document.definitions.push({
      kind: Kind.FRAGMENT_DEFINITION,
      name: name("Unused"),
      typeCondition: named(dice.of(TYPES)),
      directives: [],
      selectionSet: selectionSet(field("__typename")),
    }),
  "a fragment of another type": ({ dice, nodes }) =>
    (dice.of(nodes.FragmentDefinition).typeCondition = named(dice.of([...TYPES, "Nothing"]))),
  "a fragment in itself": ({ dice, nodes }) => {
    const owner = dice.of(nodes.FragmentDefinition);
    dice
      .of([owner.selectionSet, dice.of(nodes.FragmentDefinition).selectionSet])
      .selections.push({ kind: Kind.FRAGMENT_SPREAD, name: owner.name, directives: [] });
  },
  "a fragment elsewhere": ({ dice, nodes }) =>
    dice
      .of(nodes.SelectionSet)
      .selections.push({ kind: Kind.FRAGMENT_SPREAD, name: dice.of(nodes.FragmentDefinition).name, directives: [] }),
  "another condition": ({ dice, nodes }) =>
    (dice.of(nodes.InlineFragment).typeCondition = named(dice.of([...TYPES, "Nothing"]))),
  "a condition that may hold": ({ dice, composites }) => {
    const { node, type } = dice.of(composites);
    const possible = dice.of(
      Object.values(schema.getTypeMap()).filter((other) => type && other.getFields && !other.name.startsWith("__")),
    );
    node.selections.push({
      kind: Kind.INLINE_FRAGMENT,
      typeCondition: named(possible.name),
      directives: [],
      selectionSet: selectionSet(field("__typename")),
    });
  },
  "a directive": ({ dice, nodes }) => {
    const kind = dice.of([
      Kind.FIELD,
      Kind.FIELD,
      Kind.FRAGMENT_SPREAD,
      Kind.INLINE_FRAGMENT,
      Kind.FRAGMENT_DEFINITION,
      Kind.OPERATION_DEFINITION,
      Kind.VARIABLE_DEFINITION,
    ]);
    const args = dice.of([
      [],
      [argument("if", parseValue(dice.of(VALUES)))],
      [argument("if", parseValue("true"))],
      [argument("reason", parseValue('"x"'))],
    ]);
    dice
      .of(nodes[kind])
      .directives.push(
        directive(dice.of(["skip", "include", "skip", "include", "deprecated", "oneOf", "unknown"]), args),
      );
  },
  "a directive twice": ({ dice, nodes }) => {
    const { directives } = dice.of([...nodes.Field, ...nodes.InlineFragment, ...nodes.FragmentSpread]);
    const own = directive("skip", [argument("if", parseValue("false"))]);
    directives.push(own, clone(dice.chance(0.5) ? own : directive("include", [argument("if", parseValue("true"))])));
  },
  "an alias that is taken": ({ dice, nodes }) => {
    const { selections } = dice.of(
      nodes.SelectionSet.filter((node) => node.selections.filter(({ kind }) => kind === Kind.FIELD).length > 1),
    );
    const [one, two] = dice.some(
      selections.filter(({ kind }) => kind === Kind.FIELD),
      2,
    );
    one.alias = two.alias ?? two.name;
  },
  "a field twice, with other arguments": ({ dice, nodes }) => {
    const { selections } = dice.of(
      nodes.SelectionSet.filter((node) => node.selections.some((child) => child.arguments?.length > 0)),
    );
    const copy = clone(dice.of(selections.filter((child) => child.arguments?.length > 0)));
    dice.of(copy.arguments).value = parseValue(dice.of(VALUES));
    selections.push(copy);
  },
  "a field twice, and deep below it another": ({ dice, nodes }) => {
    const { selections } = dice.of(
      nodes.SelectionSet.filter((node) => node.selections.some((child) => child.selectionSet && child.name)),
    );
    const copy = clone(dice.of(selections.filter((child) => child.selectionSet && child.name)));
    const below = [];
    visit(copy, { Field: (node) => void (node.selectionSet || below.push(node)) });
    const one = dice.of(below);
    one.alias = one.alias ?? one.name;
    one.name = name(dice.of([...below.map((node) => node.name.value), "__typename", "id", "displayName"]));
    const inside = { kind: Kind.INLINE_FRAGMENT, directives: [], selectionSet: selectionSet(copy) };
    selections.push(dice.chance(0.5) ? copy : inside);
  },
  "a second field at the root": ({ dice, document }) => {
    const { selections } = dice.of(
      document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION),
    ).selectionSet;
    selections.push(
      dice.of([
        field("__typename"),
        field("viewer", "second"),
        clone(selections[0]),
        { ...clone(selections[0]), alias: name("second") },
      ]),
    );
  },
  "a second operation": ({ dice, document }) => {
    const second = clone(document.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION));
    second.name = dice.of([undefined, second.name, name("Second")]);
    document.definitions.push(second);
  },
  "another kind of operation": ({ dice, nodes }) =>
    (dice.of(nodes.OperationDefinition).operation = dice.of(["query", "mutation", "subscription"])),
};

/** The tree of a document, with every list in it that may be added to. */
function tree(text) {
  const document = parse(text, { noLocation: true });
  visit(document, {
    enter(node) {
      for (const list of LISTS[node.kind] ?? []) node[list] ??= [];
    },
  });
  return document;
}

export const CHANGE_NAMES = Object.keys(CHANGES);

/** The request with that one change, or null where there is nothing to change. */
export function changed(dice, request, change) {
  const document = tree(request.document);
  const { nodes, values, composites } = collect(document);
  try {
    CHANGES[change]({ dice, document, nodes, values, composites });
  } catch (error) {
    // What would be changed is not in this document.
    if (error instanceof RangeError) return null;
    throw error;
  }
  const text = print(document);
  return text === print(parse(request.document)) ? null : { ...request, document: text };
}
