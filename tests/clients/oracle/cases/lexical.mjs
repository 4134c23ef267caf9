// Characters and tokens.

const id = (text) => `{ node(id: ${text}) { id } }`;
const first = (text) => `{ users(first: ${text}) { nodes { id } } }`;

const strings = [
  '""', '"a"', '"\\""', '"\\\\"', '"\\/"', '"\\b\\f\\n\\r\\t"', '"\\u0041"', '"\\u00e9"', '"é"', '"😀"', '"\\uD83D\\uDE00"', '"\\u{1F600}"',
  '"\\u{41}"', '"\\u{000041}"', '"\\u{10FFFF}"', '"\\u{0}"', '"\\u0000"', '"\\uFFFF"', '"a\tb"', '"\u0001"', '"\u007f"', '"\u2028"',
  '"\\uD83D"', '"\\uDE00"', '"\\uDE00\\uD83D"', '"\\uD83D\\u0041"', '"\\uD83D\\u{DE00}"', '"\\u{D83D}"', '"\\u{D83D}\\u{DE00}"', '"\\u{110000}"',
  '"\\u{}"', '"\\u{1F600"', '"\\u{g}"', '"\\u123"', '"\\uGGGG"', '"\\U0041"', '"\\x41"', '"\\a"', '"\\\'"', '"\\"', '"', '"a',
  '"a\nb"', '"a\rb"', "'a'", "`a`", '"a" "b"', '"#"', '"a # b"', '"""', '""""', '"""""', '""""""', '"""a"""', '"""a""b"""', '"""a\\"""b"""',
  '"""\\u{D83D}"""', '"""\n  a\n    b\n"""', '"""a"', '"""a""', '"""é😀"""', '"""\r\n\ta\r\n"""', '"""\\"""', '""""a"""', '"""a""""', '"""\u0000"""',
];

const numbers = [
  "0", "-0", "1", "-1", "50", "2147483647", "-2147483648", "2147483648", "-2147483649", "9999999999999999999999", "00", "01", "-01", "+1", "1.0", "1.5",
  "1.", ".5", "1e3", "1E3", "1e+3", "1e-3", "1e", "1e+", "1.0e", "0.0", "-", "--1", "0x1", "1a", "1_000", "1é", "1.a", "1.5.2", "1..2", "1...on", "0b1",
  "1,", ",1", "1 # one\n", "Infinity", "NaN", "1\"a\"", "1$x",
];

const sources = [
  "", " ", ",", "#", "# only a comment", "\ufeff", "\ufeff{ __typename }", "{ \ufeff__typename }", "{ __typename }\ufeff", "{\u00a0__typename }", "{\u2003__typename }",
  "{\u000b__typename }", "{\u000c__typename }", "{\u2028__typename }", "{\u0000__typename }", "{\t__typename\t}", "{\r__typename\r}", "{\r\n__typename\r\n}",
  "{ __typename } # end", "{ __typename # \u0007 control\n}", "{ # comment \\u{D83D} }\n __typename }", "{ __typename # comment\r}", "{ __typename # comment\u2028}",
  "{,,,__typename,,,}", ",{__typename},", "{ __typename } ,", "{__typename,__typename}", "{ _: __typename }", "{ __: __typename }", "{ _1: __typename }", "{ 1a: __typename }",
  "{ é: __typename }", "{ a-b: __typename }", "{ a.b: __typename }", "{ a:__typename b :__typename c : __typename }", "{ a::__typename }", "{ a: b: __typename }", "{ :__typename }",
  "{ __typename! }", "{ __typename & viewer { user { id } } }", "{ __typename | __typename }", "{ __typename; }", "{ __typename ? }", "{ ~__typename }", "{ %__typename }", "{ ^ }", "{ * }",
  "{ __typename = 1 }", "{ __typename < 1 }", "{ __typename }}", "{ __typename ", "__typename }", "{ { __typename } }", "{}", "{ }", "{ viewer {} }", "{ viewer { user {} } }",
  "{ viewer { user { ... on User {} } } }", "query {}", "query Q {}", "query", "query Q", "query Q()", "query () { __typename }", "query Q() { __typename }", "query(){ __typename }", "query Q { __typename",
  "{ node() { id } }", "{ __typename() }", "{ node(id) { id } }", "{ node(id:) { id } }", "{ node(id \"a\") { id } }", "{ node(\"a\") { id } }", "{ node(: \"a\") { id } }", "{ node(id: \"a\" { id } }", "{ node id: \"a\") { id } }",
  "{ node(id: \"a\" 1) { id } }", "{ node(id: \"a\" b) { id } }", "{ node(id: \"a\",,) { id } }", "{ node(,id: \"a\") { id } }", "{ node(id:: \"a\") { id } }", "{ node(id: \"a\") id }", "{ node(id: \"a\")(id: \"a\") { id } }",
  "{ node(id: \"a\") { id }, }", "{ node(id: \"a\") { id } { id } }", "{ users(filter: {search: \"a\" 1}) { nodes { id } } }", "{ users(filter: {search}) { nodes { id } } }", "{ users(filter: {search:}) { nodes { id } } }", "{ users(filter: {\"search\": \"a\"}) { nodes { id } } }",
  "{ users(filter: {search: \"a\") { nodes { id } } }", "{ users(filter: {{}}) { nodes { id } } }", "{ users(filter: {}) { nodes { id } } }", "{ nodes(ids: []) { id } }", "{ nodes(ids: [,]) { id } }", "{ nodes(ids: [\"a\" \"b\"]) { id } }", "{ nodes(ids: [\"a\",,\"b\",]) { id } }",
  "{ nodes(ids: [\"a\") { id } }", "{ nodes(ids: \"a\"]) { id } }", "{ nodes(ids: [id: \"a\"]) { id } }", "{ nodes(ids: [1 2 $]) { id } }", "{ nodes(ids: $) { id } }", "{ nodes(ids: $ids) { id } }", "{ ...}", "{ ... }", "{ .... on Query { __typename } }", "{ .. on Query { __typename } }", "{ . }", "{ ...on }", "{ ... on }",
  "{ ...on Query { __typename } }", "{ ...on{ __typename } }", "{ ... on Query }", "{ ... { __typename } }", "{ ...{ __typename } }", "{ ... @include(if: true) { __typename } }", "{ ...F } fragment F on Query { __typename }", "{ ... F } fragment F on Query { __typename }", "{ ...\nF } fragment F on Query { __typename }",
  "{ ...F() } fragment F on Query { __typename }", "{ ...F { id } } fragment F on Query { __typename }", "{ ...F } fragment F { __typename }", "{ ...F } fragment F on { __typename }", "{ ...F } fragment F Query { __typename }", "{ ...F } fragment on Query { __typename }", "{ ...F } fragment F on Query", "{ ...on } fragment on on Query { __typename }",
  "{ __typename } fragment on on Query { __typename }", "{ ...F } fragment F($x: Int) on Query { __typename }", "{ ...F(x: 1) } fragment F on Query { __typename }", "{ ...F } fragment F on Query! { __typename }", "{ ...F } fragment F on [Query] { __typename }", "{ ...F } fragment F on Query & Node { __typename }",
  "{ a: ...F } fragment F on Query { __typename }", "{ __typename @ }", "{ __typename @@skip(if: false) }", "{ __typename @skip(if: false }", "{ __typename @skip if: false }", "{ __typename @ skip(if: false) }", "{ __typename @skip(if: false)@include(if: true) }", "{ @skip(if: false) __typename }",
  "query @skip(if: false) { __typename }", "query Q @x { __typename }", "query Q(@x $a: Int) { __typename }", "{ viewer @skip(if: false) }", "{ viewer { user { id } } @skip(if: false) }",
];

const definitions = [
  '"A description" query { __typename }', '"A description" query Q { __typename }', '"""A block""" query Q { __typename }', '"A description" { __typename }', '"""A block""" { __typename }', '"one" "two" query { __typename }', '"" query { __typename }',
  '"A description" fragment F on Query { __typename } { ...F }', '{ ...F } """A block""" fragment F on Query { __typename }', '"A description"', '{ __typename } "A description"', 'query "A description" { __typename }', 'query Q "A description" { __typename }',
  'query("The size" $first: Int) { users(first: $first) { nodes { id } } }', 'query("""The size""" $first: Int) { users(first: $first) { nodes { id } } }', 'query($first: Int "The size") { users(first: $first) { nodes { id } } }', 'query($first: "The size" Int) { users(first: $first) { nodes { id } } }',
  '{ "A description" __typename }', '{ node("A description" id: "a") { id } }', '{ ... "A description" on Query { __typename } }', '"\\uD83D" query { __typename }', '"A description" subscription { pendingRiskApprovalCreated { cursor } }', '"A description" mutation { dismissUserRisk(input: {userIds: []}) { users { id } } }', '# A comment\nquery { __typename }',
  "type X { a: Int }", "{ __typename } type X { a: Int }", "{ __typename } schema { query: Query }", "{ __typename } scalar X", "{ __typename } directive @x on FIELD", "{ __typename } extend type Query { x: Int }", "{ __typename } enum E { A }", "{ __typename } input I { a: Int }", "{ __typename } union U = User", "{ __typename } interface I { a: Int }",
  "{ __typename } extend schema @x", "{ __typename } nonsense", "{ __typename } 5", "nonsense { __typename }", "Query { __typename }", "QUERY { __typename }", "query query { __typename }", "query subscription { __typename }", "query fragment { __typename }", "query on { __typename }", "query null { __typename }", "query true { __typename }",
  "query _ { __typename }", "query Q1 { __typename }", "query 1Q { __typename }", "query Q-1 { __typename }", "query $Q { __typename }", "query @Q { __typename }", "query Q Q { __typename }", "fragment F on Query { __typename }", "{ ...F } fragment F on Query { __typename } fragment G on Query { __typename }",
  "{ ...query } fragment query on Query { __typename }", "{ ...true } fragment true on Query { __typename }", "{ ...null } fragment null on Query { __typename }", "{ ...fragment } fragment fragment on Query { __typename }", "{ true: __typename null: __typename on: __typename fragment: __typename query: __typename }",
];

const variables = [
  "query($first: Int) { users(first: $first) { nodes { id } } }", "query($ first: Int) { users(first: $ first) { nodes { id } } }", "query($\nfirst: Int) { users(first: $\nfirst) { nodes { id } } }", "query($first:Int){users(first:$first){nodes{id}}}", "query(first: Int) { users(first: $first) { nodes { id } } }",
  "query($first Int) { users(first: $first) { nodes { id } } }", "query($first:) { users(first: $first) { nodes { id } } }", "query($first) { users(first: $first) { nodes { id } } }", "query($: Int) { users(first: $) { nodes { id } } }", "query($$first: Int) { users(first: $first) { nodes { id } } }",
  "query($first: Int,) { users(first: $first) { nodes { id } } }", "query($first: Int = 5) { users(first: $first) { nodes { id } } }", "query($first: Int=5) { users(first: $first) { nodes { id } } }", "query($first: Int =) { users(first: $first) { nodes { id } } }", "query($first: Int = $last, $last: Int = 1) { users(first: $first, last: $last) { nodes { id } } }",
  "query($first: Int = [$last], $last: Int = 1) { users(first: $first, last: $last) { nodes { id } } }", "query($first: Int!!) { users(first: $first) { nodes { id } } }", "query($first: !Int) { users(first: $first) { nodes { id } } }", "query($first: (Int)) { users(first: $first) { nodes { id } } }", "query($first: Int Int) { users(first: $first) { nodes { id } } }",
  "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", "query($ids: [ID!) { nodes(ids: $ids) { id } }", "query($ids: ID!]) { nodes(ids: $ids) { id } }", "query($ids: []) { nodes(ids: $ids) { id } }", "query($ids: [ID ID]) { nodes(ids: $ids) { id } }", "query($ids: [ID! ! ]!) { nodes(ids: $ids) { id } }", "query($query: String) { users(filter: {search: $query}) { nodes { id } } }", "query($on: String) { users(filter: {search: $on}) { nodes { id } } }",
  "query($first: Int @skip(if: true)) { users(first: $first) { nodes { id } } }", "query($first: Int @unknown) { users(first: $first) { nodes { id } } }", "query($first: Int @deprecated) { users(first: $first) { nodes { id } } }", "{ users(first: $first) { nodes { id } } }", "query Q($first: Int) ($last: Int) { users(first: $first, last: $last) { nodes { id } } }",
];

const values = '{"ids": [], "first": 1}';

export default {
  string: strings.map((text) => [id(text)]),
  "string as a variable's default": strings.slice(0, 44).map((text) => [`query($id: ID! = ${text}) { node(id: $id) { id } }`]),
  number: numbers.map((text) => [first(text)]),
  source: sources.map((text) => [text]),
  definition: definitions.map((text) => [text]),
  "variable definition": variables.map((text) => [text, values]),
};
