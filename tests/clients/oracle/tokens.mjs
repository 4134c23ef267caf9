// The same tokens in another dress, one token changed, or one value of the variables.

import { Lexer, Source, TokenKind } from "graphql";

const GAPS = [" ", " ", " ", "\n", "\r\n", ",", "\t", "  ,\n", "\ufeff", ' # a comment { " \n', ", "];
const SPARE = [
  "{",
  "}",
  "(",
  ")",
  "[",
  "]",
  ":",
  "=",
  "!",
  "$",
  "@",
  "...",
  "&",
  "|",
  "on",
  "fragment",
  "query",
  "null",
  "true",
  "1",
  "-1",
  "1.5",
  '"x"',
  '""',
  '"""x"""',
  '"\\u{1F600}"',
  '"\\uD83D\\uDE00"',
  '"\\uD83D"',
  "$x",
  "@skip",
  "name",
  "#",
];

function tokens(text) {
  const lexer = new Lexer(new Source(text));
  const found = [];
  while (lexer.advance().kind !== TokenKind.EOF) found.push(text.slice(lexer.token.start, lexer.token.end));
  return found;
}

/** The document written in another way. It means the same. */
export function dressed(dice, request) {
  const written = tokens(request.document);
  const isMarkup = (token) => /^[{}()[\]:!=|&@$]|\.\.\.$/.test(token);
  let text = dice.chance(0.3) ? dice.of(GAPS) : "";
  written.forEach((token, at) => {
    const next = written[at + 1];
    // Two names or values next to each other need something between them.
    const isGapNeeded = next !== undefined && !isMarkup(token) && !isMarkup(next);
    text += token + (isGapNeeded || dice.chance(0.4) ? dice.of(GAPS) : "");
  });
  return { ...request, document: text };
}

/** The document with one token taken out, put in, doubled, replaced, or in another place. */
export function garbled(dice, request) {
  const written = tokens(request.document);
  const at = dice.below(written.length);
  const other = dice.chance(0.5) ? dice.of(SPARE) : dice.of(written);
  dice.of([
    () => written.splice(at, 1),
    () => written.splice(at, 0, other),
    () => written.splice(at, 0, written[at]),
    () => written.splice(at, 1, other),
    () => written.splice(dice.below(written.length), 0, ...written.splice(at, 1)),
    () => written.splice(at, 2, ...written.slice(at, at + 2).reverse()),
  ])();
  return { ...request, document: written.join(" ") };
}

/** One value of the variables replaced, left out, or one more. Null where there are none. */
export function mistaken(dice, request) {
  const variables = JSON.parse(request.variables ?? "{}");
  const places = [];
  const walk = (holder) => {
    for (const key of Object.keys(holder)) {
      places.push({ holder, key });
      if (holder[key] !== null && typeof holder[key] === "object") walk(holder[key]);
    }
  };
  walk(variables);
  if (places.length === 0) return null;
  const { holder, key } = dice.of(places);
  dice.of([
    () =>
      (holder[key] = dice.of([
        null,
        0,
        1.5,
        2147483648,
        true,
        "",
        "x",
        "HIGH",
        "2026-01-31T08:00:00Z",
        [],
        [null],
        {},
        { userId: "x" },
        { unknown: 1 },
      ])),
    () => (holder[key] = [holder[key]]),
    () => (Array.isArray(holder) ? holder.splice(key, 1) : delete holder[key]),
    () => (Array.isArray(holder) ? holder.push(holder[key]) : (holder.unknown = null)),
  ])();
  return { ...request, variables: JSON.stringify(variables) };
}
