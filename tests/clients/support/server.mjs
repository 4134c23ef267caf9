// The real program, as an operator starts it: the demo world, a free port, a database that is gone afterwards.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));

const program = process.env.RISKGATE_PROGRAM ?? `${root}target/debug/riskgate`;

// A variable of the program's own that it does not know would stop it.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("RISKGATE_")));

/** What the program prints for these arguments. */
export const printed = (...args) => execFileSync(program, args, { env: environment, encoding: "utf8" });

export class Server {
  #child;
  #database;
  #log = "";

  /** Starts one; resolves once it serves. */
  static async start(...more) {
    assert.ok(existsSync(program), `${program} is not there: cargo build`);
    const server = new Server();
    const args = ["serve", "--demo", "--listen", "127.0.0.1:0", "--database-url", "sqlite::memory:", ...more];
    server.#child = spawn(program, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    // Whatever ends the tests ends the server.
    process.once("exit", () => server.#child.kill("SIGKILL"));
    process.once("SIGTERM", () => process.exit(143));
    server.#child.stderr.setEncoding("utf8").on("data", (text) => (server.#log += text));
    const lines = createInterface({ input: server.#child.stdout });
    const ended = once(server.#child, "exit").then(([code]) => assert.fail(`it ended with ${code}: ${server.#log}`));
    const [line] = await Promise.race([once(lines, "line"), ended]);
    const [, origin, database] = line.match(/ at (http:\/\/[^/]+)\/graphql from (\S+)$/) ?? assert.fail(line);
    server.origin = origin;
    server.url = `${origin}/graphql`;
    server.socketUrl = server.url.replace("http:", "ws:");
    server.#database = `sqlite://${database}`;
    return server;
  }

  /** A bearer token of somebody of the demo world. */
  token(name) {
    return printed("token", `${name}@example.com`, "--database-url", this.#database).trim();
  }

  /** The headers of somebody of the demo world. */
  headers(name) {
    return { authorization: `Bearer ${this.token(name)}` };
  }

  /** What one of the demo world gets for a document; fails where there are errors. */
  async ask(name, query, variables) {
    const { data, errors } = await this.post(this.headers(name), { query, variables });
    assert.deepEqual(errors, undefined);
    return data;
  }

  /** The answer to a request, whatever it is. */
  async post(headers, body) {
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    return response.json();
  }

  /** Ends it. It has to leave in peace, and nothing went wrong inside it that no client was to blame for. */
  async stop() {
    if (this.#child.exitCode === null) {
      this.#child.kill("SIGTERM");
      await once(this.#child, "close");
    }
    assert.equal(this.#child.exitCode, 0, this.#log);
    const faults = this.#log.split("\n").filter((line) => /\bERROR\b|panicked/.test(line));
    assert.deepEqual(faults, []);
  }
}
