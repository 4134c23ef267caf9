//! `riskgate check` tries each permission and names the one that is missing.

use riskgate::clock::Clock;

use crate::support::graph::{Call, FakeGraph, Fault, PERMISSIONS, SECRET};
use crate::support::process::riskgate;

/// What it says, and whether it found everything good.
async fn checked(graph: &FakeGraph, url: &str, secret: &str) -> (bool, String) {
    let (address, url, secret) = (format!("http://{}", graph.address), url.to_owned(), secret.to_owned());
    let run = move || {
        let command = ["check", "--database-url", url.as_str()];
        let mut riskgate = riskgate(&command);
        for (key, value) in [
            ("TENANT", "contoso.example"),
            ("CLIENT_ID", "riskgate"),
            ("CLIENT_SECRET", secret.as_str()),
            ("AUTHORITY", address.as_str()),
            ("BASE_URL", address.as_str()),
        ] {
            riskgate.env(format!("RISKGATE_GRAPH__{key}"), value);
        }
        riskgate.output().expect("it runs")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains(SECRET), "a secret is never printed: {said}");
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_is_tried_and_a_missing_one_is_named() {
    let graph = FakeGraph::start(&Clock::system()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("riskgate.db").display());
    assert!(riskgate(&["migrate", "--database-url", &url]).status().expect("it runs").success());
    let (is_good, said) = checked(&graph, &url, SECRET).await;
    assert!(is_good && PERMISSIONS.iter().all(|name| said.contains(&format!("graph: {name} ("))), "{said}");
    assert!(graph.tenant().risks.is_empty() && graph.count(Call::RiskAction) == 1, "nobody's risk was dismissed");
    graph.forbids("IdentityRiskyUser.ReadWrite.All");
    graph.forbids("RoleManagement.Read.Directory");
    let (is_good, said) = checked(&graph, &url, SECRET).await;
    assert!(!is_good, "{said}");
    for name in ["IdentityRiskyUser.ReadWrite.All", "RoleManagement.Read.Directory"] {
        assert!(said.contains(name) && said.contains("is missing: Graph refuses: status 403"), "{said}");
    }
    assert!(said.contains("graph: IdentityRiskyUser.Read.All (people's risk): good"), "{said}");
    graph.plan(Call::Users, [Some(Fault::Html(503))]);
    let (is_good, said) = checked(&graph, &url, SECRET).await;
    assert!(
        !is_good
            && said.contains("User.Read.All (people, their managers, whether they are enabled) could not be tried"),
        "{said}"
    );
    let (is_good, said) = checked(&graph, &url, "another").await;
    assert!(
        !is_good && said.contains("gives no token: the authority answers with status 401, invalid_client"),
        "{said}"
    );
}

#[test]
fn what_may_not_be_asked_in_the_clear_is_no_good_configuration() {
    for (key, address) in [("BASE_URL", "http://graph.example"), ("AUTHORITY", "http://login.example")] {
        let mut riskgate = riskgate(&["check"]);
        for (key, value) in
            [("TENANT", "contoso.example"), ("CLIENT_ID", "riskgate"), ("CLIENT_SECRET", SECRET), (key, address)]
        {
            riskgate.env(format!("RISKGATE_GRAPH__{key}"), value);
        }
        let output = riskgate.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = format!("RISKGATE_GRAPH__{key}: {address:?} must be https, or http to a loopback address");
        assert!(!output.status.success() && said.contains(&wanted), "{said}");
        assert!(output.stdout.is_empty(), "nothing is called good: {}", String::from_utf8_lossy(&output.stdout));
    }
}
