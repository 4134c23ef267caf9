// Values where they stand, and values of variables.

const filter = (text) => `{ accessRequests(first: 1, filter: ${text}) { nodes { id } } }`;
const stage = (text) => `mutation { createAssignmentPolicy(input: {accessPackageId: "x", displayName: "x", stages: ${text}}) { userErrors { code } } }`;
const sets = (text) => `mutation { updateInsiderRiskApproval(input: {approvers: ${text}}) { userErrors { code } } }`;

const literals = [
  "{}", "null", "{states: []}", "{states: [DENIED]}", "{states: DENIED}", "{states: null}", "{states: [null]}", "{states: [[DENIED]]}", '{states: ["DENIED"]}', '{states: "DENIED"}', "{states: [denied]}", "{states: [NOTHING]}", "{states: [DENIED, DENIED]}", "{states: 1}", "{states: {}}", "{states: [true]}",
  '{accessPackageId: "x"}', "{accessPackageId: 5}", "{accessPackageId: -5}", "{accessPackageId: 5.0}", "{accessPackageId: 1e3}", "{accessPackageId: true}", "{accessPackageId: x}", '{accessPackageId: ["x"]}', '{accessPackageId: {id: "x"}}', "{accessPackageId: null}", "{accessPackageId: 99999999999999999999}", '{accessPackageId: """x"""}', '{accessPackageId: ""}',
  "{hasRiskStage: true}", "{hasRiskStage: false}", '{hasRiskStage: "true"}', "{hasRiskStage: 1}", "{hasRiskStage: TRUE}", "{hasRiskStage: null}", "{hasRiskStage: [true]}", "{hasRiskStage: {}}",
  '{unknown: "x"}', '{accessPackageId: "x", unknown: null}', '{accessPackageId: "x", accessPackageId: "x"}', '{accessPackageId: "x", accessPackageId: "y"}', "{states: [], states: []}", '{__typename: "x"}', "[]", "[{}]", "[{}, {}]", '""', "5", "true", "DENIED", "1.5",
  '{createdAfter: "2026-01-31T08:00:00Z"}', '{createdAfter: "2026-01-31T08:00:00.123456+01:00"}', "{createdAfter: null}", '{createdAfter: """2026-01-31T08:00:00Z"""}',
];

const scalars = [
  '{createdAfter: "tomorrow"}', '{createdAfter: ""}', "{createdAfter: 5}", "{createdAfter: true}", "{createdAfter: {}}", '{createdAfter: {a: 1}}', '{createdAfter: ["2026-01-31T08:00:00Z"]}', "{createdAfter: NOW}", '{createdAfter: "2026-01-31"}', '{createdAfter: "2026-13-31T08:00:00Z"}', '{createdAfter: "2026-01-31T08:00:00"}',
];

const stages = [
  "[]", "null", "{approvers: []}", "[{approvers: []}]", "[{}]", "[null]", "[[]]", "[{approvers: null}]", '[{approvers: {userId: "x"}}]', '[{approvers: [{userId: "x"}]}]', '{approvers: {userId: "x"}}', "[{approvers: [{}]}]", "[{approvers: [null]}]", '[{approvers: [], escalateAfter: "P1D"}]', '[{approvers: [], decisionTimeout: null}]', "[{approvers: [], isApproverJustificationRequired: null}]",
  "[{approvers: [], fallbackApprovers: null}]", "[{approvers: [], fallbackApprovers: []}]", '[{approvers: [], unknown: 1}]', '[{approvers: [], approvers: []}]', '[{approvers: [{userId: "x", userId: "x"}]}]', '[{approvers: [], fallbackApprovers: [{groupId: "x"}], escalationApprovers: {requestorManagerLevel: 1}}]', '[{approvers: [{userId: "x"}, {unknown: "x"}]}]', '"x"', "5", '[{approvers: "x"}]',
];

const durations = ['"P14D"', '"PT6H"', '"P1W"', '"P1DT6H30M15S"', '"P"', '"PT"', '"P1Y"', '"14"', "14", "true", "P14D", '"-P1D"', '"P1.5D"', '["P1D"]', "{}"];

const oneOf = [
  "[]", '[{userId: "x"}]', '{userId: "x"}', "[{}]", "{}", '[{userId: "x", groupId: "y"}]', '[{userId: "x"}, {groupId: "y"}]', "[{userId: null}]", '[{userId: "x", groupId: null}]', "[{requestorManagerLevel: 1}]", '[{requestorManagerLevel: "1"}]', "[{requestorManagerLevel: 1.5}]", "[{directoryRole: GLOBAL_READER}]", '[{directoryRole: "GLOBAL_READER"}]', "[{directoryRole: NOBODY}]", '[{unknown: "x"}]', '[{userId: "x", unknown: "y"}]', "[null]", "null", '[{userId: "x", userId: "x"}]', '[{userId: ["x"]}]',
];

const inOneOf = [
  ["$id: ID!", '[{userId: $id}]', '{"id": "x"}'], ["$id: ID", '[{userId: $id}]', '{"id": "x"}'], ["$id: ID", '[{userId: $id}]', '{"id": null}'], ["$id: ID", '[{userId: $id}]', undefined], ['$id: ID = "x"', '[{userId: $id}]', undefined], ['$id: ID! = "x"', '[{userId: $id}]', undefined], ["$id: ID!", '[{userId: $id, groupId: $id}]', '{"id": "x"}'], ["$id: ID!", '[{userId: $id, groupId: null}]', '{"id": "x"}'],
  ["$id: String!", '[{userId: $id}]', '{"id": "x"}'], ["$id: [ID!]!", '[{userId: $id}]', '{"id": ["x"]}'], ["$set: SubjectSetInput!", "$set", '{"set": {"userId": "x"}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"userId": "x"}}'], ["$set: SubjectSetInput", "[$set]", '{"set": {"userId": "x"}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {}}'],
  ["$set: SubjectSetInput!", "[$set]", '{"set": {"userId": null}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"userId": "x", "groupId": null}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"userId": "x", "groupId": "y"}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"unknown": "x"}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"requestorManagerLevel": 2}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"requestorManagerLevel": "2"}}'],
  ["$set: SubjectSetInput!", "[$set]", '{"set": {"directoryRole": "GLOBAL_READER"}}'], ["$set: SubjectSetInput!", "[$set]", '{"set": {"directoryRole": "global_reader"}}'], ["$sets: [SubjectSetInput!]", "$sets", '{"sets": [{"userId": "x"}]}'], ["$sets: [SubjectSetInput!]!", "$sets", '{"sets": {"userId": "x"}}'], ["$sets: [SubjectSetInput]", "$sets", '{"sets": []}'], ["$sets: [SubjectSetInput!]", "[$sets]", '{"sets": []}'], ["$role: DirectoryRole!", "[{directoryRole: $role}]", '{"role": "GLOBAL_READER"}'],
  ["$role: DirectoryRole!", "[{directoryRole: $role}, {requestorManagerLevel: 1}]", '{"role": "GLOBAL_READER"}'],
];

// What a variable of a type is given, as JSON.
const given = {
  "Int": ["5", "0", "-1", "5.0", "5.5", "1e2", "1e-2", "2147483647", "2147483648", "-2147483648", "-2147483649", "1e10", '"5"', "true", "[5]", "{}", "null"],
  "Int!": ["5", "null", undefined],
  "String": ['"a"', '""', '"\\u0000"', '"😀"', "5", "1.5", "true", '["a"]', "{}", "null"],
  "String!": ['"a"', "null", undefined],
  "ID": ['"a"', '""', "5", "-5", "0", "5.0", "5.5", "true", '["a"]', "{}", "null", "2147483648"],
  "ID!": ['"a"', "5", "null", undefined],
  "[ID!]": ["[]", '["a"]', '"a"', "5", '["a", null]', '["a", 5]', '["a", 5.5]', '[["a"]]', "null", "{}"],
  "[ID!]!": ["[]", '["a"]', '"a"', "null", undefined, '[null]'],
  "Boolean": ["true", "false", '"true"', "1", "0", "[true]", "null"],
  "Boolean!": ["true", "null", undefined],
  "RiskSource": ['"ID_PROTECTION"', '"id_protection"', '"NOTHING"', "1", "true", '["ID_PROTECTION"]', "null"],
  "[RiskSource!]": ['["ID_PROTECTION", "INSIDER_RISK"]', '"ID_PROTECTION"', "[]", '["NOTHING"]', "[null]", "null"],
  "AccessRequestFilter": ["{}", "null", "[]", '"x"', "5", '{"unknown": 1}', '{"unknown": null}', '{"states": ["DENIED"]}', '{"states": "DENIED"}', '{"states": ["denied"]}', '{"states": [null]}', '{"states": null}', '{"hasRiskStage": "yes"}', '{"hasRiskStage": true, "targetId": 5}', '{"createdAfter": "2026-01-31T08:00:00Z"}', "[{}]"],
  "SubmitAccessRequestInput!": ['{"accessPackageId": "x"}', "{}", '{"accessPackageId": null}', '{"accessPackageId": "x", "policyId": null}', '{"accessPackageId": "x", "unknown": 1}', '{"accessPackageId": ["x"]}', "null", undefined],
  "PolicyStageInput!": ['{"approvers": []}', '{"approvers": null}', "{}", '{"approvers": [{}]}', '{"approvers": {"userId": "x"}}', '{"approvers": [], "fallbackApprovers": null}', '{"approvers": [], "decisionTimeout": null}', '{"approvers": [], "decisionTimeout": "P1D"}'],
};

const givenScalars = {
  "DateTime": ['"2026-01-31T08:00:00Z"', '"2026-01-31T08:00:00.5-05:00"', '"tomorrow"', '""', "5", "true", "[]", "{}", "null"],
  "Duration": ['"P14D"', '"PT1M"', '"P1Y"', '"soon"', "14", "null"],
};

// A place for a value of each type.
const place = {
  "Int": "users(first: $x) { nodes { id } }",
  "String": "users(first: 1, filter: {search: $x}) { nodes { id } }",
  "ID": "accessRequests(first: 1, filter: {targetId: $x}) { nodes { id } }",
  "[ID!]": "nodes(ids: $x) { id }",
  "Boolean": "accessRequests(first: 1, filter: {hasRiskStage: $x}) { nodes { id } }",
  "RiskSource": "pendingRiskApprovals(first: 1, sources: [$x]) { nodes { id } }",
  "[RiskSource!]": "pendingRiskApprovals(first: 1, sources: $x) { nodes { id } }",
  "AccessRequestFilter": "accessRequests(first: 1, filter: $x) { nodes { id } }",
  "SubmitAccessRequestInput": "previewAccessRequest(input: $x) { userErrors { code } }",
  "DateTime": "accessRequests(first: 1, filter: {createdAfter: $x}) { nodes { id } }",
};
const mutations = {
  "PolicyStageInput": 'createAssignmentPolicy(input: {accessPackageId: "x", displayName: "x", stages: [$x]}) { userErrors { code } }',
  "Duration": 'createAssignmentPolicy(input: {accessPackageId: "x", displayName: "x", assignmentDuration: $x}) { userErrors { code } }',
};

function coerced(table) {
  return Object.entries(table).flatMap(([type, values]) => {
    const bare = type.replace(/!$/, "");
    const [kind, field] = place[bare] ? ["query", place[bare]] : ["mutation", mutations[bare]];
    return values.map((value) => [
      `${kind}($x: ${type}) { ${field} }`,
      value === undefined ? undefined : `{"x": ${value}}`,
    ]);
  });
}

// Types of variables against types of places.
const types = ["Int", "Int!", "[Int]", "Float", "String", "String!", "ID", "ID!", "[ID]", "[ID!]", "[ID!]!", "[[ID!]]", "Boolean", "Boolean!", "DateTime", "RiskSource", "RiskSource!", "[RiskSource]", "[RiskSource!]", "UserFilter", "User", "Node", "SubjectSet", "Query", "Nothing", "[Nothing]", "__Type", "__TypeKind"];
const places = [
  "users(first: $x) { nodes { id } }", "nodes(ids: $x) { id }", "nodes(ids: [$x]) { id }", "node(id: $x) { id }", "users(filter: {search: $x}) { nodes { id } }", "users(filter: $x) { nodes { id } }", "pendingRiskApprovals(sources: $x) { nodes { id } }", "pendingRiskApprovals(sources: [$x]) { nodes { id } }", "__typename @include(if: $x)",
];

const fitting = { "Int!": 1, "String!": "a", "ID!": "a", "[ID!]!": ["a"], "Boolean!": true, "RiskSource!": "ID_PROTECTION" };

const misused = [
  ['query($x: Int = "5") { users(first: $x) { nodes { id } } }'], ["query($x: Int = 5.0) { users(first: $x) { nodes { id } } }"], ["query($x: Int! = null) { users(first: $x) { nodes { id } } }"], ["query($x: Int = null) { users(first: $x) { nodes { id } } }"], ['query($x: [ID!] = "a") { nodes(ids: $x) { id } }'], ['query($x: [ID!] = ["a"]) { nodes(ids: $x) { id } }'], ['query($x: [ID!]! = ["a"]) { nodes(ids: $x) { id } }'],
  ["query($x: [ID!]! = [null]) { nodes(ids: $x) { id } }"], ['query($x: ID = "a") { node(id: $x) { id } }'], ['query($x: ID = "a") { node(id: $x) { id } }', '{"x": null}'], ['query($x: ID = null) { node(id: $x) { id } }'], ["query($x: UserFilter = {search: 5}) { users(filter: $x) { nodes { id } } }"], ['query($x: UserFilter = {search: "a"}) { users(filter: $x) { nodes { id } } }'], ["query($x: UserFilter = {unknown: 5}) { users(filter: $x) { nodes { id } } }"],
  ["query($x: UserFilter = []) { users(filter: $x) { nodes { id } } }"], ['query($x: RiskSource = ID_PROTECTION) { pendingRiskApprovals(sources: [$x]) { nodes { id } } }'], ['query($x: RiskSource! = ID_PROTECTION) { pendingRiskApprovals(sources: [$x]) { nodes { id } } }'], ['query($x: RiskSource = "ID_PROTECTION") { pendingRiskApprovals(sources: [$x]) { nodes { id } } }'], ['query($x: RiskSource = NOTHING) { pendingRiskApprovals(sources: [$x]) { nodes { id } } }'],
  ["query($x: Int, $x: Int) { users(first: $x) { nodes { id } } }"], ["query($x: Int, $y: Int) { users(first: $x) { nodes { id } } }"], ["query($x: Int) { users(first: $y) { nodes { id } } }"], ["query($x: Int) { ...F } fragment F on Query { users(first: $x) { nodes { id } } }"], ["query { ...F } fragment F on Query { users(first: $x) { nodes { id } } }"], ["query($x: String) { ...F } fragment F on Query { users(first: $x) { nodes { id } } }"],
  ["query A($x: Int) { ...F } query B { ...F } fragment F on Query { users(first: $x) { nodes { id } } }", undefined, "A"], ["query A($x: Int) { ...F } query B($x: Int) { ...F } fragment F on Query { users(first: $x) { nodes { id } } }", undefined, "A"], ["query A($x: Int) { ...F } query B($x: String) { ...F } fragment F on Query { users(first: $x) { nodes { id } } }", undefined, "A"],
  ["query($x: Boolean!) { __typename @skip(if: $x) }", '{"x": true}'], ["query($x: Boolean!) { __typename @skip(if: $x) }"], ["query($x: Boolean = true) { __typename @skip(if: $x) }"], ["query($x: Boolean = true) { __typename @skip(if: $x) }", '{"x": null}'], ["query($x: Boolean) { __typename @skip(if: $x) }"], ["query($x: Int!) { users(first: $x) @skip(if: true) { nodes { id } } }"], ['query($x: Int!) { users(first: $x) @skip(if: true) { nodes { id } } }', '{"x": 1}'],
  ["{ __typename }", '{"unknown": 1}'], ["query($x: Int) { users(first: $x) { nodes { id } } }", '{"x": 1, "unknown": {"a": [1]}}'], ["query($x: ID) { node(id: $x) { id } }"], ['query($x: ID!) { nodes(ids: [$x, $x]) { id } }', '{"x": "a"}'], ['query($x: ID) { nodes(ids: [$x, "a"]) { id } }', '{"x": "a"}'], ["query($x: Boolean) { users(first: 1, filter: {hasRisk: $x, search: null}) { nodes { id } } }"], ['mutation($x: ID!) { dismissUserRisk(input: {userIds: [$x]}) { userErrors { code } } }', '{"x": "a"}'],
  ['mutation($x: [ID!]!) { dismissUserRisk(input: {userIds: $x}) { userErrors { code } } }', '{"x": "a"}'], ['mutation($x: [ID!]) { dismissUserRisk(input: {userIds: $x}) { userErrors { code } } }', '{"x": ["a"]}'], ['mutation($x: String) { createCatalog(input: {displayName: $x}) { userErrors { code } } }', '{"x": ""}'], ['mutation($x: String!, $y: String) { createCatalog(input: {displayName: $x, description: $y}) { userErrors { code } } }', '{"x": ""}'],
];

export default {
  "input object": literals.map((text) => [filter(text)]),
  "nested input object": stages.map((text) => [stage(text)]),
  "custom scalar": [
    ...scalars.map((text) => [filter(text)]),
    ...durations.map((text) => [stage(`[{approvers: [], decisionTimeout: ${text}}]`)]),
  ],
  oneOf: oneOf.map((text) => [sets(text)]),
  "variable in oneOf": inOneOf.map(([definition, text, variables]) => [
    `mutation(${definition}) { updateInsiderRiskApproval(input: {approvers: ${text}}) { userErrors { code } } }`,
    variables,
  ]),
  "variable's value": coerced(given),
  "custom scalar's variable": coerced(givenScalars),
  "variable's place": places.flatMap((field) =>
    types.map((type) => [`query($x: ${type}) { ${field} }`, JSON.stringify({ x: fitting[type] })]),
  ),
  variable: misused,
};
