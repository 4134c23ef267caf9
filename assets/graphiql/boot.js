"use strict";

// Starts GraphiQL. In the demo world one picks a person, and every request and subscription carries that person's token;
// elsewhere the token is typed as a header: {"Authorization": "Bearer …"}.
(async () => {
  const socket = new URL("/graphql", location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const start = "# What may I do, and what waits for me?\n{\n  viewer {\n    user { displayName }\n    directoryRoles\n    pendingApprovals { nodes { kind dueAt request { requestor { displayName } accessPackage { displayName } } } }\n  }\n}\n";
  const root = ReactDOM.createRoot(document.getElementById("graphiql"));

  const show = (person) => {
    const bearer = person ? { Authorization: `Bearer ${person.token}` } : {};
    const fetcher = GraphiQL.createFetcher({
      url: "/graphql",
      subscriptionUrl: socket.href,
      headers: bearer,
      wsConnectionParams: bearer,
    });
    root.render(React.createElement(GraphiQL, { key: person ? person.upn : "", fetcher, defaultQuery: start }));
  };

  const answer = await fetch("/explorer/people.json");
  const people = answer.ok ? await answer.json() : [];
  if (people.length > 0) {
    const select = document.getElementById("person");
    people.forEach((person, at) => {
      const text = person.role ? `${person.name} (${person.upn}): ${person.role}` : `${person.name} (${person.upn})`;
      select.add(new Option(text, String(at)));
    });
    select.addEventListener("change", () => show(people[Number(select.value)]));
    document.getElementById("who").hidden = false;
  }
  show(people[0]);
})();
