// Every document that the server and graphql-js are asked about: those that somebody thought of, random ones, and random ones with
// something changed. The same seed gives the same corpus.

import lexical from "./cases/lexical.mjs";
import operations from "./cases/operations.mjs";
import selections from "./cases/selections.mjs";
import values from "./cases/values.mjs";
import { Dice } from "./dice.mjs";
import { randomRequest } from "./document.mjs";
import { CHANGE_NAMES, changed } from "./mutate.mjs";
import { dressed, garbled, mistaken } from "./tokens.mjs";

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

const VALID = 150;
const CHANGED = 12;
const DRESSED = 60;
const GARBLED = 250;
const MISTAKEN = 150;

/** So many of what `make` finds; it may find nothing. */
function* several(count, topic, make) {
  for (let at = 1; at <= count; at += 1) {
    let request = null;
    while (request === null) request = make();
    yield { name: `${topic} ${at}`, ...request };
  }
}

/** What chance thinks of. */
function* random(seed) {
  const dice = new Dice(seed);
  yield* several(VALID, "random", () => randomRequest(dice));
  for (const change of CHANGE_NAMES) {
    yield* several(CHANGED, change, () => changed(dice, randomRequest(dice), change));
  }
  yield* several(DRESSED, "dressed", () => dressed(dice, randomRequest(dice)));
  yield* several(GARBLED, "garbled", () => garbled(dice, randomRequest(dice)));
  yield* several(MISTAKEN, "mistaken", () => mistaken(dice, randomRequest(dice)));
}

/** All of them. */
export function corpus(seed = SEED) {
  return [...written(), ...random(seed)];
}
