//! Makes new inputs from old ones.

use crate::support::Dice;

/// What hostile inputs are made of.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "\"\"\"",
    "\\",
    "\\u{",
    "\\uD83D",
    ":",
    ",",
    "$",
    "@",
    "...",
    "!",
    "|",
    "&",
    "=",
    "#",
    "\n",
    "\r",
    "\u{feff}",
    "\0",
    "\u{10ffff}",
    "null",
    "true",
    "-0",
    "1e999",
    "99999999999999999999",
    "on",
    "fragment",
    "query",
    "subscription",
    "__typename",
    "@skip(if: $x)",
    "nodes",
    "\r\n",
    ".",
];

/// No input grows beyond this, in bytes.
const SIZE_LIMIT: usize = 64 * 1024;

/// Changes inputs of a corpus at random; the same seed makes the same inputs.
pub struct Mutator {
    dice: Dice,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Mutator {
        Mutator { dice: Dice::new(seed), corpus }
    }

    /// One more input, from one to eight changes away from the corpus.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.dice.pick(&self.corpus);
        for _ in 0..=self.dice.below(8) {
            self.change(&mut input);
        }
        input.truncate(SIZE_LIMIT);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.dice.below(input.len() + 1);
        let length = self.dice.below(32).min(input.len() - at);
        match self.dice.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.dice.below(8),
            1 => drop(input.drain(at..at + length)),
            2 => {
                let piece = self.dice.pick(&PIECES);
                input.splice(at..at, piece.bytes());
            }
            3 => {
                // A part again, up to a thousand times: depth and length.
                let part =
                    input[at..at + length].repeat(1 + self.dice.below(1_000) * usize::from(self.dice.below(8) == 0));
                input.splice(at..at, part);
            }
            4 => {
                let other = self.dice.pick(&self.corpus);
                let from = self.dice.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 => input.truncate(at),
            _ => {
                let piece = self.dice.pick(&PIECES);
                input.splice(at..at + length, piece.bytes());
            }
        }
        input.truncate(SIZE_LIMIT);
    }
}
