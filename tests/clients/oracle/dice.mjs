// Chance that is the same on every machine: mulberry32.

export class Dice {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 up to 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 up to a limit that is not reached. */
  below(limit) {
    return Math.floor(this.next() * limit);
  }

  /** True that often. */
  chance(probability) {
    return this.next() < probability;
  }

  /** One of a list. A RangeError where it is empty. */
  of(list) {
    if (list.length === 0) throw new RangeError("nothing to choose from");
    return list[this.below(list.length)];
  }

  /** Some of a list, in another order. */
  some(list, most) {
    const left = [...list];
    const taken = [];
    while (left.length > 0 && taken.length < most) taken.push(...left.splice(this.below(left.length), 1));
    return taken;
  }
}
