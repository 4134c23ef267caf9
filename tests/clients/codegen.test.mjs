// graphql-codegen's client preset and `tsc --strict`: types of a portal from our schema, and that portal at work.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { Server } from "./support/server.mjs";

const folder = join(import.meta.dirname, "codegen");
const packages = join(import.meta.dirname, "node_modules");

/** Runs a script of a package; where it fails, what it said is in the error. */
async function run(script, args, env = {}) {
  const options = { cwd: folder, env: { ...process.env, ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], options).catch((error) => {
    throw new Error(`${error.message}\n${error.stdout}\n${error.stderr}`);
  });
  return stdout;
}

suite("graphql-codegen", () => {
  let server;

  before(async () => {
    rmSync(join(folder, "made"), { recursive: true, force: true });
    server = await Server.start();
    await run(join(packages, "@graphql-codegen/cli/esm/bin.js"), ["--config", "codegen.json"]);
    // Also what must not fit does not: the portal expects errors where it is wrong.
    await run(join(packages, "typescript/bin/tsc"), ["--strict", "--project", "tsconfig.json"]);
  });
  after(() => server?.stop());

  test("the typed portal reads and decides", async () => {
    const environment = { URL: server.url, AUTHORIZATION: server.headers("sam").authorization };
    const lines = (await run(join(folder, "made/js/portal.js"), [], environment)).trim().split("\n");
    const moment = String.raw`\d{4}-\d\d-\d\dT\S+Z`;
    assert.equal(lines.at(-1), "NOT_FOUND");
    assert.ok(lines.length > 2, lines.join("\n"));
    for (const line of lines.slice(0, -1)) assert.match(line, new RegExp(`^DENIED ${moment} ${moment} \\w+ \\w+`));
    assert.ok(
      lines.some((line) => line.endsWith(" HIGH POLICY POLICY")),
      lines.join("\n"),
    );
  });
});
