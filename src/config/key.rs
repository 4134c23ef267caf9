//! The keys: one table for the file, the environment, the command line and the page that documents them.

use std::fmt;

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that may hold a secret: never quoted in an error.
    SecretText,
    /// An IP address and a port.
    Address,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Texts; in a variable separated by commas.
    List,
    /// A whole number, not negative.
    Number,
    /// A span of time, as ISO 8601 has it.
    Span,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text | Kind::SecretText => f.write_str("a text"),
            Kind::Address => f.write_str("an IP address and a port"),
            Kind::Flag => f.write_str("true or false"),
            Kind::Word(words) => f.write_str(&words.join(" or ")),
            Kind::List => f.write_str("a list of texts"),
            Kind::Number => f.write_str("a whole number"),
            Kind::Span => f.write_str("a span of time such as PT1M"),
        }
    }
}

/// One key, as `docs/configuration.md` shows it.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file, sections with dots.
    pub name: &'static str,
    /// Its variable.
    pub env: &'static str,
    /// Its option, for those that have one.
    pub option: Option<&'static str>,
    /// What it must be.
    pub kind: Kind,
    /// What holds where it is not given.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Every key there is.
pub static KEYS: [Key; 49] = [
    Key {
        name: "listen",
        env: "RISKGATE_LISTEN",
        option: Some("--listen"),
        kind: Kind::Address,
        default: "127.0.0.1:8080",
        meaning: "Where the server listens.",
    },
    Key {
        name: "database_url",
        env: "RISKGATE_DATABASE_URL",
        option: Some("--database-url"),
        kind: Kind::SecretText,
        default: "sqlite://riskgate.db",
        meaning: "The database: `sqlite://FILE`, `sqlite::memory:` (a temporary file) or `postgres://…`.",
    },
    Key {
        name: "database_url_file",
        env: "RISKGATE_DATABASE_URL_FILE",
        option: None,
        kind: Kind::Text,
        default: "none",
        meaning: "A file that holds the database URL, instead of `database_url`.",
    },
    Key {
        name: "log_format",
        env: "RISKGATE_LOG_FORMAT",
        option: Some("--log-format"),
        kind: Kind::Word(&["text", "json"]),
        default: "text",
        meaning: "How the log on stderr is written.",
    },
    Key {
        name: "builtin_issuer",
        env: "RISKGATE_BUILTIN_ISSUER",
        option: Some("--builtin-issuer"),
        kind: Kind::Flag,
        default: "false; true in demo mode",
        meaning: "Whether `riskgate token` issues tokens and the server trusts them.",
    },
    Key {
        name: "web.graphiql",
        env: "RISKGATE_WEB__GRAPHIQL",
        option: None,
        kind: Kind::Flag,
        default: "false; true in demo mode",
        meaning: "Whether `/` shows GraphiQL.",
    },
    Key {
        name: "web.allowed_origins",
        env: "RISKGATE_WEB__ALLOWED_ORIGINS",
        option: None,
        kind: Kind::List,
        default: "none",
        meaning: "Origins of web pages that may call the API: CORS and WebSocket.",
    },
    Key {
        name: "web.trusted_proxies",
        env: "RISKGATE_WEB__TRUSTED_PROXIES",
        option: None,
        kind: Kind::List,
        default: "none",
        meaning: "Addresses and networks of proxies whose forwarded header is believed.",
    },
    Key {
        name: "web.forwarded_header",
        env: "RISKGATE_WEB__FORWARDED_HEADER",
        option: None,
        kind: Kind::Word(&["x-forwarded-for", "forwarded"]),
        default: "x-forwarded-for",
        meaning: "The header that the trusted proxies write; the other one is ignored.",
    },
    Key {
        name: "web.trusted_documents",
        env: "RISKGATE_WEB__TRUSTED_DOCUMENTS",
        option: None,
        kind: Kind::Text,
        default: "none",
        meaning: "A JSON file of documents, by any key; where it is given, only those run, by their text or their SHA-256.",
    },
    Key {
        name: "tls.certificate_file",
        env: "RISKGATE_TLS__CERTIFICATE_FILE",
        option: None,
        kind: Kind::Text,
        default: "none",
        meaning: "The certificate and those between it and the root, as PEM: with it the server speaks TLS itself. Read again when it changes.",
    },
    Key {
        name: "tls.private_key_file",
        env: "RISKGATE_TLS__PRIVATE_KEY_FILE",
        option: None,
        kind: Kind::Text,
        default: "none",
        meaning: "Its private key, as PEM.",
    },
    limit("limits.tokens", "RISKGATE_LIMITS__TOKENS", "2000", "Tokens of a document, comments and commas included."),
    limit("limits.depth", "RISKGATE_LIMITS__DEPTH", "16", "Fields below each other in a document, fragments followed."),
    limit(
        "limits.fields",
        "RISKGATE_LIMITS__FIELDS",
        "1000",
        "Fields of a document, each as often as its fragment is spread.",
    ),
    limit("limits.aliases", "RISKGATE_LIMITS__ALIASES", "50", "Aliases of a document, counted alike."),
    limit("limits.directives", "RISKGATE_LIMITS__DIRECTIVES", "50", "Directives of a document, counted alike."),
    limit("limits.definitions", "RISKGATE_LIMITS__DEFINITIONS", "50", "Operations and fragments of a document."),
    limit(
        "limits.list_items",
        "RISKGATE_LIMITS__LIST_ITEMS",
        "1000",
        "Entries of one list among arguments or variables.",
    ),
    limit(
        "limits.introspection_depth",
        "RISKGATE_LIMITS__INTROSPECTION_DEPTH",
        "2",
        "Lists of the schema's parts below each other in an introspection.",
    ),
    limit(
        "limits.cost",
        "RISKGATE_LIMITS__COST",
        "100000",
        "Values that an answer can have: page sizes multiplied along the nesting.",
    ),
    limit("limits.errors", "RISKGATE_LIMITS__ERRORS", "5", "Errors told about one document."),
    Key {
        name: "limits.connections",
        env: "RISKGATE_LIMITS__CONNECTIONS",
        option: None,
        kind: Kind::Number,
        default: "16384",
        meaning: "Connections at a time; a request that shares its connection counts as one.",
    },
    Key {
        name: "limits.connections_per_address",
        env: "RISKGATE_LIMITS__CONNECTIONS_PER_ADDRESS",
        option: None,
        kind: Kind::Number,
        default: "1024",
        meaning: "Of those from one address (of IPv6: from one /64), trusted proxies excepted.",
    },
    Key {
        name: "limits.streams_per_user",
        env: "RISKGATE_LIMITS__STREAMS_PER_USER",
        option: None,
        kind: Kind::Number,
        default: "50",
        meaning: "WebSockets and event streams of one user at a time.",
    },
    Key {
        name: "limits.operations_per_socket",
        env: "RISKGATE_LIMITS__OPERATIONS_PER_SOCKET",
        option: None,
        kind: Kind::Number,
        default: "50",
        meaning: "Operations that one WebSocket runs at a time.",
    },
    Key {
        name: "limits.message_bytes",
        env: "RISKGATE_LIMITS__MESSAGE_BYTES",
        option: None,
        kind: Kind::Number,
        default: "262144",
        meaning: "The largest body of a request, and the largest message of a WebSocket.",
    },
    Key {
        name: "limits.cost_at_once",
        env: "RISKGATE_LIMITS__COST_AT_ONCE",
        option: None,
        kind: Kind::Number,
        default: "20000",
        meaning: "What the operations of one user that run at the same time may cost together; the others wait.",
    },
    Key {
        name: "limits.cost_burst",
        env: "RISKGATE_LIMITS__COST_BURST",
        option: None,
        kind: Kind::Number,
        default: "1000000",
        meaning: "What the operations of one user may cost at once: values in their answers.",
    },
    Key {
        name: "limits.cost_per_minute",
        env: "RISKGATE_LIMITS__COST_PER_MINUTE",
        option: None,
        kind: Kind::Number,
        default: "3000000",
        meaning: "What of that comes back each minute.",
    },
    Key {
        name: "limits.decisions_burst",
        env: "RISKGATE_LIMITS__DECISIONS_BURST",
        option: None,
        kind: Kind::Number,
        default: "1000",
        meaning: "Fields of one user that decide, at once.",
    },
    Key {
        name: "limits.decisions_per_minute",
        env: "RISKGATE_LIMITS__DECISIONS_PER_MINUTE",
        option: None,
        kind: Kind::Number,
        default: "3000",
        meaning: "What of that comes back each minute.",
    },
    Key {
        name: "limits.failures_burst",
        env: "RISKGATE_LIMITS__FAILURES_BURST",
        option: None,
        kind: Kind::Number,
        default: "1000",
        meaning: "Failed authentications from one address (of IPv6: from one /64), at once.",
    },
    Key {
        name: "limits.failures_per_minute",
        env: "RISKGATE_LIMITS__FAILURES_PER_MINUTE",
        option: None,
        kind: Kind::Number,
        default: "600",
        meaning: "What of that comes back each minute.",
    },
    text("graph.tenant", "RISKGATE_GRAPH__TENANT", "none", "The tenant: its id, or one of its domains."),
    text("graph.client_id", "RISKGATE_GRAPH__CLIENT_ID", "none", "The app registration that asks Graph."),
    Key {
        name: "graph.client_secret",
        env: "RISKGATE_GRAPH__CLIENT_SECRET",
        option: None,
        kind: Kind::SecretText,
        default: "none",
        meaning: "Its secret.",
    },
    text(
        "graph.client_secret_file",
        "RISKGATE_GRAPH__CLIENT_SECRET_FILE",
        "none",
        "A file that holds the secret, instead of `graph.client_secret`; read anew for each token.",
    ),
    text(
        "graph.certificate_file",
        "RISKGATE_GRAPH__CERTIFICATE_FILE",
        "none",
        "Its certificate, as PEM, instead of a secret; read anew for each token.",
    ),
    text(
        "graph.private_key_file",
        "RISKGATE_GRAPH__PRIVATE_KEY_FILE",
        "none",
        "The certificate's private key (RSA), as PEM.",
    ),
    text(
        "graph.federated_token_file",
        "RISKGATE_GRAPH__FEDERATED_TOKEN_FILE",
        "none",
        "A token of the workload itself, instead of a secret; read anew for each token.",
    ),
    text(
        "graph.authority",
        "RISKGATE_GRAPH__AUTHORITY",
        "https://login.microsoftonline.com",
        "Where tokens are asked for. Plain http for loopback only.",
    ),
    text(
        "graph.base_url",
        "RISKGATE_GRAPH__BASE_URL",
        "https://graph.microsoft.com",
        "Where Graph is. Plain http for loopback only.",
    ),
    Key {
        name: "graph.directory",
        env: "RISKGATE_GRAPH__DIRECTORY",
        option: None,
        kind: Kind::Flag,
        default: "true where there is a section `graph`",
        meaning: "Whether people, groups, managers and roles come from Graph.",
    },
    Key {
        name: "graph.risk",
        env: "RISKGATE_GRAPH__RISK",
        option: None,
        kind: Kind::Flag,
        default: "true where there is a section `graph`",
        meaning: "Whether ID Protection risk comes from Graph.",
    },
    span(
        "graph.directory_interval",
        "RISKGATE_GRAPH__DIRECTORY_INTERVAL",
        "PT1M",
        "Time between two looks at what has changed in the directory.",
    ),
    span(
        "graph.risk_interval",
        "RISKGATE_GRAPH__RISK_INTERVAL",
        "PT1M",
        "Time between two sweeps of everybody at risk.",
    ),
    span(
        "graph.risk_max_age",
        "RISKGATE_GRAPH__RISK_MAX_AGE",
        "PT5M",
        "A sweep older than this says nothing. PT5M at most, and no shorter than `graph.risk_interval`.",
    ),
    span(
        "graph.role_max_age",
        "RISKGATE_GRAPH__ROLE_MAX_AGE",
        "PT5M",
        "Roles known for longer than this are asked for anew when somebody decides. PT5M at most.",
    ),
];

const fn limit(name: &'static str, env: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, env, option: None, kind: Kind::Number, default, meaning }
}

const fn text(name: &'static str, env: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, env, option: None, kind: Kind::Text, default, meaning }
}

const fn span(name: &'static str, env: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, env, option: None, kind: Kind::Span, default, meaning }
}
