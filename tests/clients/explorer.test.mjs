// GraphiQL as the program serves it, in a real browser: it works, under its own policy, and speaks with nobody else.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, suite, test } from "node:test";

import { chromium } from "playwright-core";

import { Server } from "./support/server.mjs";
import { aliceAsks, aliceTakesBack, metric, until } from "./support/story.mjs";

const browserPath = () =>
  execFileSync("sh", ["-c", "command -v chromium || command -v google-chrome"], { encoding: "utf8" }).trim();

suite("GraphiQL in Chromium", () => {
  let server;
  let browser;
  let page;
  let policy;
  const asked = [];
  const complaints = [];

  before(async () => {
    server = await Server.start();
    browser = await chromium.launch({
      executablePath: browserPath(),
      // Its own sandbox does not work for root. No name leads anywhere, should something slip past the page's events.
      args: [
        ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      ],
    });
    page = await browser.newPage();
    page.setDefaultTimeout(10_000);
    page.on("request", (request) => asked.push(request.url()));
    page.on("websocket", (socket) => asked.push(socket.url()));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.exposeFunction("complain", (text) => complaints.push(text));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) => {
        window.complain(`${violatedDirective} blocked ${blockedURI} in ${sourceFile}`);
      });
    });
    const response = await page.goto(server.origin);
    policy = response.headers()["content-security-policy"];
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const write = async (document) => {
    await page.click(".graphiql-query-editor .CodeMirror");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.insertText(document);
    // GraphiQL reads what is typed a moment later; before that it would not know a subscription from a query.
    await page.waitForFunction(
      (name) => {
        const { CodeMirror } = window.document.querySelector(".graphiql-query-editor .CodeMirror");
        return CodeMirror.operationName === name;
      },
      document.match(/^\w+ (\w+)/)[1],
    );
  };
  const execute = () => page.click("button.graphiql-execute-button");
  const shows = (text) => page.locator(".result-window", { hasText: text }).waitFor();

  test("the page has a strict policy", () => {
    const directives = Object.fromEntries(
      policy.split("; ").map((part) => [part.split(" ")[0], part.split(" ").slice(1)]),
    );
    assert.deepEqual(directives["default-src"], ["'none'"]);
    assert.deepEqual(directives["script-src"], ["'self'"]);
    assert.deepEqual(directives["connect-src"], ["'self'"]);
    assert.deepEqual(directives["frame-ancestors"], ["'none'"]);
    assert.ok(!policy.includes("unsafe-eval"));
  });

  test("a person is picked, and the query that is there is run as that person", async () => {
    const sam = await page.locator("#person option", { hasText: "sam@example.com" }).getAttribute("value");
    await page.selectOption("#person", sam);
    await execute();
    await shows('"displayName": "Sam Okafor"');
    await shows('"SECURITY_ADMINISTRATOR"');
  });

  test("a document that is not good is told so", async () => {
    await write("query Wrong { viewer { nothing } }");
    await execute();
    await shows("BAD_USER_INPUT");
  });

  test("the documentation is read", async () => {
    await page.click("button[aria-label='Show Documentation Explorer']");
    const pane = page.locator(".graphiql-doc-explorer");
    await pane.getByRole("link", { name: "Query", exact: true }).click();
    await pane.getByText("The signed-in person: what they may do and what waits for them.").waitFor();
    await pane.getByRole("link", { name: "pendingRiskApprovals", exact: true }).click();
    await pane.getByText("misses nothing and hears nothing twice").waitFor();
  });

  test("a subscription is opened, and an event of it is seen", async () => {
    await write(
      "subscription Pending { pendingRiskApprovalCreated { stage { request { requestor { displayName } } } } }",
    );
    await execute();
    await until(async () => (await metric(server, "riskgate_subscriptions")) === 1);
    const id = await aliceAsks(server);
    await shows('"displayName": "Alice Moreau"');
    await execute();
    await until(async () => (await metric(server, "riskgate_subscriptions")) === 0);
    await aliceTakesBack(server, id);
  });

  test("nobody else was asked for anything, and nothing was complained of", () => {
    const { host } = new URL(server.origin);
    assert.deepEqual(
      asked.filter((url) => new URL(url).host !== host && !url.startsWith("data:")),
      [],
    );
    assert.ok(
      asked.some((url) => url.startsWith("ws://")),
      "the subscription came over a WebSocket",
    );
    // The document that was not good is answered with 400, which the browser mentions.
    assert.deepEqual(
      complaints.filter((text) => !text.includes("status of 400")),
      [],
    );
  });

  test("what the policy forbids is seen by these tests", async () => {
    await page.evaluate(() => (new Image().src = "http://elsewhere.example/"));
    await until(() => complaints.some((text) => text.startsWith("img-src blocked http://elsewhere.example")));
  });
});
