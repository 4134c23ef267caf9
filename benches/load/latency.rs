//! From commit to subscriber: the commit is made in this process, so that its moment and that of the delivery are read from one clock.

use std::time::{Duration, Instant};

use riskgate::app::App;
use riskgate::domain::permission::Principal;
use riskgate::service::Submit;

use crate::client::{Listening, spread};
use crate::place::{Kind, Place};
use crate::seed::World;
use crate::{Failure, Line};

const EVENT: &str = "subscription { pendingRiskApprovalCreated { cursor stage { id request { id } } } }";
/// Commits.
const SAMPLES: usize = 400;

/// On the instance of the commit, and on another one where there can be one.
pub async fn measure(place: &Place, app: &App, world: &World, lines: &mut Vec<Line>) -> Result<(), Failure> {
    let mut here = Listening::start(app.address, &world.security, EVENT).await?;
    let other = if place.kind == Kind::Postgres { Some(place.serve()?) } else { None };
    let mut there = match &other {
        Some(server) => Some(Listening::start(server.address, &world.security, EVENT).await?),
        None => None,
    };
    let (mut same, mut another) = (Vec::new(), Vec::new());
    let pairs = world.fresh[1..].iter().flat_map(|package| world.risky.iter().map(move |person| (*package, person)));
    for (package, person) in pairs.take(SAMPLES) {
        let actor = app
            .services
            .actor(&Principal::Person(person.id))
            .await
            .map_err(|fault| format!("{fault:?}"))?
            .ok_or("nobody")?;
        let input = Submit { package, policy: None, target: None, justification: None, idempotency_key: None };
        let commit = async {
            let request = app.services.submit(&actor, input).await.map_err(|denied| format!("{denied:?}"))?;
            Ok::<_, Failure>((request, Instant::now()))
        };
        let heard_there = async {
            match &mut there {
                Some(listening) => Ok::<_, Failure>(Some((listening.event().await?, Instant::now()))),
                None => Ok(None),
            }
        };
        let heard_here = async { Ok::<_, Failure>((here.event().await?, Instant::now())) };
        let ((request, committed), (event, heard), far) = tokio::try_join!(commit, heard_here, heard_there)?;
        for event in [Some(&event), far.as_ref().map(|(event, _)| event)].into_iter().flatten() {
            if event["pendingRiskApprovalCreated"]["stage"]["request"]["id"] != request.to_string() {
                return Err(format!("not the event of {request}: {event}").into());
            }
        }
        same.push(heard.saturating_duration_since(committed));
        another.extend(far.map(|(_, heard)| heard.saturating_duration_since(committed)));
        // One by one: what is measured is the way, not the queue.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    lines.push((format!("commit to subscriber, same instance ({} messages)", same.len()), spread(&same)));
    if !another.is_empty() {
        lines.push((format!("commit to subscriber, another instance ({} messages)", another.len()), spread(&another)));
    }
    Ok(())
}
