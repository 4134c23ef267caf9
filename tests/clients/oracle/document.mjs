// Random documents of our schema. Nearly all are valid; which are not, the oracle says.

import {
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
  getNamedType,
  getNullableType,
} from "graphql";

import { schema } from "./oracle.mjs";

// Objects of the demo world whose ids are fixed, and some that nobody has.
const IDS = [
  "usr_00000000-0000-4000-8000-000000000003",
  "usr_00000000-0000-4000-8000-000000000012",
  "grp_00000000-0000-4000-8000-000000000101",
  "cat_01980000-0000-7000-8000-000000000102",
  "pkg_01980000-0000-7000-8000-000000000201",
  "pkg_01980000-0000-7000-8000-000000000203",
  "pol_01980000-0000-7000-8000-000000000303",
  "usr_00000000-0000-4000-8000-00000000ffff",
  "nonsense",
  "",
];

const SCALARS = {
  ID: (dice) => dice.of(IDS),
  String: (dice) => dice.of(["", "a", "fin", "Wiki", "é😀", 'a"b\\c', "two\nlines"]),
  Int: (dice) => dice.of([0, 1, 1, 2, 2, 3, 3, 5, -1]),
  Float: (dice) => dice.of([0, 1.5, -2e10]),
  Boolean: (dice) => dice.chance(0.5),
  DateTime: (dice) => dice.of(["2026-01-31T08:00:00Z", "1999-12-31T23:59:59.999999+14:00"]),
  Duration: (dice) => dice.of(["P14D", "PT1H", "P1W", "P1DT6H"]),
};

// Below so many fields nothing of the server's limits is met.
const FIELDS = 40;
const DEPTH = 7;
// Pages in pages are dear: so often may a field come, with twenty rows in a page and five in another list.
const TIMES = 2_000;

/** A value of a type as JSON. */
function json(dice, type) {
  if (isNonNullType(type)) return json(dice, type.ofType);
  if (isListType(type)) {
    if (dice.chance(0.15)) return json(dice, type.ofType);
    return Array.from({ length: dice.below(3) }, () => json(dice, type.ofType));
  }
  if (isEnumType(type)) return dice.of(type.getValues()).name;
  if (!isInputObjectType(type)) return SCALARS[type.name](dice);
  const value = {};
  for (const field of chosenInputs(dice, type)) {
    const isNull = !type.isOneOf && !isNonNullType(field.type) && dice.chance(0.1);
    value[field.name] = isNull ? null : json(dice, field.type);
  }
  return value;
}

function chosenInputs(dice, type) {
  const fields = Object.values(type.getFields());
  if (type.isOneOf) return [dice.of(fields)];
  return fields.filter((field) => isRequiredInputField(field) || dice.chance(0.3));
}

/** The same as it stands in a document. */
function literal(dice, type, value) {
  if (value === null) return "null";
  if (isNonNullType(type)) return literal(dice, type.ofType, value);
  if (isListType(type)) {
    if (!Array.isArray(value)) return literal(dice, type.ofType, value);
    return `[${value.map((item) => literal(dice, type.ofType, item)).join(", ")}]`;
  }
  if (isEnumType(type)) return value;
  if (isInputObjectType(type)) {
    const fields = Object.entries(value).map(([name, item]) => {
      return `${name}: ${literal(dice, type.getFields()[name].type, item)}`;
    });
    return `{${fields.join(", ")}}`;
  }
  if (typeof value === "string" && !/["\\]/.test(value) && dice.chance(0.1)) return `"""${value}"""`;
  return JSON.stringify(value);
}

function times({ name, args, type }) {
  if (args.some((arg) => arg.name === "first")) return 20;
  return isListType(getNullableType(type)) && name !== "nodes" && name !== "edges" ? 5 : 1;
}

class Writer {
  constructor(dice) {
    this.dice = dice;
    this.left = 4 + dice.below(FIELDS - 4);
    this.variables = new Map();
    this.fragments = [];
    this.aliases = 0;
  }

  argument({ name, type }) {
    const { dice } = this;
    if (dice.chance(0.3)) return `${name}: $${this.variable(type)}`;
    if (!isNonNullType(type) && dice.chance(0.05)) return `${name}: null`;
    return `${name}: ${literal(dice, type, json(dice, type))}`;
  }

  variable(type) {
    const { dice } = this;
    const name = dice.of(["first", "on", "input", "v", "_", "type"]) + this.variables.size;
    let written = String(type);
    if (!isNonNullType(type) && dice.chance(0.2)) written += "!";
    const nullable = getNullableType(type);
    let definition = `$${name}: ${written}`;
    if (dice.chance(0.25)) definition += ` = ${literal(dice, nullable, json(dice, nullable))}`;
    const isLeftOut = (!written.endsWith("!") || definition.includes("=")) && dice.chance(0.2);
    this.variables.set(name, { definition, value: isLeftOut ? undefined : json(dice, nullable) });
    return name;
  }

  directives() {
    const { dice } = this;
    if (!dice.chance(0.06)) return "";
    const name = dice.of(["skip", "include"]);
    const condition = dice.chance(0.5) ? `$${this.variable(schema.getDirective(name).args[0].type)}` : dice.chance(0.5);
    return ` @${name}(if: ${condition})`;
  }

  field(field, taken, depth, above) {
    const { dice } = this;
    this.left -= 1;
    let written = field.name;
    let name = field.name;
    if (taken.has(name) || dice.chance(0.1)) {
      this.aliases += 1;
      name = `${dice.of(["a", "b", "type", "on"])}${this.aliases}`;
      written = `${name}: ${written}`;
    }
    taken.add(name);
    const args = field.args.filter((arg) => isRequiredArgument(arg) || dice.chance(arg.name === "first" ? 0.8 : 0.12));
    if (args.length > 0) written += `(${args.map((arg) => this.argument(arg)).join(", ")})`;
    written += this.directives();
    const type = getNamedType(field.type);
    if (isLeafType(type)) return written;
    return `${written} ${this.selections(type, new Set(), depth + 1, above * times(field))}`;
  }

  selections(type, taken, depth, above) {
    const { dice } = this;
    const parts = [];
    const fields = isUnionType(type) ? [] : Object.values(type.getFields());
    const here = fields.filter((field) => {
      if (isLeafType(getNamedType(field.type))) return true;
      return depth < DEPTH && this.left > 0 && above * times(field) <= TIMES;
    });
    const wanted = dice.some(here, 1 + dice.below(4));
    for (const field of wanted) parts.push(this.field(field, taken, depth, above));
    if (parts.length === 0 || dice.chance(0.15)) parts.push(this.typename(taken));
    if (isAbstractType(type)) {
      for (const possible of dice.some(schema.getPossibleTypes(type), dice.below(3)))
        parts.push(this.inline(possible, taken, depth, above));
    } else if (dice.chance(0.1)) {
      parts.push(this.inline(dice.of([type, ...type.getInterfaces(), undefined]), taken, depth, above, type));
    }
    return `{ ${dice.some(parts, parts.length).join(" ")} }`;
  }

  typename(taken) {
    if (!taken.has("__typename")) {
      taken.add("__typename");
      return "__typename";
    }
    this.aliases += 1;
    return `t${this.aliases}: __typename`;
  }

  inline(type, taken, depth, above, parent) {
    const { dice } = this;
    const selections = this.selections(type ?? parent, taken, depth + 1, above);
    if (type && dice.chance(0.3)) {
      const name = `${dice.of(["Part", "fragment", "query"])}${this.fragments.length}`;
      this.fragments.push(`fragment ${name} on ${type} ${selections}`);
      return `...${name}${this.directives()}`;
    }
    return `...${type ? ` on ${type}` : ""}${this.directives()} ${selections}`;
  }
}

/** A random request. A subscription has one root field and no more. */
export function randomRequest(dice, kind = dice.of(["query", "query", "query", "query", "mutation", "subscription"])) {
  const writer = new Writer(dice);
  const root = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  }[kind];
  let selections;
  if (kind === "subscription") {
    const type = dice.of(Object.values(root.getFields()));
    selections = `{ ${writer.field(type, new Set(), 0, 1).replace(/^(\S+(\(.*?\))?) @(skip|include)\(if: [^)]*\)/, "$1")} }`;
  } else {
    selections = writer.selections(root, new Set(), 0, 1);
  }
  const definitions = [...writer.variables.values()].map(({ definition }) => definition);
  const head = definitions.length > 0 ? `${kind} Random(${definitions.join(", ")})` : dice.of([kind, `${kind} Random`]);
  const values = [...writer.variables]
    .filter(([, { value }]) => value !== undefined)
    .map(([name, { value }]) => [name, value]);
  return {
    document: dice.some([`${head} ${selections}`, ...writer.fragments], Infinity).join("\n"),
    variables: JSON.stringify(Object.fromEntries(values)),
    operationName: head.includes("Random") && dice.chance(0.5) ? "Random" : undefined,
  };
}
